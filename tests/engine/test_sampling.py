"""Drawn tokens against NumPy in double precision and sorted lists, n-grams against a loop in Python."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openlamda.engine.base import Sampling
from openlamda.engine.sampling import TRIES, Rules, choose, logprob_of, repeats, stops, uniforms

VOCAB, ROWS = 150, 8  # no multiple of the block
PLACES = np.random.default_rng(0).random((ROWS, TRIES), np.float32)

drawn = jax.jit(choose)


def rules_of(samplings, vocab_size=VOCAB):
    return Rules.of(samplings, vocab_size)


def kept(logits, sampling):
    """Probabilities by sorting, 0 where a token is cut, and how near the mass of the nucleus is to another cut."""
    if sampling.temperature == 0:
        return np.eye(len(logits))[np.argmax(logits)], 1.0
    scaled = logits.astype(np.float64) / sampling.temperature
    falling = np.sort(scaled)[::-1]
    cut = falling[min(sampling.top_k or len(logits), len(logits)) - 1]
    weights = np.where(scaled >= cut, np.exp(scaled - falling[0]), 0)
    weights /= weights.sum()
    likely = np.sort(weights)[::-1]
    sums = np.cumsum(likely)
    near = 1.0
    if sampling.top_p < 1:
        weights[weights < likely[np.argmax(sums >= sampling.top_p)]] = 0
        near = np.abs(sums - sampling.top_p).min()
    weights[weights < sampling.min_p * likely[0]] = 0
    return weights / weights.sum(), near


def tried(logits, sampling, probabilities, places):
    """The token by rejection, or in the end out of what is kept; None where rounding decides."""
    if sampling.temperature == 0:
        return np.argmax(probabilities)
    whole = np.exp((logits.astype(np.float64) - logits.max()) / sampling.temperature)
    for place in places[:-1] if sampling.top_p == 1 else ():
        ends = np.cumsum(whole / whole.sum())
        if np.abs(ends - place).min() < 1e-5:
            return None
        if probabilities[token := np.argmax(ends > place)] > 0:
            return token
    ends = np.cumsum(probabilities)
    return None if np.abs(ends - places[-1]).min() < 1e-5 else np.argmax(ends > places[-1])


samplings = st.builds(
    Sampling,
    top_k=st.sampled_from([0, 1, 2, 7, 40, 149, 150, 1000]),
    temperature=st.sampled_from([0, 0.3, 1.0, 2.5]),
    top_p=st.sampled_from([1.0, 0.99, 0.7, 0.2, 1e-3]),
    min_p=st.sampled_from([0.0, 0.03, 0.77]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(samplings, min_size=ROWS, max_size=ROWS), st.integers(0, 2**32 - 1), st.sampled_from([0, 0.5, 0.01]))
def test_tokens_are_those_of_sorting_in_double_precision(samplings, seed, step):
    logits = np.random.default_rng(seed).normal(size=(ROWS, VOCAB)).astype(np.float32) * 4
    if step:
        logits = (np.round(logits / step) * step).astype(np.float32)  # many equal ones
    places = np.random.default_rng(seed).random((ROWS, TRIES), np.float32)
    tokens = np.asarray(drawn(logits, places, np.zeros(ROWS, np.int32), rules_of(samplings)))
    for row, sampling in enumerate(samplings):
        probabilities, near = kept(logits[row], sampling)
        assume(near > 1e-5)
        assert probabilities[tokens[row]] > 0
        expected = tried(logits[row], sampling, probabilities, places[row])
        assert expected is None or tokens[row] == expected


@pytest.mark.parametrize("vocab_size", [5, 64, 4096])
@pytest.mark.parametrize("top_p, min_p", [(0.95, 0.0), (1.0, 0.0), (1.0, 0.1)])
def test_tokens_come_as_often_as_they_should(vocab_size, top_p, min_p):
    sampling = Sampling(top_k=9, temperature=0.8, top_p=top_p, min_p=min_p)
    logits = np.random.default_rng(0).normal(size=vocab_size).astype(np.float32) * 2
    times = 2000
    tokens = drawn(
        np.tile(logits, (times, 1)),
        np.random.default_rng(1).random((times, TRIES), np.float32),
        np.zeros(times, np.int32),
        rules_of([sampling] * times, vocab_size),
    )
    expected = kept(logits, sampling)[0] * times
    counts = np.bincount(np.asarray(tokens), minlength=vocab_size)
    assert np.all(np.abs(counts - expected) <= 5 * np.sqrt(expected))


def test_a_token_depends_on_its_own_row_alone():
    logits = np.random.default_rng(2).normal(size=(ROWS, VOCAB)).astype(np.float32)
    mixed = [Sampling(), Sampling(top_p=0.5), Sampling(temperature=0), Sampling(top_k=0)] * (ROWS // 4)
    count = np.arange(ROWS)
    together = np.asarray(drawn(logits, PLACES, count, rules_of(mixed)))
    for row in range(ROWS):
        part = slice(row, row + 1)
        assert drawn(logits[part], PLACES[part], count[part], rules_of(mixed[part]))[0] == together[row]


def test_the_first_of_equally_likely_tokens_is_the_likeliest():
    logits = np.zeros((3, VOCAB), np.float32)
    logits[1, [70, 90]] = 1.0
    logits[2, 149] = 1.0
    greedy = rules_of([Sampling(temperature=0)] * 3)
    assert drawn(logits, PLACES[:3], np.zeros(3, np.int32), greedy).tolist() == [0, 70, 149]
    near = np.zeros((3, 150), np.float32)
    near[:, 100] = 1e-6
    assert drawn(near, PLACES[:3], np.zeros(3, np.int32), greedy).tolist() == [100] * 3


RULED = Sampling(stop=(1, 2), banned=(3, 4), first=(2, 3, 5, 6, 7), min_tokens=2)


@pytest.mark.parametrize("temperature", [0, 1.0, 1000.0])
@pytest.mark.parametrize("count, allowed", [(0, {5, 6, 7}), (1, {0, 5, 6, 7, 8, 9}), (2, {0, 1, 2, 5, 6, 7, 8, 9})])
def test_forbidden_tokens_are_never_drawn(count, allowed, temperature):
    sampling = dataclasses.replace(RULED, temperature=temperature)
    logits = np.random.default_rng(3).normal(size=(500, 10)).astype(np.float32)
    logits[:, 3] += 50
    places = np.random.default_rng(4).random((500, TRIES), np.float32)
    tokens = drawn(logits, places, np.full(500, count), rules_of([sampling] * 500, 10))
    assert set(tokens.tolist()) == allowed


@pytest.mark.parametrize(
    "sampling, expected",
    [
        (Sampling(stop=(1, 2), banned=(0, *range(3, 10)), min_tokens=5), {1, 2}),  # too early, but it ends
        (Sampling(stop=(), banned=tuple(range(1, 10)), first=(4,)), {0}),  # no first token, but not banned
        (Sampling(stop=(), banned=tuple(range(10)), first=(4, 5)), {4, 5}),  # a banned one in its place
    ],
)
def test_where_all_is_forbidden_the_least_bad_is_drawn(sampling, expected):
    logits = np.zeros((100, 10), np.float32)
    places = np.random.default_rng(5).random((100, TRIES), np.float32)
    tokens = drawn(logits, places, np.zeros(100, np.int32), rules_of([sampling] * 100, 10))
    assert set(tokens.tolist()) == expected


def test_repeated_tokens_are_not_drawn_but_stop_tokens_are():
    repeated = np.ones((50, 10), bool)
    repeated[:, 6] = False
    places = np.random.default_rng(6).random((50, TRIES), np.float32)
    logits = np.zeros((50, 10), np.float32)
    tokens = drawn(logits, places, np.ones(50, np.int32), rules_of([Sampling(stop=(1,))] * 50, 10), repeated)
    assert set(tokens.tolist()) == {1, 6}


def test_numbers_that_are_none_end_nevertheless():
    logits = np.full((ROWS, VOCAB), np.nan, np.float32)
    logits[1:3] = -np.inf
    logits[2, 5] = 0
    mixed = [Sampling(top_p=0.5)] * ROWS
    assert drawn(logits, PLACES, np.zeros(ROWS, np.int32), rules_of(mixed))[2] == 5


def test_stop_tokens_are_known():
    rules = rules_of([RULED, RULED, Sampling(stop=())])
    assert stops(jnp.array([2, 3, 1]), rules).tolist() == [True, False, False]


def test_logprobs_are_the_models_own():
    logits = np.random.default_rng(7).normal(size=(ROWS, VOCAB)).astype(np.float32) * 9
    tokens = np.arange(ROWS) * 3
    plain = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    np.testing.assert_allclose(
        logprob_of(jnp.asarray(logits), jnp.asarray(tokens)), plain[np.arange(ROWS), tokens], rtol=1e-5
    )


def completing(text, own, size):
    """What would repeat, found by going through the text."""
    if size == 0 or len(own) < size - 1:
        return set()
    tail = own[len(own) - size + 1 :]
    return {text[i + size - 1] for i in range(len(text) - size + 1) if text[i : i + size - 1] == tail}


words = st.lists(st.integers(0, 3), max_size=24)
found = jax.jit(repeats, static_argnames="vocab_size")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(words, words, st.sampled_from([0, 2, 3, 4, 8])), min_size=4, max_size=4))
def test_repeats_are_those_of_a_loop(rows):
    texts, owns = np.full((2, 4, 24), 3, np.int32)
    for row, (text, own, _) in enumerate(rows):
        texts[row, : len(text)], owns[row, : len(own)] = text, own
    lengths, counts = (np.array([len(row[part]) for row in rows]) for part in (0, 1))
    sizes = np.array([row[2] for row in rows])
    of_text = np.asarray(found(texts, lengths, owns, counts, sizes, vocab_size=5))
    of_own = np.asarray(found(owns, counts, owns, counts, sizes, vocab_size=5))
    for row, (text, own, size) in enumerate(rows):
        assert set(np.flatnonzero(of_text[row]).tolist()) == completing(text, own, size)
        assert set(np.flatnonzero(of_own[row]).tolist()) == completing(own, own, size)


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_k": -1},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": 1.0},
        {"max_tokens": 0},
        {"min_tokens": -1},
        {"beams": -1},
        {"length_penalty": -0.5},
        {"block_ngram": 1},
        {"context_block_ngram": 9},
    ],
)
def test_wrong_parameters_are_named(wrong):
    (field,) = wrong
    with pytest.raises(ValueError, match=f"^{field}: .*, expected "):
        Sampling(**wrong)


@given(st.integers(), st.integers(0, 100), st.integers(1, 6), st.integers(0, 20))
def test_random_numbers_depend_on_seed_candidate_and_place_alone(seed, first, P, T):
    alone = uniforms(seed, first, P, T)
    assert alone.shape == (P, T, TRIES) and alone.dtype == np.float32
    assert ((alone >= 0) & (alone < 1)).all()
    np.testing.assert_array_equal(alone, uniforms(seed, 0, first + P, T + 3)[first:, :T])
    if T:
        assert (uniforms(seed + 1, first, P, T) != alone).any()
        assert len({row.tobytes() for row in alone}) == P


def test_random_numbers_are_even():
    """By hundredths: a sum of squares that chance exceeds once in a million."""
    numbers = uniforms(3, 0, 64, 200).ravel()
    counts = np.bincount((numbers * 100).astype(int), minlength=100)
    assert len(counts) == 100 and ((counts - numbers.size / 100) ** 2 / (numbers.size / 100)).sum() < 181
