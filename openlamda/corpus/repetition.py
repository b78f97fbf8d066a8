"""How much a text repeats itself: shares of lines and of runs of words (Gopher: Rae et al. 2021, table A1).

Takes words and lines, gives shares of characters (those of words; spaces are not counted). Knows no limits.
"""

import numpy as np

_BASE = np.uint64(0x9E3779B97F4A7C15)


def duplicate_lines(lines: list[str]) -> tuple[float, float]:
    """(share of lines that were there before, share of the characters that stand in those)."""
    seen: set[str] = set()
    count = characters = 0
    for line in lines:
        if line in seen:
            count += 1
            characters += len(line)
        seen.add(line)
    total = sum(map(len, lines))
    return (count / len(lines), characters / total) if total else (0.0, 0.0)


class Runs:
    """The runs of `words`, counted by length.

    Runs are told apart by 64-bit hashes. Python salts those of strings anew in each process; only their equality counts.
    """

    def __init__(self, words: list[str]):
        self._hashes = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
        self._lengths = np.fromiter(map(len, words), np.int64, len(words))
        self._characters = max(1, int(self._lengths.sum()))

    def _keys(self, size: int) -> np.ndarray:
        count = max(0, len(self._hashes) - size + 1)
        keys = np.zeros(count, np.uint64)
        for start in range(size):
            keys *= _BASE
            keys += self._hashes[start : start + count]
        return keys

    def top(self, size: int) -> float:
        """Share of the characters in the most frequent run of `size` words, times its count; 0 if none comes twice."""
        keys = self._keys(size)
        ordered = np.sort(keys)
        starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        counts = np.diff(starts, prepend=0, append=len(keys))
        if len(keys) < 2 or counts.max() < 2:
            return 0.0
        best = int(counts.argmax())
        at = int((keys == ordered[starts[best - 1] if best else 0]).argmax())
        return int(counts[best]) * int(self._lengths[at : at + size].sum()) / self._characters

    def repeated(self, size: int) -> float:
        """Share of the characters in runs of `size` words that were there before, each character counted once."""
        keys = self._keys(size)
        ordered = np.sort(keys)
        if not (ordered[1:] == ordered[:-1]).any():
            return 0.0
        again = np.ones(len(keys), np.int64)
        again[np.unique(keys, return_index=True)[1]] = 0
        covered = np.convolve(again, np.ones(size, np.int64)) > 0
        return int(self._lengths[covered].sum()) / self._characters
