"""Rows of a file, JSON Lines (packed or not) or text; bad rows are reported, the rest is read."""

import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from openlamda.corpus.rows import Document, Talk
from openlamda.errors import UserError
from openlamda.text.dialog import dialog_from_json


def suffixes() -> tuple[str, ...]:
    """Which files of a folder are read."""
    return (".jsonl", ".jsonl.xz", ".jsonl.gz", ".txt")


def read(path: Path, report: Callable[[str, str], None]) -> Iterator[Document | Talk]:
    """The rows of `path`; what cannot be read goes to `report("file:line", "what was found, what was expected")`."""
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    number = 0
    try:
        with opener(path, "rb") as lines:
            if path.suffix == ".txt":
                yield Document(path.name, lines.read().decode())
                return
            for number, line in enumerate(lines, 1):
                try:
                    yield _row(json.loads(line), f"{path.name}:{number}")
                except (ValueError, RecursionError) as error:
                    report(f"{path}:{number}", f"{error}, expected a JSON object in UTF-8")
                except UserError as error:
                    report(f"{path}:{number}", str(error).partition(": ")[2])
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        report(f"{path}:{number + 1}", f"{error}, expected more")


def _row(row: Any, place: str) -> Document | Talk:
    """Ids are the row's own, else url and title as in public.py: what is held back is held back there and here."""
    if not isinstance(row, dict):
        raise UserError(f"{place}: {type(row).__name__}, expected a JSON object")
    title = row.get("title")
    name = str(row.get("id") or (f"{row['url']} {title}" if row.get("url") else place))
    if isinstance(row.get("text"), str):
        return Document(name, f"{title}\n\n{row['text']}" if title else row["text"])
    return Talk(name, dialog_from_json(row, place))
