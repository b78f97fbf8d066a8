"""From `[k]` in a reply to sources: a mark can only name a snippet that was returned in this turn."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from openlamda.text.dialog import Dialog, Result, Source, Turn

_MARK = re.compile(r"\s?\[(\d{1,3})\]")
_NUMBER = re.compile(r"(?:(?<![\w.])-)?\d+(?:,\d{3})*(?:\.\d+)?")


def cite(text: str, results: Sequence[Result]) -> tuple[str, tuple[Source, ...]]:
    """The reply without marks that name nothing, and the sources that the others name, each once, in order."""
    sources: dict[int, Source] = {}

    def keep(match: re.Match[str]) -> str:
        k = int(match[1])
        if not 1 <= k <= len(results) or results[k - 1].url is None:
            return ""
        result = results[k - 1]
        sources[k] = Source(k, result.title, result.url or "", result.text)
        return match[0]

    return _MARK.sub(keep, text).strip(), tuple(sources[k] for k in sorted(sources))


def without_marks(dialog: Dialog) -> Dialog:
    """The dialog as context: marks of earlier replies are gone, since numbers start again in each."""
    return Dialog(tuple(Turn(t.author, _MARK.sub("", t.text)) if t.author == "agent" else t for t in dialog.turns))


def _numbers(text: str) -> set[str]:
    plain = (number.replace(",", "") for number in _NUMBER.findall(_MARK.sub("", text).replace("\u2212", "-")))
    return {f"{Decimal(number).normalize():f}" for number in plain}


def unsupported(reply: str, known: Iterable[str]) -> set[str]:
    """Numbers that the reply states and none of the known texts (snippets, the user's words) has."""
    return _numbers(reply) - set().union(*(_numbers(text) for text in known))
