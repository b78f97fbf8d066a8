"""The engine against a plain forward over the whole sequence."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.engine.base import Sampling, rate_by_score
from openlamda.engine.local import LocalModel
from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)


def plain_logprobs(params, config, tokens):
    """Logprob of each token given those before it, by one forward without cache or sharing."""
    row = jnp.asarray([tokens])
    hidden = transformer.forward(params, row, jnp.ones_like(row), config)
    logprobs = jax.nn.log_softmax(transformer.logits(params, hidden))[0]
    return np.asarray(logprobs[np.arange(len(tokens) - 1), np.asarray(tokens[1:])])


class Plain(LocalModel):
    """With the weights at hand, for a plain forward."""

    def __init__(self, params, config, **options):
        super().__init__(params, config, **options)
        self.params = params


@pytest.fixture(scope="module", params=["per_layer", "shared"])
def model(request):
    config = dataclasses.replace(TINY, relative_bias=request.param)
    return Plain(weights.init(config, jax.random.key(3)), config)


def test_scores_of_a_tree_equal_a_plain_forward(model):
    prefix = tuple(np.random.default_rng(0).integers(0, 50, 130).tolist())
    continuations = [(5, 6, 7), (5, 6, 8), (5, 9), (4,), (5, 6, 7)]
    for continuation, scores in zip(continuations, model.score(prefix, continuations), strict=True):
        plain = plain_logprobs(model.params, model.config, prefix + continuation)[-len(continuation) :]
        np.testing.assert_allclose(scores, plain, atol=1e-4)


def test_logprobs_of_drawn_candidates_equal_a_plain_forward(model):
    prefix = (7, 8, 9)
    sampling = Sampling(top_k=10, max_tokens=12, stop=(1,), banned=(3, 4))
    for candidate in model.sample(prefix, 16, sampling, seed=5):
        said = candidate.tokens + ((1,) if candidate.finished else ())
        plain = plain_logprobs(model.params, model.config, prefix + said)[-len(said) :]
        assert candidate.logprob == pytest.approx(plain.sum(), abs=1e-3)
        assert not {1, 3, 4} & set(candidate.tokens)


def test_greedy_tokens_equal_those_of_a_plain_forward(model):
    tokens = [11, 12]
    drawn = model.sample(tuple(tokens), 1, Sampling(temperature=0, max_tokens=8, stop=()), seed=0)[0].tokens
    for token in drawn:
        row = jnp.asarray([tokens])
        hidden = transformer.forward(model.params, row, jnp.ones_like(row), model.config)
        assert int(jnp.argmax(transformer.logits(model.params, hidden)[0, -1])) == token
        tokens.append(token)


def test_a_candidate_is_the_same_in_any_company(model):
    sampling = Sampling(max_tokens=6, stop=(1,))
    assert model.sample((5, 6), 16, sampling, seed=9)[:4] == model.sample((5, 6), 4, sampling, seed=9)
    assert model.sample((5, 6), 4, sampling, seed=9) != model.sample((5, 6), 4, sampling, seed=10)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 49), max_size=5).map(tuple), max_size=6), st.lists(st.integers(0, 49), min_size=1)
)
def test_scores_do_not_depend_on_neighbours(continuations, prefix):
    model = LocalModel(weights.init(TINY, jax.random.key(3)), TINY)
    together = model.score(tuple(prefix), continuations)
    for continuation, scores in zip(continuations, together, strict=True):
        np.testing.assert_allclose(scores, model.score(tuple(prefix), [continuation])[0], atol=1e-5)


QUESTIONS = [(4,), (5,), (6, 7), (6, 8)]


def plain_gaps(model, prefix, replies):
    asked = [prefix + reply + question for reply in replies for question in QUESTIONS]
    rows = np.zeros((64, 128), np.int32)  # of one shape, so that it is compiled once; what follows is not seen
    for row, tokens in zip(rows, asked, strict=False):
        row[: len(tokens)] = tokens
    hidden = transformer.forward(model.params, jnp.asarray(rows), jnp.ones_like(rows), model.config)
    logits = transformer.logits(model.params, hidden)
    gaps = [float(logits[n, len(tokens) - 1, 2] - logits[n, len(tokens) - 1, 3]) for n, tokens in enumerate(asked)]
    return np.reshape(gaps, (len(replies), len(QUESTIONS)))


@pytest.mark.parametrize("max_tokens", [1, 9])  # candidates that were cut, and finished ones
def test_ratings_of_drawn_candidates_and_of_others_equal_a_plain_forward(model, max_tokens):
    prefix = tuple(np.random.default_rng(1).integers(2, 50, 70).tolist())
    drawn = model.sample(prefix, 8, Sampling(max_tokens=max_tokens, stop=(1, 10, 11, 12, 13, 14)), seed=2)
    assert {candidate.finished for candidate in drawn} == ({True, False} if max_tokens == 9 else {False, True})
    replies = list(dict.fromkeys(candidate.tokens for candidate in drawn))
    np.testing.assert_allclose(
        model.rate(prefix, replies, QUESTIONS, 2, 3), plain_gaps(model, prefix, replies), atol=1e-4
    )
    others = [*replies[:2], (), (20, 21, 22)]  # not drawn: all are read
    np.testing.assert_allclose(
        model.rate(prefix, others, QUESTIONS, 2, 3), plain_gaps(model, prefix, others), atol=1e-4
    )
    by_score = rate_by_score(model, prefix, others, QUESTIONS, 2, 3)
    np.testing.assert_allclose(by_score, plain_gaps(model, prefix, others), atol=1e-4)
    assert model.rate(prefix, [], QUESTIONS, 2, 3) == [] and model.rate(prefix, [(5,)], [], 2, 3) == [[]]
