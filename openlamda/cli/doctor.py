"""`openlamda doctor`."""

import json as jsonlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from openlamda.dialog.trace import printable
from openlamda.errors import UserError

COLOURS = {"works": "green", "missing": "yellow", "broken": "red"}
PURPOSES = {
    "train": "training",
    "evaluate": "evaluation and its plots",
    "remote": "servers: models, translators, searches",
    "corpus": "building corpora",
    "search": "indexes of your documents",
    "serve": "the server",
    "postgresql": "the server's store on PostgreSQL",
    "mcp": "tools over the Model Context Protocol",
    "zim": "Kiwix archives",
}


@dataclass(frozen=True)
class Check:
    """One finding: what `works`, is `missing` or `broken`, what was found, and the command that mends or adds to it."""

    what: str
    state: str
    found: str
    fix: str = ""


def doctor(*, model: Path | None = None, json: bool = False) -> None:
    """Say what works and what is missing, with the command that adds it.

    Exit code 2 only where the model cannot be used; everything else is a choice.

    Parameters
    ----------
    model
        A model directory (default: the one that ships).
    json
        Print a list of objects with what, state (works, missing, broken), found and fix.
    """
    checks = list(examine(model))
    if json:
        print(jsonlib.dumps([asdict(check) for check in checks], indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False, emoji=False)
        for check in checks:
            colour = COLOURS[check.state]
            console.print(f"[{colour}]{check.state:<8}[/]", escape(printable(f"{check.what}: {check.found}")))
            if check.fix:
                hint = "more: " if check.state == "works" else ""
                console.print(" " * 8, escape(printable(f"{hint}{check.fix}")))
    broken = next((check for check in checks if check.what == "model" and check.state == "broken"), None)
    if broken:
        raise UserError(f"the model cannot be used: {broken.found}")


def examine(model: Path | None) -> Iterator[Check]:
    """All findings, one after the other."""
    yield _model(model)
    yield _accelerator()
    yield _cache()
    yield _apertium()
    yield _server()
    yield from _extras()


def _model(directory: Path | None) -> Check:
    """Loads it and draws a token."""
    from openlamda.engine.base import Sampling  # jax, so only now
    from openlamda.loading import SHIPPED, parts

    mends = "pip install --force-reinstall openlamda" if directory is None else ""
    directory = directory or SHIPPED
    try:
        engine, tokenizer, judges = parts(directory)
        engine.sample(tuple(tokenizer.encode("hello")), 1, Sampling(max_tokens=1), 0)
    except UserError as error:
        return Check("model", "broken", str(error), mends)
    except Exception as error:  # whatever the device or its driver raises is the finding
        return Check("model", "broken", f"{directory}: {type(error).__name__}: {error}", "openlamda env")
    return Check("model", "works", f"{directory}, judges {', '.join(judges.attributes) or 'none'}")


def _accelerator() -> Check:
    from openlamda.engine.devices import seen, unseen

    found, package = ", ".join(seen()), unseen()
    if package:
        return Check("accelerator", "missing", f"a driver is here, JAX sees {found}", f"pip install '{package}'")
    return Check("accelerator", "works", f"JAX computes on {found}")


def _cache() -> Check:
    from openlamda.engine.compiled import compiled_folder

    folder = compiled_folder()
    if folder is None:
        return Check("cache", "missing", "no home folder, so each start compiles again", "export XDG_CACHE_HOME=FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        found = f"{folder}: {error.strerror}, so each start compiles again"
        return Check("cache", "broken", found, "export XDG_CACHE_HOME=FOLDER")
    return Check("cache", "works", str(folder))


def _apertium() -> Check:
    from openlamda.tools.translation.apertium import PACKAGES, Apertium
    from openlamda.tools.translation.base import NAMES

    apertium = Apertium()
    try:
        pairs = set(apertium.pairs())
    except UserError as error:
        return Check("translator: Apertium", "broken", str(error), "apt-get install --reinstall apertium")
    wanted = [package for pair, package in PACKAGES.items() if pair not in pairs and pair[::-1] not in pairs]
    if not pairs:
        found = "no pair of languages" if apertium.is_installed else "not installed"
        found += f"; a few words are translated without it; pairs are Debian's {', '.join(wanted)}"
        return Check("translator: Apertium", "missing", found, "apt-get install apertium apertium-eng-spa")
    told = ", ".join(sorted(f"{NAMES[source].title()} to {NAMES[target].title()}" for source, target in pairs))
    add = f"apt-get install {' '.join(wanted)}" if wanted else ""
    return Check("translator: Apertium", "works", told, add)


def _server() -> Check:
    from openlamda.tools.translator import KEY, URL

    url, what = os.environ.get(URL, ""), "translator: server"
    if not url:
        return Check(what, "missing", "none with LibreTranslate's API is configured", f"export {URL}=http://HOST:5000")
    from openlamda.tools.translation.base import AUTO
    from openlamda.tools.translation.libretranslate import LibreTranslate

    try:
        pairs = LibreTranslate(url, os.environ.get(KEY, ""), timeout=5).pairs()
    except UserError as error:
        return Check(what, "broken", str(error), f"unset {URL}")
    return Check(what, "works", f"{url}, {sum(source != AUTO for source, _ in pairs)} pairs of languages")


def _extras() -> Iterator[Check]:
    """An extra is there when all of its packages are."""
    needed: dict[str, list[str]] = {}
    for requirement in metadata.requires("openlamda") or ():
        name, _, marker = requirement.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        package = re.split(r"[^\w.-]", name, maxsplit=1)[0]
        if extra and package != "openlamda":
            needed.setdefault(extra[1], []).append(package)
    for extra, packages in needed.items():
        if extra == "dev":
            continue
        what = f"extra {extra}" + (f" ({PURPOSES[extra]})" if extra in PURPOSES else "")
        missing = [package for package in packages if not any(metadata.distributions(name=package))]
        if missing:
            yield Check(what, "missing", f"without {', '.join(missing)}", f"pip install 'openlamda[{extra}]'")
        else:
            yield Check(what, "works", ", ".join(packages))
