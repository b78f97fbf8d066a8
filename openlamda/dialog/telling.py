"""What may be told while a reply is made: how far it is, in numbers and queries. Never a candidate's text: what was not
chosen leaves the house nowhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from openlamda.dialog.trace import Considered

Kind = Literal["drafting", "judged", "looking_up", "found", "answering"]


@dataclass(frozen=True)
class Stage:
    """One step of a reply: its kind, a line for people, and the same in values."""

    kind: Kind
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


Tell = Callable[[Stage], None]


def nobody(stage: Stage) -> None:
    """For whoever does not want to know."""


def drafting(count: int) -> Stage:
    """Drafts are being drawn."""
    return Stage("drafting", f"{count} drafts" if count != 1 else "1 draft", {"drafts": count})


def judged(candidates: Sequence[Considered]) -> Stage:
    """A round was judged: how many were dropped, and how many of them as unsafe."""
    unsafe = sum(candidate.dropped == "unsafe" for candidate in candidates)
    dropped = sum(candidate.dropped is not None for candidate in candidates)
    text = f"{unsafe} dropped as unsafe"
    if dropped > unsafe:
        text += f", {dropped - unsafe} for other reasons"
    return Stage("judged", text, {"dropped": dropped, "unsafe": unsafe, "left": len(candidates) - dropped})


def looking_up(query: str) -> Stage:
    """A query goes to the tools."""
    return Stage("looking_up", f'looking up "{query}"', {"query": query})


def found(results: int) -> Stage:
    """What came back for it: how many results there are to read."""
    return Stage("found", "1 result" if results == 1 else f"{results} results", {"results": results})


def answering(count: int) -> Stage:
    """Replies that rest on what was found are being drawn."""
    return Stage("answering", f"{count} answers" if count != 1 else "1 answer", {"answers": count})
