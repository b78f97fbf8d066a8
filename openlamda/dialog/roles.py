"""Who the agent is: turns that stand before every dialog and are never cut (LaMDA, section 8), and what fits beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openlamda import config
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
        return config.load(cls, path)


def pin(role: Role, dialog: Dialog, size: Callable[[Dialog], int], window: int) -> Dialog:
    """The pinned turns and as many of the newest turns as make at most `window` by `size`.

    Pinned turns are never cut. A last turn that alone is too long keeps its end.
    """
    turns = dialog.turns
    while len(turns) > 1 and size(Dialog(role.pinned + turns)) > window:
        turns = turns[1:]
    last = turns[-1]
    if size(Dialog((*role.pinned, last))) <= window:
        return Dialog(role.pinned + turns)
    low, high = 1, len(last.text)  # the longest end that fits
    while low < high:
        middle = (low + high + 1) // 2
        cut = Turn(last.author, last.text[-middle:])
        low, high = (middle, high) if size(Dialog((*role.pinned, cut))) <= window else (low, middle - 1)
    return Dialog((*role.pinned, Turn(last.author, last.text[-low:])))
