"""What answers: a model, the baselines, a remote endpoint, recorded replies. Each gives a `Said` for a context.

`identity` is what a reply depends on besides context and seed; replies are kept by it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
from safetensors import SafetensorError, safe_open

from openlamda.corpus.readers import read_lines
from openlamda.dialog.judge import Judges
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.roles import Role
from openlamda.engine.http import Server
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, dialog_from_json
from openlamda.tools.base import Toolset

Open = Callable[[Path], Lamda]


@dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """A [[system]] table."""

    name: str
    kind: Literal["model", "pretrained", "generic", "retrieval", "remote", "recorded"]
    series: str = ""  # what it is apart from its size, as "PT": in plots, one line over the sizes
    path: str = ""  # of a model directory, or of a file of {"context", "response"}
    url: str = ""  # of a server that speaks /v1/chat/completions
    model: str = ""  # the name that a remote server knows
    judges: bool = True  # false: drafts are ranked by likelihood over length
    research: bool = True
    num_candidates: int = 16
    decoding: Literal["draw", "beam"] = (
        "draw"  # beam: as BlenderBot, one candidate, the best of a search with ten beams
    )
    timeout: float = 60.0  # seconds, of a remote reply


@dataclass(frozen=True)
class Said:
    """A reply, the addresses it cites, and how it was chosen."""

    text: str
    sources: tuple[str, ...] = ()
    trace: Mapping[str, Any] = field(default_factory=dict)


class System(Protocol):
    """Answers contexts."""

    identity: Mapping[str, Any]

    def reply(self, context: Dialog, seed: int, role: Role | None = None) -> Said:
        """What the system says next, in a role where it can play one."""
        ...

    def close(self) -> None:
        """Let go of the memory that it holds; it may be asked again."""


def weights_hash(directory: Path) -> str:
    """A hash of a model directory's weights. Raises UserError where it has none."""
    paths = sorted(directory.glob("*.safetensors"))
    if not paths:
        raise UserError(f"{directory}: no *.safetensors, expected a model directory")
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def number_of_weights(directory: Path) -> int:
    """How many numbers a model directory's *.safetensors hold. Raises UserError for a file that is none."""
    count = 0
    for path in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(path, "numpy") as file:
                names = [name for name in file.keys() if not name.endswith(".scale")]  # noqa: SIM118
                count += sum(prod(file.get_slice(name).get_shape()) for name in names)  # of int8 weights no scales
        except SafetensorError as error:
            raise UserError(f"{path}: {error}") from None
    return count


class Model(System):
    """A model directory under given settings, of kind "pretrained" as PT. `size` is its number of weights, `knowledge`
    hashes what it searches.
    """

    def __init__(self, config: SystemConfig, directory: Path, open_model: Open, knowledge: str = ""):
        settings = {name: asdict(config)[name] for name in ("kind", "judges", "research", "num_candidates")}
        if config.decoding != "draw":  # else no setting of its own, so that replies kept before there was one are found
            settings["decoding"] = config.decoding
        judging = config.judges and config.kind == "model"
        read = Judges.read(directory) if judging else Judges()
        judges = msgspec.to_builtins(read) if judging else None
        self.calibration = read.calibration
        self.size = number_of_weights(directory)
        self.identity: Mapping[str, Any] = {
            "weights": weights_hash(directory),
            **settings,
            "used": judges,
            "knowledge": knowledge if config.research and config.kind == "model" else "",
        }
        self._open, self._directory, self._config = open_model, directory, config
        self._lamda: Lamda | None = None  # opened when it has to speak: what is kept needs no model

    def reply(self, context: Dialog, seed: int, role: Role | None = None) -> Said:
        """As `Lamda.reply`, without what took how long."""
        if self._lamda is None:
            self._lamda = self._open(self._directory)
            self._lamda.num_candidates = self._config.num_candidates
            if self._config.decoding == "beam":
                self._lamda.search_with_beams()
            if self._config.kind == "pretrained":
                self._lamda.as_pretrained()
            if not self._config.judges:
                self._lamda.judges = Judges()
            if not self._config.research:
                self._lamda.max_queries = 0
        lamda = self._lamda if role is None else self._lamda.playing(role)
        reply = lamda.reply(context, seed=seed)
        trace = {name: value for name, value in reply.trace.to_json().items() if name not in ("timings", "calls")}
        return Said(reply.text, tuple(source.url for source in reply.sources), trace)

    def close(self) -> None:
        """Forget the weights."""
        self._lamda = None


