"""Rows of any file that a corpus is made of. Bad rows are reported by file and line, the rest is read.

Takes a path, gives documents and dialogs. What an object means is shapes.py's, pages are web.py's.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from openlamda.corpus import comments, parquet, web
from openlamda.corpus.lines import Report, read_lines
from openlamda.corpus.rows import Document, Talk
from openlamda.corpus.shapes import UnknownShape, read_row
from openlamda.errors import UserError

PIECE = 200_000  # characters of a text file that make one document


def suffixes() -> tuple[str, ...]:
    """Which files of a folder are read."""
    return tuple(_READERS)


def read(path: Path, report: Report, name: str = "") -> Iterator[Document | Talk]:
    """The rows of `path`; what cannot be read goes to `report("file:line", "what was found, what was expected")`.
    The id of a row that brings none begins with `name`, or else with the file's.

    Raises UserError for a file that is not there, whose suffix is unknown, or that needs a package to be installed.
    """
    reader = next((reader for suffix, reader in _READERS.items() if path.name.lower().endswith(suffix)), None)
    if reader is None:
        raise UserError(f"{path}: suffix {path.suffix!r}, expected one of {', '.join(_READERS)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    found = False

    def noted(where: str, what: str) -> None:
        nonlocal found
        found = True
        report(where, what)

    try:
        for row in reader(path, noted, name or path.name):
            found = True
            yield row
    except OSError as error:
        noted(str(path), f"{error.strerror or error}, expected a file that can be read")
    if not found:
        report(str(path), "nothing to read, expected one row or more")


def _json_lines(path: Path, report: Report, name: str) -> Iterator[Document | Talk]:
    return _rows(path, read_objects(path, report), report, name)


def _parquet(path: Path, report: Report, name: str) -> Iterator[Document | Talk]:
    return _rows(path, parquet.read_objects(path, report), report, name)


def read_objects(path: Path, report: Report, most: int | None = None) -> Iterator[tuple[int, Any]]:
    """(line, JSON value) of the lines that hold one, of at most `most` bytes."""
    for number, line in read_lines(path, report, most):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as error:
            report(f"{path}:{number}", _no_unicode(error))
        except RecursionError:
            report(f"{path}:{number}", "brackets too deep, expected a JSON object")
        except ValueError as error:  # no JSON, or a number of thousands of digits
            report(f"{path}:{number}", f"{getattr(error, 'msg', error)}, expected a JSON object")
        else:
            yield number, value


def _no_unicode(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at {error.start} is not UTF-8, expected UTF-8"


def _rows(path: Path, objects: Iterable[tuple[int, Any]], report: Report, name: str) -> Iterator[Document | Talk]:
    """The rows of JSON objects or a table; a shape that says nothing is reported once, with the number of such rows."""
    thread: list[comments.Comment] = []
    unknown: Counter[str] = Counter()
    for number, value in objects:
        where = f"{path}:{number}"
        try:
            if not isinstance(value, dict):
                raise UserError(f"{type(value).__name__}, expected a JSON object")
            row = read_row(value, f"{name}:{number}")
        except UnknownShape as error:
            kind = str(error) if str(error) in unknown or len(unknown) < 100 else "other fields"
            unknown[kind] += 1
            if unknown[kind] == 1:
                report(where, str(error))
        except UserError as error:
            report(where, str(error))
        else:
            if isinstance(row, comments.Comment):
                thread.append(row)
            else:
                yield row
    for what, count in unknown.items():
        if count > 1:
            report(str(path), f"{count - 1:,} more rows like that: {what}")
    if thread:
        dropped: Counter[str] = Counter()
        yield from comments.mine(thread, dropped)
        if dropped:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in dropped.most_common())
            report(str(path), f"{dropped.total():,} of {len(thread):,} comments dropped: {reasons}")


def _text(path: Path, report: Report, name: str) -> Iterator[Document]:
    """A text file as one document, a long one as several, cut between paragraphs where there are any."""
    for number, text in enumerate(_pieces(_text_lines(path, report)), 1):
        if text.strip():
            yield Document(name if number == 1 else f"{name}#{number}", text)


def _text_lines(path: Path, report: Report) -> Iterator[str]:
    for number, line in read_lines(path, report):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            report(f"{path}:{number}", _no_unicode(error))
            continue
        if "\0" in text:
            report(f"{path}:{number}", "a NUL character, expected text")
            continue
        yield text


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    size = paragraph = 0  # characters held; lines up to the last empty one
    for line in lines:
        for start in range(0, len(line), PIECE):
            part = line[start : start + PIECE]
            if size + len(part) > PIECE:
                cut = paragraph or len(held)
                yield "".join(held[:cut])
                held = held[cut:]
                size, paragraph = sum(map(len, held)), 0
                if size + len(part) > PIECE:
                    yield "".join(held)
                    held, size = [], 0
            held.append(part)
            size += len(part)
        if not line.strip():
            paragraph = len(held)
    if held:
        yield "".join(held)


_READERS: dict[str, Callable[[Path, Report, str], Iterator[Document | Talk]]] = {
    ".jsonl": _json_lines,
    ".jsonl.gz": _json_lines,
    ".jsonl.xz": _json_lines,
    ".jsonl.zst": _json_lines,
    ".parquet": _parquet,
    ".txt": _text,
    ".md": _text,
    ".html": web.read_page,
    ".htm": web.read_page,
    ".warc": web.read_warc,
    ".warc.gz": web.read_warc,
    ".zim": web.read_zim,
}
