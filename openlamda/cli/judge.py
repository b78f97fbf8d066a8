"""`openlamda judge`."""

import json as jsonlib
from pathlib import Path

from openlamda.corpus.readers import read_lines
from openlamda.dialog.trace import printable
from openlamda.errors import UserError


def judge(file: Path, *, model: Path | None = None, json: bool = False) -> None:
    """Score replies: how sensible, specific, interesting, safe and grounded the model finds each.

    Parameters
    ----------
    file
        JSON Lines, a row {"context": [{"role", "text"}...], "response": "...", "snippets": ["..."]}. The newest turns
        of 320 tokens, 256 tokens of a response and 160 of each of the first 8 snippets are read.
    model
        A model directory; default: the model that ships.
    json
        Print the same rows with "scores" added; else one line a row.
    """
    from openlamda.dialog.bulk import judge_rows
    from openlamda.loading import load

    rows, lamda = read_lines(file), load(model)
    if not lamda.judges.attributes:
        raise UserError(f"{model}: the model has no judges, expected attributes in its judges.json")
    for row in judge_rows(rows, lamda):
        if json:
            print(jsonlib.dumps(row))
        else:
            beginning = printable(" ".join(row["response"][:60].split()))
            print("  ".join(f"{name} {score:.2f}" for name, score in row["scores"].items()), beginning)
