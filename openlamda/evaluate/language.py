"""Bits per byte of held-back text: the model's, and a 5-gram's over the same tokens."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from openlamda.engine.base import LanguageModel, Tokens
from openlamda.evaluate.metric import Metric, measure


@dataclass(frozen=True)
class Piece:
    """A stretch of text as tokens: the first `given` are read, the rest predicted; `bytes` of the predicted text."""

    tokens: Tokens
    given: int
    bytes: int


def model_bits(model: LanguageModel, pieces: Sequence[Piece]) -> list[float]:
    """Bits that the model needs for each piece."""
    return [
        -sum(model.score(piece.tokens[: piece.given], [piece.tokens[piece.given :]])[0]) / math.log(2)
        for piece in pieces
    ]


def bits_per_byte(name: str, bits: Sequence[float], pieces: Sequence[Piece]) -> Metric:
    """Total bits over total bytes."""
    rows = list(zip(bits, (piece.bytes for piece in pieces), strict=True))
    return measure(name, rows, lambda chosen: sum(b for b, _ in chosen) / sum(size for _, size in chosen))


def perplexity(name: str, bits: Sequence[float], pieces: Sequence[Piece]) -> Metric:
    """Two to the mean bits of a predicted token; only models with the same tokenizer can be compared by it."""
    rows = list(zip(bits, (len(piece.tokens) - piece.given for piece in pieces), strict=True))
    return measure(name, rows, lambda chosen: 2 ** (sum(b for b, _ in chosen) / sum(count for _, count in chosen)))


class FiveGram:
    """Interpolated absolute discounting over tokens (Kneser and Ney's back-off without their lower-order counts)."""

    ORDER = 5
    DISCOUNT = 0.75

    def __init__(self, sequences: Iterator[Tokens], vocab_size: int):
        self._vocab_size = vocab_size
        text = np.concatenate([np.array((0,) * (self.ORDER - 1) + tokens, np.uint64) for tokens in sequences])
        self._tables = []
        for order in range(1, self.ORDER + 1):
            context, full = self._hashes(text, order)
            grams, counts = np.unique(full, return_counts=True)
            contexts, totals = np.unique(context, return_counts=True)
            first = np.unique(full, return_index=True)[1]
            kinds = np.unique(context[first], return_counts=True)[1]  # sorted as `contexts`: each has a continuation
            self._tables.append((grams, counts, contexts, totals, kinds))

    def _hashes(self, tokens: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
        """For each place from ORDER - 1 on: hash of the order - 1 tokens before it, and of those with its own."""
        places = np.arange(self.ORDER - 1, len(tokens))
        context = np.full(len(places), order, np.uint64)
        for back in range(order - 1, 0, -1):
            context = _mix(context, tokens[places - back])
        return context, _mix(context, tokens[places])

    def bits(self, piece: Piece) -> float:
        """Bits for the predicted tokens of a piece."""
        tokens = np.array((0,) * (self.ORDER - 1) + piece.tokens, np.uint64)
        probability = np.full(len(piece.tokens), 1 / self._vocab_size)
        for order, (grams, counts, contexts, totals, kinds) in enumerate(self._tables, 1):
            context, full = self._hashes(tokens, order)
            total, kind, count = (
                _look(contexts, totals, context),
                _look(contexts, kinds, context),
                _look(grams, counts, full),
            )
            seen = np.maximum(total, 1)
            mixed = np.maximum(count - self.DISCOUNT, 0) / seen + self.DISCOUNT * kind / seen * probability
            probability = np.where(total > 0, mixed, probability)
        return float(-np.log2(probability[piece.given :]).sum())


def _mix(hashed: np.ndarray, token: np.ndarray) -> np.ndarray:
    mixed = (hashed ^ (token + np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(29))


def _look(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
