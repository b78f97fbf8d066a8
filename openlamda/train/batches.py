"""Sequences packed into rows of a batch: first fit, with a segment number for each, so that none sees another.

Takes the mixed stream of sources.py, gives `Batch`es; knows nothing of what the sequences mean.
"""

from collections.abc import Iterator

import numpy as np

from openlamda.text.grammar import Sequence
from openlamda.text.tokenizer import Symbol
from openlamda.train.loss import Batch

RATINGS = (Symbol.NO, Symbol.YES)


def pack(
    stream: Iterator[tuple[str, Sequence]], rows: int, row_tokens: int, rating_weight: float
) -> Iterator[tuple[Batch, dict[str, int]]]:
    """Batches [rows, row_tokens] and the tokens that each task has in them. No sequence may be longer than a row.

    A batch closes when a sequence fits in none of its rows; that sequence opens the next batch.
    """
    task, sequence = next(stream)
    while True:
        batch = Batch(
            np.zeros((rows, row_tokens), np.int32),
            np.zeros((rows, row_tokens), np.int32),
            np.zeros((rows, row_tokens), np.float32),
        )
        used, segment = np.zeros(rows, int), 0
        counts: dict[str, int] = {}
        while True:
            size = len(sequence.tokens)
            fitting = np.flatnonzero(used + size <= row_tokens)
            if not fitting.size:
                break
            row = fitting[np.argmax(used[fitting])]  # the fullest that has room
            place = slice(used[row], used[row] + size)
            segment += 1
            batch.tokens[row, place] = sequence.tokens
            batch.segments[row, place] = segment
            batch.weights[row, place] = sequence.learned
            batch.weights[row, used[row]] = 0  # nothing stands before a sequence to predict its first token from
            used[row] += size
            counts[task] = counts.get(task, 0) + size
            task, sequence = next(stream)
        batch.weights[np.isin(batch.tokens, RATINGS) & (batch.weights > 0)] = rating_weight
        yield batch, counts