class Generic(System):
    """GenericBot: "I don't know" to questions, "Ok" to statements (LaMDA, section 4)."""

    identity: Mapping[str, Any] = {"kind": "generic"}

    def reply(self, context: Dialog, seed: int, role: Role | None = None) -> Said:
        """One of two replies."""
        return Said("I don't know" if context.turns[-1].text.rstrip().endswith("?") else "Ok")


class Retrieval(System):
    """The best result of a search for the last turn, with its source, and nothing else."""

    def __init__(self, toolset: Toolset, knowledge: str = ""):
        self.identity: Mapping[str, Any] = {"kind": "retrieval", "knowledge": knowledge}
        self._toolset = toolset

    def reply(self, context: Dialog, seed: int, role: Role | None = None) -> Said:
        """The result's text; no text where nothing is found."""
        for result in self._toolset(context.turns[-1].text):
            if result.url:
                return Said(result.text, (result.url,))
        return Said("")


class Remote(System):
    """A server that speaks OpenAI's /v1/chat/completions."""

    def __init__(self, config: SystemConfig):
        self.identity: Mapping[str, Any] = {"kind": "remote", "url": config.url, "model": config.model}
        self._config = config
        self._server().close()  # an address that none can have is told before hours of other replies

    def _server(self) -> Server:
        return Server(self._config.url, timeout=self._config.timeout)

    def reply(self, context: Dialog, seed: int, role: Role | None = None) -> Said:
        """The first choice's text, after the role's turns. Raises UserError where the server gives none."""
        before = role.preface if role else ()
        roles = {"user": "user", "agent": "assistant"}
        messages = [{"role": roles[turn.author], "content": turn.text} for turn in (*before, *context.turns)]
        url = self._config.url.rstrip("/") + "/v1/chat/completions"
        with self._server() as server:
            said = server.post(
                "/v1/chat/completions", {"model": self._config.model, "messages": messages, "seed": seed}
            )
        try:
            text = json.loads(said)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise UserError(f"{url}: no reply: {type(error).__name__}: {error}") from None
        if not isinstance(text, str):
            raise UserError(f"{url}: the reply's content is {type(text).__name__}, expected a string")
        return Said(text)


class Recorded(System):
    """Replies from a file of {"context": [turns], "response": text}: people's, or another system's."""

    def __init__(self, path: Path):
        self._path = path
        self._said: dict[Dialog, str] = {}
        for place, row in read_lines(path):
            if not isinstance(row.get("response"), str):
                raise UserError(f"{place}: field 'response', expected a string")
            self._said[dialog_from_json(row.get("context"), f"{place}: context")] = row["response"]
        self.identity: Mapping[str, Any] = {"kind": "recorded", "file": hashlib.sha256(path.read_bytes()).hexdigest()}

    def reply(self, context: Dialog, seed: int, role: Role | None = None) -> Said:
        """The recorded reply. Raises UserError where there is none."""
        if context not in self._said:
            raise UserError(f"{self._path}: no reply to {context.turns[-1].text[:60]!r}, expected one for each context")
        return Said(self._said[context])


def build(config: SystemConfig, folder: Path, open_model: Open, toolset: Toolset, knowledge: str = "") -> System:
    """The system of a table; relative paths are the suite file's. `knowledge`: a hash of what the toolset searches."""
    if config.kind == "generic":
        return Generic()
    if config.kind == "retrieval":
        return Retrieval(toolset, knowledge)
    if config.kind == "remote":
        return Remote(config)
    if not config.path:
        raise UserError(f"system {config.name!r}: no path, expected one for kind {config.kind!r}")
    path = folder / Path(config.path).expanduser()
    return Recorded(path) if config.kind == "recorded" else Model(config, path, open_model, knowledge)
