"""From `[k]` in a reply to sources: a mark can only name a passage that the model was shown in this turn."""

import re
from collections.abc import Sequence

from openlamda.dialog.support import MARK, Claim, quote
from openlamda.text.dialog import Dialog, Result, Source, Turn

OPEN = re.compile(r"\[\d*$")


def cite(text: str, results: Sequence[Result]) -> str:
    """The reply without marks that name nothing, or something computed."""

    def keep(match: re.Match[str]) -> str:
        k = int(match[1])
        if 1 <= k <= len(results) and results[k - 1].url is not None:
            return match[0]
        return " " if OPEN.search(text, 0, match.start()) else ""  # else "[[9]8]" would become another mark

    return MARK.sub(keep, text).strip()


def sources(text: str, results: Sequence[Result], claims: Sequence[Claim]) -> tuple[Source, ...]:
    """What the marks of `text` name, each once, in order, with the part that supports the claims that cite it.

    A source supports them where it is cited by no claim that failed, and by one that holds.
    """
    found = []
    for k in sorted({int(mark) for mark in MARK.findall(text)}):
        result = results[k - 1]
        citing = [claim for claim in claims if k in claim.cites]
        verdicts = [claim.verdict for claim in citing]
        order = ("not in the source", "supported", "nothing to check")
        support = next((verdict for verdict in order if verdict in verdicts), "nothing to check")
        span = quote(result.text, " ".join(claim.text for claim in citing))
        found.append(Source(k, result.title, result.url or "", result.text, result.fetched, span, support))
    return tuple(found)


def without_marks(dialog: Dialog) -> Dialog:
    """The dialog as context: marks of earlier replies are gone, since numbers start again in each."""
    return Dialog(tuple(Turn(t.author, MARK.sub("", t.text)) if t.author == "agent" else t for t in dialog.turns))
