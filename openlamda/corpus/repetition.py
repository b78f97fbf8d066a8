"""How much a text repeats itself: shares of lines and of runs of words (Gopher: Rae et al. 2021, table A1).

Takes words and lines, gives shares of characters (those of words; spaces are not counted). Knows no limits.
"""

from collections.abc import Iterator

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


def repeated_runs(words: list[str], longest: int) -> Iterator[tuple[int, float, float]]:
    """(n, share of the most frequent run of n words times its count, share of the runs of n that were there before).

    For n from 2 to `longest`, until no run comes twice. Characters where runs overlap count once in the last. Only runs
    whose first n - 1 words come twice are looked at. Runs are told apart by 64-bit hashes; Python salts those of words
    anew in each process, but only whether they are equal counts.
    """
    hashes = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    ends = np.concatenate([[0], np.cumsum(lengths)])
    characters = max(1, int(ends[-1]))
    at, keys = np.arange(len(words)), hashes
    for size in range(2, longest + 1):
        fits = at + size <= len(words)
        at, keys = at[fits], keys[fits]
        if not len(at):
            return
        keys = keys * _BASE + hashes[at + (size - 1)]
        order = np.argsort(keys)
        ordered = keys[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        counts = np.diff(starts, append=len(at))
        most = int(counts.max())
        if most < 2:
            return
        first = at[order[starts[counts == most]]]  # of equally frequent runs the longest, whatever the salt
        top = most * int((ends[first + size] - ends[first]).max()) / characters
        again = np.zeros(len(words), np.int64)
        again[at] = 1
        again[at[np.minimum.reduceat(order, starts)]] = 0  # the first of each
        covered = np.convolve(again, np.ones(size, np.int64))[: len(words)] > 0
        yield size, top, int(lengths[covered].sum()) / characters
        twice = np.sort(order[np.repeat(counts > 1, counts)])
        at, keys = at[twice], keys[twice]
