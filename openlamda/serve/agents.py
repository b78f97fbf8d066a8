"""Who can be talked to: the model in every role. Role files are read again when they change, the model when it is asked
for; whatever replies at that moment goes on with what it began with.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from openlamda.dialog.lamda import Lamda
from openlamda.dialog.roles import SHIPPED, Role
from openlamda.errors import UserError

log = logging.getLogger(__name__)
OWNER = "openlamda"
PLAIN = "lamda"  # the role that the model was loaded with
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Agent:
    """The model in one role. `id` is the role's, `openlamda/ID` the name of the model for clients."""

    id: str
    lamda: Lamda
    model: str
    since: int  # seconds, as clients want it

    @property
    def model_id(self) -> str:
        """As clients name it."""
        return f"{OWNER}/{self.id}"


class Agents:
    """The agents of one model. `load` reads the model, `folders` hold role files: of two with one name, the later's."""

    def __init__(self, load: Callable[[], Lamda], model: str, folders: Sequence[Path] = (SHIPPED,)):
        self._load, self.model, self._folders = load, model, tuple(folders)
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[int, int]] = {}
        self._roles: dict[str, Role] = {}
        self._lamda = load()
        self._agents: Mapping[str, Agent] = {}
        self._read_changed(strict=True)
        self._agents = self._made(self._lamda)

    def all(self) -> list[Agent]:
        """Every agent, the plain one first."""
        return list(self._agents.values())

    def get(self, name: str) -> Agent | None:
        """The agent of a role's id or a model's name; of no name, the plain one."""
        return self._agents.get(name.removeprefix(f"{OWNER}/") or PLAIN)

    def pretrained(self, agent: Agent) -> Agent:
        """The same model as if it had not been taught to rank and to look things up: the paper's PT, but for what is
        unsafe, which nobody is shown.
        """
        lamda = copy(agent.lamda)
        lamda.as_pretrained(filtered=True)
        return Agent(agent.id, lamda, agent.model, agent.since)

    def reload_model(self) -> None:
        """The model as it is on disk now. Raises what loading raises, and then the old one stays."""
        lamda = self._load()
        with self._lock:
            self._agents, self._lamda = self._made(lamda), lamda
        log.info("the model was loaded again", extra={"model": self.model})

    def refresh(self) -> list[str]:
        """Read the role files that changed; the ids of roles that are new, other or gone. A broken one changes nothing
        and is named in the log.
        """
        with self._lock:
            changed = self._read_changed(strict=False)
            if changed:
                self._agents = self._made(self._lamda)
        return changed

    def _read_changed(self, *, strict: bool) -> list[str]:
        files = {path.stem: path for folder in self._folders for path in sorted(folder.glob("*.toml"))}
        changed = [name for name in self._roles if name not in files]
        for name in changed:
            del self._roles[name]
        self._seen = {path: state for path, state in self._seen.items() if path in files.values()}
        for name, path in files.items():
            try:
                status = path.stat()
                state = (status.st_mtime_ns, status.st_size)
                if self._seen.get(path) == state:
                    continue
                self._seen[path] = state
                role = _read(name, path)
                self._lamda.playing(role).fit_role()
            except (UserError, OSError) as error:
                if strict and path.parent != SHIPPED:  # one that ships may want tools that this server has not
                    raise UserError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
                log.error("a role cannot be used, it stays as it was", extra={"role": name, "error": str(error)})
                continue
            if self._roles.get(name) != role:
                self._roles[name] = role
                changed.append(name)
        return changed

    def _made(self, lamda: Lamda) -> dict[str, Agent]:
        now = int(time.time())
        agents = {PLAIN: Agent(PLAIN, lamda, self.model, now)}
        for name, role in sorted(self._roles.items()):
            agents[name] = Agent(name, lamda.playing(role), self.model, now)
        return agents


def _read(name: str, path: Path) -> Role:
    if not _NAME.fullmatch(name) or name == PLAIN:
        raise UserError(f"{path}: a role's file is named by small letters, digits, - and ., and not {PLAIN}")
    return Role.read(path)
