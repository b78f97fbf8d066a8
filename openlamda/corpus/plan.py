"""What a build will do, settled before it begins: the tasks, by the input alone, whatever runs them.

A task is a large file or some small neighbours of one source. The plan lies in the work directory, where every stage
reads it; a build that was interrupted goes on only with an equal one.
"""

import glob
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from openlamda.corpus import formats
from openlamda.corpus.recipe import Engine, Recipe, Source
from openlamda.errors import UserError
from openlamda.text.tokenizer import Tokenizer

TASK_BYTES = 1_000_000  # files are grouped up to this, packed or not; more where that made too many tasks
TASKS = 4096
PART_BYTES = 4_000_000_000  # of files for each part of the search for duplicates


@dataclass(frozen=True)
class File:
    """One input, and what tells that it has changed since."""

    path: str
    bytes: int
    modified: int


@dataclass(frozen=True)
class Task:
    """Files that are read one after the other."""

    source: str
    files: tuple[File, ...]


@dataclass(frozen=True)
class Plan:
    """All that the shards depend on."""

    version: int
    recipe: Recipe  # its engine left out: where the tasks run changes nothing
    tokenizer_sha256: str
    vocab_size: int
    tasks: tuple[Task, ...]
    parts: int  # of the search for duplicates


def make(recipe: Recipe, tokenizer: Tokenizer) -> Plan:
    """The plan for the files that are there. Raises UserError for a pattern that finds none."""
    files = {source.name: [_file(path) for path in find(source, Path(recipe.data))] for source in recipe.source}
    size = sum(file.bytes for found in files.values() for file in found)
    limit = max(TASK_BYTES, size // TASKS)
    return Plan(
        2,
        replace(recipe, engine=Engine()),
        hashlib.sha256(tokenizer.model).hexdigest(),
        tokenizer.vocab_size,
        tuple(task for name, found in files.items() for task in _tasks(name, found, limit)),
        1 + size // PART_BYTES,
    )


def read(work: Path) -> Plan:
    """The plan of a work directory."""
    try:
        return msgspec.json.decode((work / "plan.json").read_bytes(), type=Plan)
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{work / 'plan.json'}: {error}, expected the plan of a corpus build") from None


def _file(path: Path) -> File:
    stat = path.stat()
    return File(str(path), stat.st_size, stat.st_mtime_ns)


def _tasks(source: str, files: list[File], limit: int) -> list[Task]:
    groups: list[list[File]] = []
    size = 0
    for file in files:
        if not groups or size + file.bytes > limit:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.bytes
    return [Task(source, tuple(group)) for group in groups]


def find(source: Source, folder: Path) -> list[Path]:
    """The files of a source: those that are named, those that globs find, and all of a folder that can be read."""
    found: dict[Path, None] = {}
    for pattern in source.paths:
        path = folder.expanduser() / Path(pattern).expanduser()
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(formats.suffixes()))
        else:
            inside = (p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())
        paths = sorted(inside)
        if not paths:
            raise UserError(f"source {source.name!r}: {path}: no file found, expected one or more")
        found.update(dict.fromkeys(paths))
    return list(found)
