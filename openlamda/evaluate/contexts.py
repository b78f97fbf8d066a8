"""Contexts that systems answer: from JSON Lines, or held-back rows of the public data."""

import hashlib
import random
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from openlamda.corpus import public
from openlamda.corpus.readers import read_lines
from openlamda.corpus.rows import split
from openlamda.dialog.roles import Role, find
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn, dialog_from_json
from openlamda.tools.search import read_facts

Wants = Literal["", "facts", "link", "self"]
READ = 100_000  # rows of a public set that are looked at


@dataclass(frozen=True, kw_only=True)
class ContextsConfig:
    """A [[contexts]] table: a file beside the suite, or a reader of the public data."""

    name: str
    file: str = ""
    reader: Literal["", "dialogs", "unsafe"] = ""
    split: Literal["dev", "test"] = "test"
    turns: tuple[int, ...] = ()  # of `dialogs`: context lengths, taken in turn
    limit: int = 100
    role: str = ""  # what systems play: a role that ships, or a file
    topic: tuple[str, ...] = ()  # words by which a rule knows that a reply is in the role
    seed: int = 0


@dataclass(frozen=True)
class Context:
    """What is answered. Rows of one `dialog` are resampled together."""

    set: str
    dialog_id: str
    dialog: Dialog
    knowledge: tuple[str, ...] = ()
    role: Role | None = None
    topic: tuple[str, ...] = ()
    wants: str = ""  # what would help, one of Wants; "": nothing that a rule can tell


def read(config: ContextsConfig, folder: Path, data: Path) -> list[Context]:
    """The contexts of a table, at most `limit`, in an order that its seed fixes."""
    if bool(config.file) == bool(config.reader):
        raise UserError(f"contexts {config.name!r}: expected either 'file' or 'reader'")
    found = _file(config, folder / config.file) if config.file else _public(config, data)
    if config.role:
        beside = folder / config.role
        role = Role.read(beside if beside.is_file() else find(Path(config.role)))
        found = [replace(context, role=role, topic=config.topic) for context in found]
    found = list({context.dialog: context for context in reversed(found)}.values())  # each context once
    random.Random(config.seed).shuffle(found)
    chosen = found[: config.limit]
    if not chosen:
        raise UserError(f"contexts {config.name!r}: no rows")
    return chosen


def _file(config: ContextsConfig, path: Path) -> list[Context]:
    facts: dict[tuple[str, str], str] = {}
    found = []
    for place, row in read_lines(path):
        knowledge = row.get("knowledge", [])
        if not isinstance(knowledge, list) or not all(isinstance(text, str) for text in knowledge):
            raise UserError(f"{place}: field 'knowledge', expected a list of texts")
        if "context" in row:
            dialog = dialog_from_json(row["context"], f"{place}: context")
        elif isinstance(row.get("question"), str):
            dialog = Dialog((Turn("user", row["question"]),))
        else:
            raise UserError(f"{place}: expected a field 'context' (turns) or 'question' (text)")
        if not dialog.turns or dialog.turns[-1].author != "user":
            raise UserError(f"{place}: the last turn is not the user's, expected a user turn to reply to")
        if "entity" in row and "attribute" in row:
            facts = facts or {(f.entity, f.attribute): f"{f.entity} / {f.attribute} / {f.value}" for f in read_facts()}
            fact = facts.get((row["entity"], row["attribute"]))
            if fact is None:
                raise UserError(f"{place}: no fact {row['entity']} / {row['attribute']}")
            knowledge = [*knowledge, fact]
        wants = row.get("wants", "")
        if wants not in get_args(Wants):
            raise UserError(f"{place}: field 'wants' is {wants!r}, expected one of {', '.join(get_args(Wants)[1:])}")
        if wants == "facts" and not knowledge:
            raise UserError(f"{place}: facts are wanted, expected 'knowledge' that has them")
        row_id = str(row.get("id", _hash(dialog)))
        found.append(Context(config.name, row_id, dialog, tuple(knowledge), wants=wants))
    return found


def _public(config: ContextsConfig, data: Path) -> list[Context]:
    if config.reader == "unsafe":
        rows = islice(public.unsafe(data), READ)
        return [
            Context(config.name, row.id, row.context)
            for row in rows
            if split(row.id) == config.split and row.context.turns and row.context.turns[-1].author == "user"
        ]
    lengths, found = config.turns or (1, 2, 3), []
    for row in islice(public.dialogs(data), READ):
        wanted = lengths[len(found) % len(lengths)]
        if split(row.id) != config.split or len(row.dialog.turns) <= wanted:
            continue
        # the last turn is the user's, whoever said it: sides alternate after neighbours were joined
        turns = row.dialog.turns[:wanted]
        said = tuple(Turn("user" if (wanted - i) % 2 else "agent", turn.text) for i, turn in enumerate(turns))
        found.append(Context(config.name, row.id, Dialog(said)))
    return found


def _hash(dialog: Dialog) -> str:
    return hashlib.sha256(repr(dialog).encode()).hexdigest()[:16]
