"""Rows of a file, judged one after another."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from openlamda.dialog.judge import WINDOW, scores
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.research import shortened
from openlamda.dialog.roles import pin
from openlamda.errors import UserError
from openlamda.text.dialog import dialog_from_json

MAX_TOKENS = 256  # of a response; what comes after is not judged
MAX_SNIPPETS = 8


def judge_rows(rows: Iterable[tuple[str, dict[str, Any]]], lamda: Lamda) -> Iterator[dict[str, Any]]:
    """The same rows with `scores`. A row comes with its "file:line": {"context": [turns], "response": text,
    "snippets": [texts]?}. Contexts are cut from their beginning to WINDOW tokens, as those of a corpus.

    Raises UserError that names file, line and field.
    """
    for place, row in rows:
        if "context" not in row:
            raise UserError(f"{place}: no field 'context', expected the turns that 'response' answers")
        context = dialog_from_json(row["context"], f"{place}: context")
        response, snippets = row.get("response"), row.get("snippets", [])
        if not isinstance(response, str):
            raise UserError(f"{place}: field 'response' is {type(response).__name__}, expected a string")
        if not isinstance(snippets, list):
            raise UserError(f"{place}: field 'snippets' is {type(snippets).__name__}, expected a list")
        texts = [snippet.get("text") if isinstance(snippet, dict) else snippet for snippet in snippets]
        if not _are_strings(texts):
            raise UserError(f"{place}: field 'snippets': expected texts, or objects with 'text'")
        context = pin(lamda.role, context, lambda d: len(lamda.grammar.context(d).tokens), WINDOW)
        reply = tuple(lamda.tokenizer.encode(response))[:MAX_TOKENS]
        texts = [shortened(text, lamda.tokenizer) for text in texts[:MAX_SNIPPETS]]
        yield row | {"scores": scores(lamda.model, lamda.grammar, lamda.judges, context, [reply], texts)[0]}


def _are_strings(values: list[Any]) -> TypeGuard[list[str]]:
    return all(isinstance(value, str) for value in values)
