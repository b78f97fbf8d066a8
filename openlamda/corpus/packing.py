"""Pieces of token sequences packed into rows, and what a shard is: an array [rows, 2, row_tokens] in a .npy file.

[:, 0] are tokens, [:, 1] the number of the segment that each belongs to, from 1 in every row; 0 is padding. All
tokens of a segment but its first are learned.
"""

from collections.abc import Iterable, Sequence

import numpy as np

VALIDATION = "validation.npy"  # a shard of rows that are not trained on


def token_type(vocab_size: int) -> np.dtype:
    """The smallest unsigned type that holds every id."""
    return np.dtype("<u2" if vocab_size <= 65_536 else "<u4")


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05}.npy"


def best_fit(lengths: Iterable[int], size: int) -> tuple[list[int], list[int]]:
    """For each piece its row and its place in it: the row with the least room that has enough, else a new one.

    A set of the rooms that rows have is kept as the bits of one integer, so that each piece takes constant time.
    """
    rows, starts = [], []
    with_room: list[list[int]] = [[] for _ in range(size + 1)]
    rooms, opened = 0, 0
    for length in lengths:
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            row, room = opened, size
            opened += 1
        rows.append(row)
        starts.append(size - room)
        left = room - length
        if left:
            with_room[left].append(row)
            rooms |= 1 << left
    return rows, starts


def pack(pieces: Iterable[np.ndarray], lengths: Sequence[int], row_tokens: int, dtype: np.dtype) -> np.ndarray:
    """A shard: the pieces in rows by `best_fit`."""
    rows, starts = best_fit(lengths, row_tokens)
    packed = np.zeros((max(rows, default=-1) + 1, 2, row_tokens), dtype)
    segments = [0] * len(packed)
    for piece, row, start in zip(pieces, rows, starts, strict=True):
        stop = start + len(piece)
        segments[row] += 1
        packed[row, 0, start:stop] = piece
        packed[row, 1, start:stop] = segments[row]
    return packed
