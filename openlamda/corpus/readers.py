"""JSON Lines, plain or packed (.xz, .gz), one object a line; a bad line is named by file and number."""

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openlamda.errors import UserError


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of `path`. Raises UserError for a missing file or a line that is no JSON object."""
    return (row for _, row in read_lines(path))


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """As `read_jsonl`, each object with its "file:line" for messages."""
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with opener(path, "rt", encoding="utf-8") as lines:
        try:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise UserError(f"{path}:{number}: {error.msg}, expected a JSON object") from None
                if not isinstance(row, dict):
                    raise UserError(f"{path}:{number}: {type(row).__name__}, expected a JSON object")
                yield f"{path}:{number}", row
        except (lzma.LZMAError, gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None


def find(folder: Path, *patterns: str) -> list[Path]:
    """Files of `folder` by glob patterns, sorted. Raises UserError where a pattern finds none."""
    found = []
    for pattern in patterns:
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise UserError(f"{folder}: no file {pattern!r}; docs/data.md says where the public data comes from")
        found += paths
    return found
