"""Ratings in bulk: equal to a plain forward, and the same bits whatever is computed together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.engine import bulk
from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)
QUESTIONS = [(4,), (5, 6), (5, 7)]
PARAMS = weights.init(TINY, jax.random.key(3))


def texts(count: int, longest: int) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(count)
    return [tuple(rng.integers(2, 50, rng.integers(1, longest)).tolist()) for _ in range(count)]


def test_ratings_equal_a_plain_forward():
    asked = [*texts(7, 200), (9,) * bulk.ROW_TOKENS, (3,)]
    found = bulk.rate_all(PARAMS, TINY, asked, QUESTIONS, 2, 3, batch_rows=2)
    assert found.shape == (9, 3)
    for question, gaps in zip(QUESTIONS, found.T, strict=True):
        rows = np.zeros((9, bulk.ROW_TOKENS + 2), np.int32)  # one shape, compiled once; what follows is not seen
        for row, text in zip(rows, asked, strict=True):
            row[: len(text + question)] = text + question
        hidden = transformer.forward(PARAMS, jnp.asarray(rows), jnp.ones_like(rows), TINY)
        logits = transformer.logits(PARAMS, hidden)
        ends = np.array([len(text + question) - 1 for text in asked])
        plain = logits[np.arange(9), ends, 2] - logits[np.arange(9), ends, 3]
        np.testing.assert_allclose(gaps, plain, atol=1e-4)


def test_ratings_are_the_same_bits_for_any_batch():
    asked = texts(60, 300)
    first, *others = (bulk.rate_all(PARAMS, TINY, asked, QUESTIONS, 2, 3, batch_rows=n) for n in (1, 2, 5, 32))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_every_text_is_packed_once():
    asked = texts(200, 90)
    places, rows = bulk.pack(asked, QUESTIONS)
    assert len({tuple(place) for place in places.tolist()}) == 200 and places[:, 1].max() < bulk.ROW_TEXTS
    for text, (row, place) in zip(asked, places, strict=True):
        assert tuple(rows.tokens_RT[row][rows.segments_RT[row] == place + 1]) == text
    filled_R, texts_R = (rows.segments_RT > 0).mean(axis=1), rows.segments_RT.max(axis=1)
    assert all(
        filled_R[:-1][texts_R[:-1] < bulk.ROW_TEXTS] > 0.95
    )  # every row but the last is full of one or the other


def test_no_texts_and_impossible_ones():
    assert bulk.rate_all(PARAMS, TINY, [], QUESTIONS, 2, 3, batch_rows=4).shape == (0, 3)
    for text in ((), (5,) * (bulk.ROW_TOKENS + 1)):
        with pytest.raises(ValueError, match="expected texts of 1 to 512 tokens"):
            bulk.rate_all(PARAMS, TINY, [text], QUESTIONS, 2, 3, batch_rows=4)
