"""Token unlikelihood against plain loops over positions and candidates."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.train import loss as losses
from openlamda.train.loss import Batch, loss_sums
from openlamda.train.step import fresh, train_step
from openlamda.train.unlikelihood import FLOOR

TINY = ModelConfig(num_layers=1, d_model=16, num_heads=2, d_head=16, d_ff=32, vocab_size=12)


@pytest.fixture(scope="module")
def params():
    return weights.init(TINY, jax.random.key(0))


@pytest.fixture
def batch() -> Batch:
    """Two rows of several segments in which few tokens come again and again; some are only read, some padding."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 12, (2, 24)).astype(np.int32)
    segments = np.array([[1] * 10 + [2] * 14, [3] * 5 + [4] * 15 + [0] * 4], np.int32)
    known = rng.random((2, 24)).astype(np.float32) * (rng.random((2, 24)) < 0.7) * (segments > 0)
    for row, first in ((0, 0), (0, 10), (1, 0), (1, 5)):
        known[row, first] = 0
    return Batch(tokens, segments, known.astype(np.float32))


def candidates(batch: Batch) -> np.ndarray:
    """Which tokens [B, T, V] are candidates when the token of a place is to be predicted, by loops."""
    found = np.zeros((*batch.tokens.shape, TINY.vocab_size), bool)
    for row, place in np.ndindex(*batch.tokens.shape):
        for before in range(place):
            if batch.segments[row, before] == batch.segments[row, place - 1] and batch.weights[row, before] > 0:
                found[row, place, batch.tokens[row, before]] = True
        found[row, place, batch.tokens[row, place]] = False
    return found


@jax.jit
def dense(params, batch: Batch, found_BTV) -> jax.Array:
    """The weighted sum over the whole vocabulary."""
    hidden = transformer.forward(params, jnp.asarray(batch.tokens), jnp.asarray(batch.segments), TINY)
    p = jax.nn.softmax(transformer.logits(params, hidden))[:, :-1]
    lost = jnp.where(found_BTV[:, 1:], -jnp.log(jnp.maximum(1 - p, FLOOR)), 0).sum(-1)
    return jnp.sum(lost * batch.weights[:, 1:])


def added(params, batch: Batch, share: float) -> jax.Array:
    """What unlikelihood adds to the loss."""
    return loss_sums(params, batch, TINY, unlikelihood=share)[0] - loss_sums(params, batch, TINY)[0]


@pytest.mark.parametrize("piece", [4096, 16])
def test_it_and_its_gradient_are_those_of_the_sum_over_what_was_said_before(batch, params, piece, monkeypatch):
    monkeypatch.setattr(losses, "PIECE", piece)
    expected, wanted = jax.value_and_grad(dense)(params, batch, candidates(batch))
    found, gradient = jax.jit(jax.value_and_grad(partial(added, share=0.25)))(params, batch)
    assert expected > 1
    assert float(found) == pytest.approx(0.25 * float(expected), rel=1e-4)
    for name in params:
        np.testing.assert_allclose(gradient[name], 0.25 * wanted[name], atol=1e-4, err_msg=name)


def test_nothing_is_added_where_nothing_was_said_before(batch, params):
    single = np.zeros_like(batch.weights)
    single[0, 5] = 1.0  # the one learned token: those before it are only read
    assert jax.jit(partial(added, share=1.0))(params, batch._replace(weights=single)) == 0


def test_a_weight_of_nothing_is_the_same_program(batch, params):
    plain = jax.make_jaxpr(lambda p: loss_sums(p, batch, TINY))(params)
    assert str(jax.make_jaxpr(lambda p: loss_sums(p, batch, TINY, unlikelihood=0.0))(params)) == str(plain)


def test_training_with_it_says_repeats_less_often(params):
    """A text that never repeats itself at once: what came before gets less probability."""
    tokens = np.tile(np.arange(12, dtype=np.int32), (2, 2))
    batch = Batch(tokens, np.ones_like(tokens), np.ones(tokens.shape, np.float32))
    optimizer = optax.sgd(0.01)
    state = fresh({name: jnp.array(value) for name, value in params.items()}, optimizer)
    before = dense(params, batch, candidates(batch))
    for _ in range(5):
        state, metrics = train_step(state, batch, config=TINY, optimizer=optimizer, unlikelihood=10.0)
        assert not metrics["skipped"]
    assert dense(state.params, batch, candidates(batch)) < 0.8 * before
