"""Rows of a file, judged one after another."""

from collections.abc import Iterable, Iterator
from typing import Any

from openlamda.dialog.judge import scores
from openlamda.dialog.lamda import Lamda
from openlamda.errors import UserError
from openlamda.text.dialog import dialog_from_json


def judge_rows(rows: Iterable[dict[str, Any]], lamda: Lamda, where: str) -> Iterator[dict[str, Any]]:
    """The same rows with `scores`. A row: {"context": [turns], "response": text, "snippets": [texts]?}.

    Raises UserError that names `where`, the row and the field.
    """
    for number, row in enumerate(rows, 1):
        place = f"{where}:{number}"
        context = dialog_from_json(row.get("context", []), f"{place}: context")
        response, snippets = row.get("response"), row.get("snippets", [])
        if not isinstance(response, str):
            raise UserError(f"{place}: field 'response' is {type(response).__name__}, expected a string")
        if not isinstance(snippets, list):
            raise UserError(f"{place}: field 'snippets' is {type(snippets).__name__}, expected a list")
        texts = [snippet.get("text") if isinstance(snippet, dict) else snippet for snippet in snippets]
        if not all(isinstance(text, str) for text in texts):
            raise UserError(f"{place}: field 'snippets': expected texts, or objects with 'text'")
        reply = tuple(lamda.tokenizer.encode(response))
        attributes = lamda.judges.attributes
        yield row | {"scores": scores(lamda.model, lamda.grammar, attributes, context, [reply], texts)[0]}
