"""Single words and short phrases, by the bundled table words.tsv (English, French, Spanish, German, Italian)."""

import csv
from collections.abc import Collection
from functools import cache
from pathlib import Path

from openlamda.tools.translation.base import CODES, Pair


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    """source language -> word -> target language -> word."""
    path = Path(__file__).parent / "words.tsv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [{CODES[name]: word for name, word in row.items()} for row in csv.DictReader(lines, delimiter="\t")]
    table: dict[str, dict[str, dict[str, str]]] = {language: {} for language in rows[0]}
    for row in rows:
        for language, word in row.items():
            table[language].setdefault(word.casefold(), row)
    return table


class Dictionary:
    """`hello`, English to French -> `Bonjour`."""

    name = "dictionary"

    def pairs(self) -> Collection[Pair]:
        """Every pair of the table's languages."""
        return [(source, target) for source in _table() for target in _table() if source != target]

    def translate(self, text: str, source: str, target: str) -> str | None:
        """The table's word."""
        row = _table().get(source, {}).get(text.casefold())
        return row.get(target) if row else None
