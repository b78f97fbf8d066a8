"""Trees of texts in rows of one length, each branch followed by all its questions.

Takes ids, gives arrays; knows nothing of models. Axes: R rows, T tokens of a row, X places of texts in a row,
Q questions, N runs of tokens that follow one another: a trunk, a branch or a question.
"""

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np

from openlamda.engine.base import TextTree, Tokens

TEXT_TOKENS = 640  # of the longest text; its questions find room beside it
ROW_TOKENS = 1024  # more where the questions are longer than 384 tokens
ROW_TEXTS = 32  # at most in one row


class Rows(NamedTuple):
    """Packed trees. A token sees what stands in its row from the first token of its own run to itself, and two spans
    above it. Padding sees itself alone.
    """

    tokens_RT: np.ndarray
    depth_RT: np.ndarray  # in its tree
    own_RT: np.ndarray  # the place where its run begins
    branch_RT: np.ndarray  # what a question sees of its branch, all of it: its first place, and the one after its last
    branch_end_RT: np.ndarray
    trunk_RT: np.ndarray  # what a branch and its questions see of their trunk, up to the fork: likewise
    trunk_end_RT: np.ndarray
    end_RXQ: np.ndarray  # the places of the questions' last tokens


class Piece(NamedTuple):
    """As much of a tree as one row holds: some of its branches, and the trunk as far as they need it."""

    tree: TextTree
    trunk: int
    first: int  # number of its first branch among all branches of all trees
    branches: tuple[tuple[int, Tokens], ...]
    size: int  # tokens, with the questions


def pack(trees: Sequence[TextTree], questions: Sequence[Tokens]) -> tuple[np.ndarray, Rows]:
    """The row and the place in it of each branch [branches, 2], and the rows.

    ValueError for no questions or an empty one, for a fork beyond its trunk, and for a text that is empty or longer
    than TEXT_TOKENS.
    """
    if not questions or not all(questions):
        raise ValueError("expected questions of one token or more")
    asked = [len(question) for question in questions]
    T = ROW_TOKENS + -(-max(0, sum(asked) - (ROW_TOKENS - TEXT_TOKENS)) // 64) * 64
    pieces: list[Piece] = []
    total = 0
    for tree in trees:
        pieces += _pieces(tree, sum(asked), T, total)
        total += len(tree.branches)
    rows = _first_fit(pieces, T)
    R = len(rows)
    cells = [np.zeros(R * T, np.int32) for _ in range(7)]
    cells[2][:] = np.arange(R * T) % T
    end_RXQ = np.zeros((R, ROW_TEXTS, len(asked)), np.int32)
    places = np.zeros((total, 2), np.int64)
    if total:
        tokens, runs, branches = _runs(rows, questions, T)
        start_N, size_N, *values = np.array(runs).T
        after = np.arange(len(tokens)) - np.repeat(np.cumsum(size_N) - size_N, size_N)
        where = np.repeat(start_N, size_N) + after
        for cell, value in zip(cells, (tokens, *(np.repeat(value_N, size_N) for value_N in values)), strict=True):
            cell[where] = value
        cells[1][where] += after
        number, row, place, end = np.array(branches).T
        places[number] = np.stack([row, place], axis=1)
        end_RXQ[row, place] = end[:, None] + np.cumsum(asked) - 1
    return places, Rows._make((*(cell.reshape(R, T) for cell in cells), end_RXQ))


def _pieces(tree: TextTree, asked: int, T: int, first: int) -> list[Piece]:
    """The tree whole, or where it is too large for a row, in pieces of as many branches as fit."""
    pieces: list[Piece] = []
    start = trunk = size = 0
    for n, (fork, branch) in enumerate(tree.branches):
        if not 0 <= fork <= len(tree.trunk):
            raise ValueError(f"a branch that forks after {fork} tokens, expected 0 to {len(tree.trunk)}")
        if not 0 < fork + len(branch) <= TEXT_TOKENS:
            raise ValueError(f"a text of {fork + len(branch)} tokens, expected 1 to {TEXT_TOKENS}")
        if n > start and (max(trunk, fork) + size + len(branch) + asked > T or n - start == ROW_TEXTS):
            pieces.append(Piece(tree, trunk, first + start, tree.branches[start:n], trunk + size))
            start, trunk, size = n, 0, 0
        trunk, size = max(trunk, fork), size + len(branch) + asked
    if tree.branches:
        pieces.append(Piece(tree, trunk, first + start, tree.branches[start:], trunk + size))
    return pieces


def _first_fit(pieces: list[Piece], T: int) -> list[list[Piece]]:
    """The pieces of each row: the largest first, each into the first row that has room."""
    rows: list[list[Piece]] = []
    open_rows: list[tuple[int, int, list[Piece]]] = []  # tokens and texts that have room
    least = min((piece.size for piece in pieces), default=0)
    for piece in sorted(pieces, key=lambda piece: -piece.size):
        texts = len(piece.branches)
        fits = (n for n, (room, more, _) in enumerate(open_rows) if room >= piece.size and more >= texts)
        place = next(fits, None)
        if place is None:
            place = len(open_rows)
            rows.append([])
            open_rows.append((T, ROW_TEXTS, rows[-1]))
        room, more, row = open_rows[place]
        row.append(piece)
        if room - piece.size >= least and more > texts:
            open_rows[place] = (room - piece.size, more - texts, row)
        else:
            del open_rows[place]
    return rows


def _runs(rows: list[list[Piece]], questions: Sequence[Tokens], T: int):
    """All tokens; of each run its start among the places of all rows, its size, and its first token's cells but the
    token; of each branch its number, row, place in it, and the place where its questions begin.
    """
    tokens: list[int] = []
    runs: list[tuple[int, ...]] = []
    branches: list[tuple[int, ...]] = []
    asked = [token for question in questions for token in question]
    for row, pieces in enumerate(rows):
        at, place = 0, count()
        for piece in pieces:
            trunk = at
            runs.append((row * T + at, piece.trunk, 0, at, 0, 0, 0, 0))
            tokens += piece.tree.trunk[: piece.trunk]
            at += piece.trunk
            for number, (fork, branch) in enumerate(piece.branches, piece.first):
                own, end, depth = at, at + len(branch), fork + len(branch)
                above = trunk, trunk + fork
                runs.append((row * T + at, len(branch), fork, own, 0, 0, *above))
                tokens += branch
                tokens += asked
                at = end
                branches.append((number, row, next(place), at))
                for question in questions:
                    runs.append((row * T + at, len(question), depth, at, own, end, *above))
                    at += len(question)
    return tokens, runs, branches
