"""Which rows were said before: equal keys are found part by part, near-duplicates compared before they are dropped.

Takes the signatures of all tasks, gives (row, the earlier row, near or exact); rows are numbered through all tasks in
the order of the input. Each part handles the keys that are its number modulo the number of parts, one band at a time:
so much is in memory. A row goes if it is like any earlier row of its bands that it was compared with (the first and the
one before it), so the first always stays, and no order of work changes what is dropped.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from openlamda.corpus import plan
from openlamda.corpus.files import write_array
from openlamda.corpus.minhash import BANDS, SIGNATURE, similarity

DROP = np.dtype([("row", "<i8"), ("first", "<i8"), ("near", "?")])
_PAIRS = 65_536  # compared at a time: 16 MB


class Signatures:
    """The signatures of all tasks, on disk, numbered through."""

    def __init__(self, paths: list[Path]):
        sizes = [path.stat().st_size // SIGNATURE.itemsize for path in paths]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._files = [
            np.memmap(path, SIGNATURE, "r") if size else np.zeros(0, SIGNATURE)
            for path, size in zip(paths, sizes, strict=True)
        ]

    def keys(self, band: int | None, part: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """(keys, rows) of one band, or of the exact hashes, that fall to this part; rows ascend."""
        found = [(np.zeros(0, np.uint64), np.zeros(0, np.int64))]
        for start, file in zip(self.starts, self._files, strict=False):
            keys = file["exact"] if band is None else file["bands"][:, band]
            mine = np.flatnonzero(keys % np.uint64(parts) == part)
            found.append((keys[mine], start + mine))
        return np.concatenate([keys for keys, _ in found]), np.concatenate([rows for _, rows in found])

    def least(self, rows: np.ndarray) -> np.ndarray:
        """The smallest hashes of `rows`: [len(rows), 128]."""
        tasks = np.searchsorted(self.starts, rows, "right") - 1
        found = np.empty((len(rows), SIGNATURE["least"].shape[0]), np.uint8)
        for task in np.unique(tasks):
            here = tasks == task
            found[here] = self._files[task]["least"][rows[here] - self.starts[task]]
        return found


def repeated(keys: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows, earlier rows with the same key): each row with the first of its group, then with the one before it."""
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    opens = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    first = np.maximum.accumulate(np.where(opens, np.arange(len(keys)), 0))
    yield rows[~opens], rows[first[~opens]]
    third = np.flatnonzero(~opens & (np.arange(len(keys)) - first > 1))
    yield rows[third], rows[third - 1]


def find(signatures: Signatures, part: int, parts: int, exact: bool, threshold: float | None) -> np.ndarray:
    """DROP records of this part, one a row, by row; without a `threshold` near-duplicates are not looked for."""
    found = [np.zeros(0, DROP)]
    if exact:
        rows, first = next(repeated(*signatures.keys(None, part, parts)))
        found.append(_drops(rows, first, False))
    for band in range(BANDS if threshold is not None else 0):
        for rows, earlier in repeated(*signatures.keys(band, part, parts)):
            for start in range(0, len(rows), _PAIRS):
                left, right = rows[start : start + _PAIRS], earlier[start : start + _PAIRS]
                alike = similarity(signatures.least(left), signatures.least(right)) >= threshold
                found.append(_drops(left[alike], right[alike], True))
    return first_reasons(found)


def first_reasons(found: list[np.ndarray]) -> np.ndarray:
    """One DROP a row: exact before near, then the earliest row that it repeats."""
    drops = np.concatenate([np.zeros(0, DROP), *found])
    drops = drops[np.lexsort((drops["first"], drops["near"], drops["row"]))]
    return drops[np.concatenate([[True], drops["row"][1:] != drops["row"][:-1]])[: len(drops)]]


def _drops(rows: np.ndarray, first: np.ndarray, near: bool) -> np.ndarray:
    drops = np.zeros(len(rows), DROP)
    drops["row"], drops["first"], drops["near"] = rows, first, near
    return drops


def compare(work: Path, part: int) -> None:
    """The second stage: drops/ of one part of the keys, from signatures/ of all tasks."""
    todo = plan.read(work)
    wanted = todo.recipe.dedup
    signatures = Signatures([work / f"signatures/{task:05}" for task in range(len(todo.tasks))])
    found = find(signatures, part, todo.parts, wanted.exact, wanted.threshold if wanted.minhash else None)
    write_array(work / f"drops/{part:05}.npy", found)


def read(paths: list[Path], start: int, stop: int) -> np.ndarray:
    """The drops of all parts for rows start to stop, one a row, by row."""
    found = []
    for path in paths:
        drops = np.load(path, mmap_mode="r")
        found.append(drops[slice(*np.searchsorted(drops["row"], (start, stop)))])
    return first_reasons(found)
