"""Shares of repeated runs are the same in every process, though Python salts the hashes of words in each."""

import os
import subprocess
import sys

import pytest

from openlamda.corpus.repetition import repeated_runs

WORDS = list[str]("aa b filler1 cccccc dddddd filler2 aa b filler3 cccccc dddddd filler4 ee f filler5 ee f".split())
PROGRAM = f"from openlamda.corpus.repetition import repeated_runs; print(list(repeated_runs({WORDS!r}, 5)))"


def test_of_equally_frequent_runs_the_longest_counts():
    characters = sum(map(len, WORDS))
    size, top, _ = next(repeated_runs(WORDS, 5))
    assert (size, top) == (2, pytest.approx(2 * 12 / characters))


def test_every_salt_gives_the_same_shares():
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(1, 7)
    }
    assert len(found) == 1
