"""JSON Lines, plain or packed (.xz, .gz), one object a line; a bad line is named by file and number."""

import gzip
import json
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openlamda.errors import UserError

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of `path`. Raises UserError for a missing file or a line that is no JSON object."""
    return (row for _, row in read_lines(path))


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """As `read_jsonl`, each object with its "file:line" for messages."""
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}:{number}", _row(line, f"{path}:{number}")
    except (OSError, lzma.LZMAError, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read after line {number}: {error}") from None


def _row(line: str, where: str) -> dict[str, Any]:
    """The object of a line, with "?" for lone surrogates, which JSON can carry and UTF-8 cannot."""
    try:
        row = json.loads(line)
        if _SURROGATE.search(line):
            row = json.loads(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:  # no JSON, a number of thousands of digits, a thousand brackets
        raise UserError(f"{where}: {getattr(error, 'msg', error)}, expected a JSON object") from None
    if not isinstance(row, dict):
        raise UserError(f"{where}: {type(row).__name__}, expected a JSON object")
    return row


def find(folder: Path, *patterns: str) -> list[Path]:
    """Files of `folder` by glob patterns, sorted. Raises UserError where a pattern finds none."""
    found = []
    for pattern in patterns:
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise UserError(f"{folder}: no file {pattern!r}; docs/data.md says where the public data comes from")
        found += paths
    return found
