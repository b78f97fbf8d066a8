"""Files that a stage leaves for the next: written whole or not at all, rows as packed JSON Lines."""

import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from openlamda.corpus.rows import Document, Talk
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn

_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that becomes `path` when the block ends well, and vanishes when it does not.

    Raises UserError that names the file when it cannot be written, as on a full disk.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_json(path: Path, value: object) -> None:
    """`value` (dataclasses, dicts, lists, numbers, strings) as JSON."""
    with whole(path) as file:
        file.write(msgspec.json.format(_encode(value)) + b"\n")


@contextmanager
def row_writer(path: Path) -> Iterator[gzip.GzipFile]:
    """A packed file for `write_row`; the same rows give the same bytes."""
    with whole(path) as file, gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
        yield packed


def write_row(file: gzip.GzipFile, row: Document | Talk) -> None:
    """One more line. Documents are [id, text], dialogs [id, [author, text], ...]."""
    line = (
        [row.id, row.text] if isinstance(row, Document) else [row.id, *([t.author, t.text] for t in row.dialog.turns)]
    )
    file.write(_encode(line) + b"\n")


def read_rows(path: Path) -> Iterable[Document | Talk]:
    """What `write_row` wrote, in its order."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            row_id, *parts = _decode(line)
            if parts and isinstance(parts[0], str):
                yield Document(row_id, parts[0])
            else:
                yield Talk(row_id, Dialog(tuple(Turn(author, text) for author, text in parts)))


def text_of(row: Document | Talk) -> str:
    """All that a row says."""
    return row.text if isinstance(row, Document) else "\n".join(turn.text for turn in row.dialog.turns)


def write_array(path: Path, array: np.ndarray) -> None:
    """`array` as .npy. Not numpy's `save`: that hides the reason of a write that failed."""
    with whole(path) as file:
        array = np.ascontiguousarray(array)
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.reshape(-1).view(np.uint8).data)
