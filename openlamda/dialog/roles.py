"""Who the agent is: turns before every dialog that are never cut (LaMDA, section 8), and what fits beside them."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from openlamda import config
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn

SHIPPED = Path(__file__).parent.parent / "roles"
LONGEST = 64  # characters of a token: what a window cannot hold need not be measured
SAFE_REPLY = "I would rather not answer that. Can I help with something else?"


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role file: TOML with these settings."""

    name: str = "LaMDA"
    description: str = ""  # one line for people who choose among roles
    greeting: str = ""  # what the agent says first; it stands after the pinned turns and is as little cut as they
    pinned: tuple[Turn, ...] = ()
    tools: tuple[str, ...] | None = None  # names of tools that may be asked; None: all
    thresholds: dict[str, float] = field(default_factory=dict)  # score -> least P, beside the model's own
    safe_reply: str = SAFE_REPLY
    safe: float | None = None  # threshold of P(safe); None: the model's own

    @classmethod
    def read(cls, path: Path) -> "Role":
        """The role in a TOML file. Raises UserError with file and key."""
        role = config.load(cls, path)
        if role.safe is not None and "safe" in role.thresholds:
            raise UserError(f"{path}: safe stands twice, expected it among the thresholds alone")
        for name, least in role.wanted.items():
            if not 0 <= least <= 1:
                raise UserError(f"{path}: {name} is {least}, expected a probability")
        if not role.safe_reply.strip():
            raise UserError(f"{path}: safe_reply is empty, expected what to say where nothing else may be said")
        if not role.name.strip():
            raise UserError(f"{path}: name is empty, expected what the agent is called")
        return role

    @property
    def wanted(self) -> dict[str, float]:
        """The thresholds that the role sets itself."""
        return self.thresholds | ({} if self.safe is None else {"safe": self.safe})

    @property
    def preface(self) -> tuple[Turn, ...]:
        """The turns before every dialog. The greeting answers one, since dialogs that models learn from begin with a
        user.
        """
        greeting = (Turn("user", "hello"), Turn("agent", self.greeting)) if self.greeting.strip() else ()
        return self.pinned + greeting


def shipped() -> dict[str, Path]:
    """The role files that ship, by the names that `--role` takes."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find(role: Path) -> Path:
    """The file of a role: a path, or the name of one that ships. Raises UserError where it is neither."""
    known = shipped()
    if role.exists() or role.suffix or len(role.parts) > 1:
        return role
    if role.name not in known:
        near = difflib.get_close_matches(role.name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected a file, or one of {', '.join(known)}"
        raise UserError(f"role {role.name!r}: no such role; {hint}")
    return known[role.name]


def pin(role: Role, dialog: Dialog, size: Callable[[Dialog], int], window: int) -> Dialog:
    """The pinned turns and as many of the newest turns as make at most `window` by `size`, which adds up over turns.

    Pinned turns are never cut. A last turn that alone is too long keeps its end.
    Raises UserError where the pinned turns leave less than a quarter of the window to the dialog.
    """
    room = window - size(Dialog(role.preface))
    if room < window / 4:
        raise UserError(
            f"role {role.name!r}: its pinned turns take {window - room} tokens, expected at most {window * 3 // 4}"
        )
    if not dialog.turns:
        return Dialog(role.preface)
    most = window * LONGEST
    last = replace(dialog.turns[-1], text=dialog.turns[-1].text[-most:])
    if size(Dialog((last,))) > room:
        return Dialog((*role.preface, Turn(last.author, _end(last, size, room))))
    turns = (*dialog.turns[:-1], last)
    kept = len(turns)
    while kept and len(turns[kept - 1].text) <= most and (room := room - size(Dialog((turns[kept - 1],)))) >= 0:
        kept -= 1  # each turn is measured once
    return Dialog(role.preface + turns[kept:])


def _end(turn: Turn, size: Callable[[Dialog], int], room: int) -> str:
    """The longest end of a turn's text that fits, and one character in any case."""
    low, high = 1, len(turn.text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = size(Dialog((Turn(turn.author, turn.text[-middle:]),))) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return turn.text[-low:]
