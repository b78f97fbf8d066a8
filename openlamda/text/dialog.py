"""The values that travel: turns, dialogs, what a tool returns, what a reply cites.

Knows nothing of tokens or models. JSON shapes are those of chat APIs: `{"role": ..., "content": ...}`.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from openlamda.errors import UserError

Author = Literal["user", "agent"]

_AUTHORS: dict[str, Author] = {
    "user": "user",
    "human": "user",
    "assistant": "agent",
    "agent": "agent",
    "model": "agent",
    "gpt": "agent",
}


@dataclass(frozen=True)
class Turn:
    """What one side said."""

    author: Author
    text: str


@dataclass(frozen=True)
class Dialog:
    """Turns, oldest first."""

    turns: tuple[Turn, ...] = ()

    def say(self, author: Author, text: str) -> "Dialog":
        """This dialog with one more turn."""
        return Dialog((*self.turns, Turn(author, text)))


@dataclass(frozen=True)
class Result:
    """One answer of a tool. `url` and `title` are None where the answer is computed, not found.

    `fetched` says when the tool gave it (UTC, ISO 8601); two results that differ in it alone are the same.
    """

    text: str
    url: str | None = None
    title: str | None = None
    fetched: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Source:
    """Citation `[k]` of a reply: always a passage that a tool really returned in this turn and the model was shown.

    `quote` is the part of it that has most of what the reply states with this citation; `support` says whether it has
    all of that (dialog/support.py).
    """

    k: int
    title: str | None
    url: str
    text: str
    fetched: str | None = field(default=None, compare=False)
    quote: str = ""
    support: str = ""


def turn_from_json(value: Any, where: str) -> Turn:
    """A turn from `{"role", "content"}` (chat APIs), `{"role", "text"}` or `{"from", "value"}` (ShareGPT).

    Raises UserError that begins with `where` (file and line, say) for any other shape.
    """
    if not isinstance(value, dict):
        raise UserError(f'{where}: a turn is {type(value).__name__}, expected {{"role": ..., "content": ...}}')
    role = value.get("role", value.get("from"))
    text = value.get("content", value.get("text", value.get("value")))
    if not isinstance(role, str) or role not in _AUTHORS:
        raise UserError(f"{where}: role {role!r}, expected one of {', '.join(sorted(_AUTHORS))}")
    if not isinstance(text, str):
        raise UserError(f"{where}: field 'content' is {type(text).__name__}, expected a string")
    return Turn(_AUTHORS[role], text)


def dialog_from_json(value: Any, where: str) -> Dialog:
    """A dialog from a list of turns, or from an object that holds one under `messages`, `turns` or `conversations`."""
    if isinstance(value, dict):
        for key in ("messages", "turns", "conversations", "context"):
            if key in value:
                return dialog_from_json(value[key], f"{where}: {key}")
        raise UserError(f"{where}: no field 'messages', expected a list of turns there")
    if not isinstance(value, list):
        raise UserError(f"{where}: {type(value).__name__}, expected a list of turns")
    return Dialog(tuple(turn_from_json(item, f"{where}: turn {number}") for number, item in enumerate(value, 1)))
