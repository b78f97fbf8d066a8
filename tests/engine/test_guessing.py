"""Greedy candidates by guesses against those that a lane draws a token at a time, and against a plain forward."""

import threading
import time

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.engine import guessing
from openlamda.engine.base import Cancelled, Limits, Sampling
from openlamda.engine.guess_lane import READ, GuessLane
from openlamda.engine.local import LocalModel
from openlamda.engine.reading import SIZES
from openlamda.model import params as weights
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)
PARAMS = weights.init(TINY, jax.random.key(3))
tokens = st.integers(0, 49)


@pytest.fixture(scope="module")
def model():
    return LocalModel(PARAMS, TINY, groups=1)


@pytest.fixture
def forwards(monkeypatch):
    """How many own tokens there were before each forward."""
    counts: list[int] = []
    verify = guessing.verify

    def counted(weights, cache, count, *rest, **options):
        counts.append(int(count))
        return verify(weights, cache, count, *rest, **options)

    monkeypatch.setattr(guessing, "verify", counted)
    return counts


@settings(max_examples=60, deadline=None)
@given(
    prefix=st.lists(tokens, min_size=1, max_size=40),
    repeated=st.booleans(),
    max_tokens=st.sampled_from([1, 2, 15, 16, 17, 40, 70]),
    min_tokens=st.integers(0, 3),
    stop=st.lists(tokens, max_size=3),
    banned=st.lists(tokens, max_size=5),
    first=st.lists(tokens, max_size=2),
)
def test_a_greedy_candidate_is_the_one_that_a_lane_draws(
    model, prefix, repeated, max_tokens, min_tokens, stop, banned, first
):
    sampling = Sampling(
        temperature=0, max_tokens=max_tokens, min_tokens=min_tokens,
        stop=tuple(stop), banned=tuple(banned), first=tuple(first),
    )  # fmt: skip
    prefix = tuple(prefix * (3 if repeated else 1))
    (guessed,) = model.sample(prefix, 1, sampling, seed=0)
    drawn = model.sample(prefix, 2, sampling, seed=0)[0]
    assert (guessed.tokens, guessed.finished) == (drawn.tokens, drawn.finished)
    assert guessed.logprob == pytest.approx(drawn.logprob, abs=1e-4 * (1 + len(drawn.tokens)))


def test_what_repeats_takes_few_forwards_and_no_more_than_a_token_each_otherwise(model, forwards):
    prefix = tuple(np.random.default_rng(2).integers(2, 50, 30).tolist())
    (candidate,) = model.sample(prefix, 1, Sampling(temperature=0, max_tokens=70, stop=()), seed=0)
    said = candidate.tokens
    assert said[30:50] in [said[n : n + 20] for n in range(30)]  # it goes round in a circle
    assert forwards == sorted(set(forwards)) and forwards[0] == 0
    after = [count for count in forwards if count >= 30]
    assert len(after) <= 1 + 40 // READ
    forwards.clear()
    circle = prefix + said
    assert model.sample(circle, 1, Sampling(temperature=0, max_tokens=READ, stop=()), seed=0)[0].tokens
    assert forwards == [0]


def test_what_is_said_may_need_more_room_than_its_prefix_had(model):
    prefix = tuple(np.random.default_rng(5).integers(2, 50, 125).tolist())
    sampling = Sampling(temperature=0, max_tokens=40, stop=())
    (guessed,) = model.sample(prefix, 1, sampling, seed=0)
    assert len(prefix) <= SIZES[0] < len(prefix) + len(guessed.tokens)
    drawn = model.sample(prefix, 2, sampling, seed=0)[0]
    assert guessed.tokens == drawn.tokens
    assert guessed.logprob == pytest.approx(drawn.logprob, abs=1e-4)


@pytest.mark.parametrize("stop", [(), tuple(range(0, 50, 3))])
def test_what_a_candidate_said_is_known_where_the_text_goes_on(model, stop):
    sampling = Sampling(temperature=0, max_tokens=40 if stop else 5, stop=stop)
    for seed in range(99):
        prefix = tuple(np.random.default_rng(seed).integers(2, 50, 21).tolist())
        (said,) = model.sample(prefix, 1, sampling, 0)
        text = prefix + said.tokens
        assert model._texts.known((*text, 5, 6)) == len(text) - (not said.finished)  # else the last one is unread
        plain = LocalModel(PARAMS, TINY)
        np.testing.assert_allclose(model.score((*text, 5), [(6, 7)]), plain.score((*text, 5), [(6, 7)]), atol=1e-4)
        if said.tokens and said.finished is bool(stop):
            return
    raise AssertionError("none that said something and stopped")


def test_a_wrong_guess_is_read_for_nothing(model, forwards, monkeypatch):
    sampling = Sampling(temperature=0, max_tokens=12, stop=())
    right = model.sample((5, 6), 1, sampling, seed=0)
    forwards.clear()
    monkeypatch.setattr(guessing, "guess", lambda text, most: [0, 1, 2])
    assert model.sample((5, 6), 1, sampling, seed=0)[0].tokens == right[0].tokens
    assert forwards == list(range(12))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 6))
def test_a_guess_is_what_followed_the_longest_end_that_stood_before(text, most):
    found = guessing.guess(text, most)
    ends = [
        (size, end)
        for size in range(1, guessing.ALIKE + 1)
        for end in range(size, len(text))
        if text[end - size : end] == text[-size:]
    ]
    if not ends:
        assert found == []
    else:
        _, end = max(ends)
        assert found == [text[end + n % (len(text) - end)] for n in range(most)]


def test_what_draws_at_random_or_must_not_repeat_is_not_guessed(model, forwards):
    for sampling in (
        Sampling(max_tokens=4),
        Sampling(temperature=0, max_tokens=4, block_ngram=2),
        Sampling(temperature=0, max_tokens=4, context_block_ngram=2),
        Sampling(temperature=0, max_tokens=4, beams=2),
    ):
        model.sample((5, 6), 1, sampling, seed=0)
    LocalModel(PARAMS, TINY, groups=2).sample((5, 6), 1, Sampling(temperature=0, max_tokens=4), seed=0)
    assert forwards == []


def wait_until_idle(model):
    """Results come a moment before the lane is given back."""
    end = time.monotonic() + 60
    while not model._scheduler.idle:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_request_that_is_cancelled_leaves_its_lane_as_new(forwards, monkeypatch):
    cancelled, model = threading.Event(), LocalModel(PARAMS, TINY, groups=1)
    sampling = Sampling(temperature=0, max_tokens=70, stop=())
    guess = guessing.guess

    def guess_and_leave(text, most):
        if len(text) > 10:
            cancelled.set()
        return guess(text, most)

    with monkeypatch.context() as patched:
        patched.setattr(guessing, "guess", guess_and_leave)
        with pytest.raises(Cancelled):
            model.within(Limits(cancelled=cancelled)).sample((5, 6), 1, sampling, seed=0)
    assert 0 < len(forwards) < 5
    wait_until_idle(model)
    (lane,) = model._lanes._idle
    assert isinstance(lane, GuessLane) and lane._work is lane._cache is None
    again = model.sample((7, 8, 9), 1, sampling, seed=0)
    assert again == LocalModel(PARAMS, TINY, groups=1).sample((7, 8, 9), 1, sampling, seed=0)
    wait_until_idle(model)
    assert list(model._lanes._idle) == [lane]
