"""What was computed once, by the content that it was computed from: append-only JSON Lines that survive a kill.

Takes plain values, gives them back. Knows nothing of replies or ratings.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from openlamda.corpus.readers import read_lines
from openlamda.errors import UserError


def key(**content: Any) -> str:
    """A hash of plain values: equal values, equal key."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Kept:
    """Key -> value, in memory and in a file. A last line that a kill has torn is dropped."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._values: dict[str, Any] = {}
        if path.exists():
            whole = path.read_bytes().rfind(b"\n") + 1
            with path.open("r+b") as file:
                file.truncate(whole)
            for place, row in read_lines(path):
                if "key" not in row or "value" not in row:
                    raise UserError(f"{place}: expected fields 'key' and 'value'")
                self._values[row["key"]] = row["value"]
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, key: str) -> Any | None:
        """The value of `key`; None where it is not kept."""
        return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep `value`, a plain JSON value. It is handed to the operating system before this returns."""
        self._values[key] = value
        self._file.write(json.dumps({"key": key, "value": value}) + "\n")
        self._file.flush()
