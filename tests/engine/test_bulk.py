"""Ratings in bulk: equal to a plain forward, and the same bits whatever is computed together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.engine import bulk, tiles
from openlamda.engine.base import TextTree
from openlamda.engine.layered import layered
from openlamda.engine.packing import ROW_TEXTS, ROW_TOKENS, TEXT_TOKENS, Rows, pack
from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.attention import HIDDEN
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)
QUESTIONS = [(4,), (5, 6), (5, 7)]
PARAMS = weights.init(TINY, jax.random.key(3))
WEIGHTS = layered(PARAMS, TINY)


def trees(count: int, trunk: int, branch: int, branches: int = 5) -> list[TextTree]:
    """Of all sizes up to these, forks anywhere, in any order, several at one place."""
    rng = np.random.default_rng(count)

    def some(least: int, most: int) -> tuple[int, ...]:
        return tuple(rng.integers(2, 50, rng.integers(least, most + 1)).tolist())

    def tree() -> TextTree:
        own = some(0, trunk)
        forks = rng.integers(0, len(own) + 1, rng.integers(1, branches + 1)).tolist()
        return TextTree(own, tuple((fork, some(int(fork == 0), branch)) for fork in forks))

    return [tree() for _ in range(count)]


def texts(asked: list[TextTree]) -> list[tuple[int, ...]]:
    return [tree.trunk[:fork] + own for tree in asked for fork, own in tree.branches]


def plain(asked: list[TextTree], question: tuple[int, ...]) -> np.ndarray:
    whole = [text + question for text in texts(asked)]
    rows = np.zeros((64, TEXT_TOKENS + 2), np.int32)  # one shape, compiled once; what follows is not seen
    for row, text in zip(rows, whole, strict=False):
        row[: len(text)] = text
    hidden = transformer.forward(PARAMS, jnp.asarray(rows), jnp.ones_like(rows), TINY)
    logits = transformer.logits(PARAMS, hidden)
    ends = np.array([len(text) - 1 for text in whole])
    at = np.arange(len(whole)), ends
    return np.asarray(logits[*at, 2] - logits[*at, 3])


def test_ratings_equal_a_plain_forward():
    full = TextTree((9,) * 400, ((400, (3,) * 48), (0, (8,)), (1, ()), (400, ()), (17, (9,) * 300)))
    asked = [*trees(14, 160, 120), full, TextTree((), ((0, (7,) * TEXT_TOKENS),)), TextTree((4, 5), ())]
    assert 30 < len(texts(asked)) <= 64
    found = bulk.rate_all(WEIGHTS, TINY, asked, QUESTIONS, 2, 3, batch_rows=2)
    assert found.shape == (len(texts(asked)), 3)
    for question, gaps in zip(QUESTIONS, found.T, strict=True):
        np.testing.assert_allclose(gaps, plain(asked, question), atol=1e-4)


def test_with_weights_of_bfloat16_ratings_are_close_and_the_same_bits_for_any_batch():
    asked = trees(14, 160, 120)
    low = layered({name: weight.astype(jnp.bfloat16) for name, weight in PARAMS.items()}, TINY)
    found, again = (bulk.rate_all(low, TINY, asked, QUESTIONS, 2, 3, batch_rows=n) for n in (2, 7))
    np.testing.assert_array_equal(found, again)
    exact = np.stack([plain(asked, question) for question in QUESTIONS], axis=1)
    assert np.abs(found - exact).max() < 0.02 * np.abs(exact).max()


def test_a_text_is_rated_alike_as_a_branch_and_alone():
    asked = trees(12, 120, 60)
    alone = [TextTree((), ((0, text),)) for text in texts(asked)]
    together, apart = (bulk.rate_all(WEIGHTS, TINY, some, QUESTIONS, 2, 3, batch_rows=8) for some in (asked, alone))
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_ratings_are_the_same_bits_for_any_batch():
    asked = trees(40, 160, 60)
    first, *others = (bulk.rate_all(WEIGHTS, TINY, asked, QUESTIONS, 2, 3, batch_rows=n) for n in (1, 2, 5, 32))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_every_text_is_packed_once():
    """Going up from where each text's questions are asked, one finds the text; questions see themselves alone."""
    asked = trees(120, 100, 40)
    places, rows = pack(asked, QUESTIONS)
    assert len({tuple(place) for place in places.tolist()}) == len(texts(asked)) and places[:, 1].max() < ROW_TEXTS
    for text, (row, place) in zip(texts(asked), places, strict=True):
        tokens, depth, own, branch, branch_end, trunk, trunk_end = (cells[row] for cells in rows[:7])
        for question, last in zip(QUESTIONS, rows.end_RXQ[row, place], strict=True):
            spans = (trunk[last], trunk_end[last]), (branch[last], branch_end[last]), (own[last], last + 1)
            above = np.concatenate([np.arange(int(start), int(end)) for start, end in spans])
            assert tuple(tokens[above]) == text + question
            np.testing.assert_array_equal(depth[above], np.arange(len(text + question)))
    texts_R = np.bincount(places[:, 0])
    full = (rows.tokens_RT > 0).mean(axis=1)[:-1][texts_R[:-1] < ROW_TEXTS]
    assert full.mean() > 0.95  # every row but the last is full of tokens or of texts


