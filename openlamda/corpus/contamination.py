"""Whether a text quotes evaluation data: runs of 13 words in common (GPT-3: Brown et al. 2020, appendix C).

Takes evaluation files of any format, gives a function from text to yes or no. Case, punctuation and typography do not
count. An evaluation text of 8 to 12 words must be quoted whole. Shorter ones are said by chance (GPT-3 has the same
limit): of 6,000 self-dialogues 15 % hold a turn of five or more words out of two other sets of dialogs, 6 % one of six,
1.8 % one of seven, 0.2 % one of eight.
Sixteen bytes for each run: a million runs are 16 MB, and a table of at most 64 MB beside them.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from openlamda.corpus import formats, parquet, words
from openlamda.corpus.rows import Document
from openlamda.errors import UserError

SHORTEST = 8  # words
_TABLE_BITS = 26


class Index:
    """Runs of words of evaluation texts (as `words.hashes`), sorted; most look-ups end at their first eight words."""

    def __init__(self, texts: Iterable[np.ndarray], ngram: int = 13):
        heads, runs = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        sizes: set[int] = set()
        for said in texts:
            size = min(ngram, len(said))
            if size >= SHORTEST:
                sizes.add(size)
                starts = np.arange(len(said) - size + 1)
                heads.append(words.polynomials(said, starts, starts + SHORTEST))
                runs.append(words.polynomials(said, starts, starts + size))
        self._heads, self._runs = np.unique(np.concatenate(heads)), np.unique(np.concatenate(runs))
        self._sizes = sorted(sizes)
        bits = min(_TABLE_BITS, max(10, (16 * len(self._heads)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._maybe = np.zeros(2**bits, bool)  # a glance in place of most searches
        self._maybe[self._heads >> self._shift] = True

    def __len__(self) -> int:
        return len(self._runs)

    def quoted_in(self, text: str) -> bool:
        """Whether `text` has a run of words of the evaluation texts."""
        said = words.hashes(text)
        if len(said) < SHORTEST or not len(self):
            return False
        starts = np.arange(len(said) - SHORTEST + 1)
        heads = words.polynomials(said, starts, starts + SHORTEST)
        starts = np.flatnonzero(self._maybe[heads >> self._shift])
        starts = starts[_among(heads[starts], self._heads)]
        for size in self._sizes if len(starts) else ():
            whole = starts[starts + size <= len(said)]
            if _among(words.polynomials(said, whole, whole + size), self._runs).any():
                return True
        return False


def _among(hashes: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    places = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
    return ordered[places] == hashes


def make_index(paths: Iterable[str], ngram: int = 13) -> Index:
    """The index of evaluation files: every text in the objects of JSON Lines and Parquet, every row of other formats.

    Raises UserError for a file that cannot be read whole: what it holds could not be kept out.
    """
    if ngram < SHORTEST:
        raise UserError(f"filters: contamination_ngram {ngram}, expected {SHORTEST} or more")
    return Index((said for path in paths for said in _said(Path(path).expanduser())), ngram)


def _said(path: Path) -> Iterator[np.ndarray]:
    found = False
    for text in _texts(path):
        said = words.hashes(text)
        if len(said) >= SHORTEST:
            found = True
            yield said
    if not found:
        raise UserError(f"{path}: no text of {SHORTEST} words or more, expected evaluation rows that can be told apart")


def _texts(path: Path) -> Iterator[str]:
    def refuse(where: str, what: str) -> None:
        raise UserError(f"{where}: {what}")

    name = path.name.lower()
    if ".jsonl" in name:
        objects = formats.read_objects(path, refuse)
    elif name.endswith(".parquet"):
        objects = parquet.read_objects(path, refuse)
    else:
        for row in formats.read(path, refuse):
            yield from [row.text] if isinstance(row, Document) else [turn.text for turn in row.dialog.turns]
        return
    for _, value in objects:
        yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
