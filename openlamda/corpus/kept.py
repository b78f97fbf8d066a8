"""The turns that a finished filter job kept, read a few chunks at a time: memory does not grow with their number."""

import random
from collections.abc import Iterator
from pathlib import Path

from openlamda.corpus.readers import find, read_lines
from openlamda.corpus.rows import Judged, split
from openlamda.errors import UserError
from openlamda.text.dialog import dialog_from_json

CHUNKS = 32  # whose turns are shuffled together


class KeptTurns:
    """The turns of a directory of `openlamda filter` that are for one use (`rows.split`).

    Raises UserError for an unfinished job; for a row that `openlamda filter` did not write, when it is come to.
    """

    def __init__(self, directory: Path, use: str):
        if not (directory / "manifest.json").is_file():
            raise UserError(f"{directory}: no manifest.json, expected the directory of a finished `openlamda filter`")
        self._files, self._use = list(find(directory, "turns-*.jsonl.gz")), use

    def __iter__(self) -> Iterator[Judged]:
        return self._read(self._files)

    def shuffled(self, rng: random.Random) -> Iterator[Judged]:
        """Every turn once, in another order: chunks at random, the turns of some together at random."""
        files = rng.sample(self._files, len(self._files))
        for first in range(0, len(files), CHUNKS):
            turns = list(self._read(files[first : first + CHUNKS]))
            rng.shuffle(turns)
            yield from turns

    def _read(self, files: list[Path]) -> Iterator[Judged]:
        for path in files:
            for place, row in read_lines(path):
                row_id, response = row.get("id"), row.get("response")
                if not isinstance(row_id, str) or not isinstance(response, str) or "context" not in row:
                    raise UserError(f"{place}: expected id, context and response, as `openlamda filter` writes them")
                if split(row_id) == self._use:
                    yield Judged(row_id, dialog_from_json(row["context"], f"{place}: context"), response)