def test_tiles_and_blocks_attend_alike():
    _, rows = pack(trees(40, 160, 60), QUESTIONS)
    row = Rows(*(cells[0] for cells in rows))
    query, key, value = jax.random.normal(jax.random.key(0), (3, 2, ROW_TOKENS, 16))
    table = jnp.append(jax.random.normal(jax.random.key(1), (2, TINY.num_buckets)), jnp.full((2, 1), HIDDEN), axis=1)
    bucket, bias = bulk.buckets_of(row, TINY), lambda bucket: table[:, bucket]
    pairs = tiles.pairs_of(bulk.spans(row))
    assert int(pairs.seen) < 0.7 * len(pairs.keys_P)  # most tokens do not see each other
    found = tiles.attend_tiles(query, key, value, bias, bucket, pairs)
    np.testing.assert_allclose(found, tiles.attend_blocks(query, key, value, bias, bucket), atol=1e-5)
    np.testing.assert_allclose(found, tiles.attend_once(query, key, value, bias(bucket)), atol=1e-5)


def test_a_tree_that_no_row_holds_is_read_in_pieces():
    wide = TextTree((9,) * 100, tuple((100, (n,) * 30) for n in range(2, 40)))
    many = TextTree((9, 8), tuple((2, (n,)) for n in range(2, 40)))
    places, rows = pack([wide, many], QUESTIONS)
    assert len(places) == 76 and rows.tokens_RT.shape[1] == ROW_TOKENS
    found = bulk.rate_all(WEIGHTS, TINY, [wide, many], QUESTIONS[:1], 2, 3, batch_rows=4)
    for tree, gaps in zip((wide, many), np.split(found[:, 0], 2), strict=True):
        np.testing.assert_allclose(gaps, plain([tree], QUESTIONS[0]), atol=1e-4)


def test_rows_have_room_for_long_questions():
    questions = [tuple(range(2, 50))] * 8 + [tuple(range(2, 6))]
    _, rows = pack([TextTree((), ((0, (7,) * TEXT_TOKENS),))], questions)
    assert rows.tokens_RT.shape == (1, ROW_TOKENS + 64) and (rows.tokens_RT > 0).sum() == TEXT_TOKENS + 388


def test_no_texts_and_impossible_ones():
    for none in ([], [TextTree((5,), ())]):
        assert bulk.rate_all(WEIGHTS, TINY, none, QUESTIONS, 2, 3, batch_rows=4).shape == (0, 3)
    for fork, own, wrong in (
        (0, (), "a text of 0 tokens, expected 1 to 640"),
        (1, (5,) * TEXT_TOKENS, "a text of 641 tokens, expected 1 to 640"),
        (2, (5,), "forks after 2 tokens, expected 0 to 1"),
        (-1, (5,), "forks after -1 tokens, expected 0 to 1"),
    ):
        with pytest.raises(ValueError, match=wrong):
            bulk.rate_all(WEIGHTS, TINY, [TextTree((5,), ((fork, own),))], QUESTIONS, 2, 3, batch_rows=4)
    for questions in ([], [(4,), ()]):
        with pytest.raises(ValueError, match="expected questions of one token or more"):
            bulk.rate_all(WEIGHTS, TINY, [TextTree((5,), ((1, ()),))], questions, 2, 3, batch_rows=4)
