"""Who the agent is: turns before every dialog that are never cut (LaMDA, section 8), and what fits beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openlamda import config
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn

SAFE_REPLY = "I would rather not answer that. Can I help with something else?"


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role file: TOML with these settings."""

    name: str = "LaMDA"
    pinned: tuple[Turn, ...] = ()
    safe_reply: str = SAFE_REPLY
    safe: float | None = None  # threshold of P(safe); None: the model's own

    @classmethod
    def read(cls, path: Path) -> "Role":
        """The role in a TOML file. Raises UserError with file and key."""
        role = config.load(cls, path)
        if role.safe is not None and not 0 <= role.safe <= 1:
            raise UserError(f"{path}: safe is {role.safe}, expected a probability")
        if not role.safe_reply.strip():
            raise UserError(f"{path}: safe_reply is empty, expected what to say where nothing else may be said")
        return role


def pin(role: Role, dialog: Dialog, size: Callable[[Dialog], int], window: int) -> Dialog:
    """The pinned turns and as many of the newest turns as make at most `window` by `size`, which adds up over turns.

    Pinned turns are never cut. A last turn that alone is too long keeps its end.
    Raises UserError where the pinned turns leave less than a quarter of the window to the dialog.
    """
    room = window - size(Dialog(role.pinned))
    if room < window / 4:
        raise UserError(
            f"role {role.name!r}: its pinned turns take {window - room} tokens, expected at most {window * 3 // 4}"
        )
    if not dialog.turns:
        return Dialog(role.pinned)
    last = dialog.turns[-1]
    if size(Dialog((last,))) > room:
        return Dialog((*role.pinned, Turn(last.author, _end(last, size, room))))
    kept = len(dialog.turns)
    while kept and (room := room - size(Dialog((dialog.turns[kept - 1],)))) >= 0:  # each turn is measured once
        kept -= 1
    return Dialog(role.pinned + dialog.turns[kept:])


def _end(turn: Turn, size: Callable[[Dialog], int], room: int) -> str:
    """The longest end of a turn's text that fits, and one character in any case."""
    low, high = 1, len(turn.text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = size(Dialog((Turn(turn.author, turn.text[-middle:]),))) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return turn.text[-low:]
