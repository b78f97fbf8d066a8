"""Single words and short phrases, by the bundled table words.tsv (English, French, Spanish, German, Italian)."""

import csv
import re
from functools import cache
from pathlib import Path

from openlamda.text.dialog import Result

LANGUAGES = ("english", "french", "spanish", "german", "italian")
_QUERY = re.compile(
    r"(?:translate\s+|how (?:do|would) (?:you|i) say\s+|what is\s+)?(?P<words>.{1,80}?)"
    r"\s+(?:from (?P<source>\w+)\s+)?(?:in|to|into)\s+(?P<target>\w+)\W*",
    re.IGNORECASE | re.DOTALL,
)


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    """source language -> word -> target language -> word."""
    path = Path(__file__).parent / "words.tsv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    table: dict[str, dict[str, dict[str, str]]] = {language: {} for language in LANGUAGES}
    for row in rows:
        for language in LANGUAGES:
            table[language].setdefault(row[language].casefold(), row)
    return table


class Translator:
    """`"hello in French"` -> one result "Bonjour"; what is not in the table, or no translation -> no result."""

    name = "translator"

    def __call__(self, query: str) -> list[Result]:
        """The translation named by `X in LANGUAGE`, `X to LANGUAGE`, `translate X from LANGUAGE to LANGUAGE`."""
        match = _QUERY.fullmatch(query.strip()) if len(query) < 200 else None
        if match is None:
            return []
        target, source = match["target"].casefold(), (match["source"] or "").casefold()
        words = match["words"].strip(" \"'“”«».,?!").casefold()
        if target not in LANGUAGES:
            return []
        sources = [source] if source else [language for language in LANGUAGES if language != target]
        for language in sources:
            row = _table().get(language, {}).get(words)
            if row is not None:
                return [Result(row[target])]
        return []
