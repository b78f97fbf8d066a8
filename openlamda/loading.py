"""Where the parts meet: a model directory becomes a `Lamda` that replies."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from openlamda.corpus.rows import held_back
from openlamda.dialog.judge import Judges
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.roles import Role
from openlamda.errors import UserError
from openlamda.text.tokenizer import Tokenizer
from openlamda.tools.base import Toolset
from openlamda.tools.search import read_facts
from openlamda.tools.toolset import default_toolset

if TYPE_CHECKING:
    from openlamda.engine.local import LocalModel
    from openlamda.engine.remote import RemoteLanguageModel

KEY = "OPENLAMDA_API_KEY"
WINDOW = 160  # tokens of context that a model is shown
SHIPPED = Path(__file__).parent / "nano"


def load(
    model: Path | None = None,
    *,
    role: Role | None = None,
    toolset: Toolset | None = None,
    devices: int = 1,
    remote: str = "",
    remote_model: str = "",
) -> Lamda:
    """An agent with the model of a directory (default: the one that ships), the bundled tools, and a role.

    The model is split over so many `devices` of this host. With `remote`, the URL of a server (docs/engine.md), the
    directory gives the tokenizer and the judges alone. Raises UserError where the directory holds no model, or it has
    no room in the devices' memory, or the server cannot serve it.
    """
    directory = Path(model) if model is not None else SHIPPED
    engine, tokenizer, judges = remote_parts(directory, remote, remote_model) if remote else parts(directory, devices)
    return Lamda(engine, tokenizer, toolset or default_toolset(), judges=judges, role=role, window=WINDOW)


def parts(directory: Path, devices: int = 1) -> tuple["LocalModel", Tokenizer, Judges]:
    """What a model directory holds, ready to use. Raises UserError where it holds no model, or has no room."""
    from openlamda.engine.allocator import keep_freed
    from openlamda.engine.compiled import keep_compiled  # jax: only once a model is wanted
    from openlamda.engine.start import start
    from openlamda.model.weights import load_config

    keep_freed()
    keep_compiled(load_config(directory))
    engine = start(directory, devices)
    config, tokenizer = engine.config, Tokenizer.load(directory / "tokenizer.model")
    if tokenizer.vocab_size != config.vocab_size:
        raise UserError(
            f"{directory}: tokenizer.model has {tokenizer.vocab_size} pieces, config.json says {config.vocab_size}"
        )
    return engine, tokenizer, Judges.read(directory)


def remote_parts(directory: Path, url: str, name: str) -> tuple["RemoteLanguageModel", Tokenizer, Judges]:
    """As `parts`, of a directory whose model a server has under a name, which may be empty."""
    from openlamda.engine.remote import RemoteLanguageModel

    tokenizer, judges = Tokenizer.load(directory / "tokenizer.model"), Judges.read(directory)
    engine = RemoteLanguageModel.connect(url, tokenizer, model=name, api_key=os.environ.get(KEY, ""))
    return engine, tokenizer, judges


def training_names() -> list[str]:
    """Names of the bundled knowledge that made training rows may use: those that no evaluation asks about."""
    return sorted({fact.entity for fact in read_facts() if not held_back(fact.entity, percent=25)})
