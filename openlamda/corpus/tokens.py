"""The third stage: the rows of a task that stay as tokens, cut into pieces that fit a row.

Takes rows/ and drops/, gives tokens/ (all tokens of the task one after the other), pieces/ (where each piece lies) and
bins/ (how many tokens each 1/4096 of the rows has, for the mixture).
"""

import hashlib
from array import array
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from openlamda.corpus import dedup, plan
from openlamda.corpus.files import read_rows, whole, write_array, write_json
from openlamda.corpus.minhash import SIGNATURE, mix
from openlamda.corpus.packing import token_type
from openlamda.corpus.report import Report
from openlamda.corpus.rows import Document, held_back
from openlamda.text.grammar import TURNS, Grammar
from openlamda.text.tokenizer import Tokenizer

BINS = 4096
PIECE = np.dtype([("row", "<u8"), ("number", "<u4"), ("length", "<u4"), ("offset", "<u8")])
"""Some tokens of a row: the row's hash, which piece of it, how many tokens, where they lie in the task's file."""


def tokenise(work: Path, task: int) -> None:
    """Turn the rows of a task that stay into tokens, cut into pieces of at most `row_tokens`."""
    todo = plan.read(work)
    recipe = todo.recipe
    grammar = Grammar(_tokenizer(work.parent / "tokenizer.model").encode)
    drops = _drops(work, todo, task)
    report = Report()
    columns = {name: array("Q") for name in PIECE.names or ()}
    written = 0
    with whole(work / f"tokens/{task:05}") as file:
        for number, row in enumerate(read_rows(work / f"rows/{task:05}.jsonl.gz")):
            if number in drops:
                near, first = drops[number]
                report.drop("near duplicate" if near else "duplicate", row, first)
                continue
            if held_back(row.id, recipe.held_back_percent):  # after the duplicates, so that no twin of it stays
                report.drop("held back", row)
                continue
            sequence = grammar.document(row.text) if isinstance(row, Document) else grammar.dialog(row.dialog)
            tokens = np.array(sequence.tokens, token_type(todo.vocab_size))
            file.write(tokens.data)
            report.keep(row, len(tokens))
            name = int.from_bytes(hashlib.blake2b(row.id.encode(), digest_size=8).digest(), "little")
            for piece, (start, stop) in enumerate(pairwise(cuts(tokens, recipe.row_tokens))):
                columns["row"].append(name)
                columns["number"].append(piece)
                columns["length"].append(stop - start)
                columns["offset"].append(written + start)
            written += len(tokens)
    pieces = np.zeros(len(columns["row"]), PIECE)
    for name, values in columns.items():
        pieces[name] = np.frombuffer(values, np.uint64) if values else 0
    write_array(work / f"pieces/{task:05}.npy", pieces)
    counts = np.bincount(bins(pieces, recipe.seed), pieces["length"], BINS).astype(np.int64)
    write_array(work / f"bins/{task:05}.npy", counts)
    write_json(work / f"reports/tokenise-{task:05}.json", report)


@cache
def _tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.load(path)


def _drops(work: Path, todo: plan.Plan, task: int) -> dict[int, tuple[bool, int]]:
    sizes = [(work / f"signatures/{other:05}").stat().st_size // SIGNATURE.itemsize for other in range(task + 1)]
    start = sum(sizes[:-1])
    parts = [work / f"drops/{part:05}.npy" for part in range(todo.parts)]
    found = dedup.read(parts, start, start + sizes[-1])
    return {int(drop["row"]) - start: (bool(drop["near"]), int(drop["first"])) for drop in found}


def cuts(tokens: np.ndarray, limit: int) -> list[int]:
    """Where the pieces of a sequence begin, and its end: before a turn where one begins in time, else at the limit.

    No piece is a lone token, which nothing could be learned from.
    """
    if len(tokens) <= limit:
        return [0, len(tokens)]
    turns = np.flatnonzero(np.isin(tokens, list(TURNS.values())))
    places = [0]
    while len(tokens) - places[-1] > limit:
        start = places[-1]
        before = turns[(turns > start + 1) & (turns <= start + limit)]
        place = int(before[-1]) if before.size else start + limit
        places.append(place - 1 if len(tokens) - place == 1 and place - start > 2 else place)
    return [*places, len(tokens)]


def bins(pieces: np.ndarray, seed: int) -> np.ndarray:
    """The bin of each piece: that of its row, so that a part of a source is made of whole rows."""
    return (mix(pieces["row"] ^ seeded(seed, 0)) >> np.uint64(52)).astype(np.int64)


def seeded(seed: int, epoch: int) -> np.ndarray:
    """A hash of both, uint64 [1]."""
    return mix(np.array([(seed * 1_000_003 + epoch + 1) % 2**64], np.uint64))
