"""The loss and its gradients beside plain formulas that keep everything: pieces, halves and dtypes change nothing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.train import loss as losses
from openlamda.train.loss import Batch, cross_entropy, few, loss_sums

TINY = ModelConfig(num_layers=2, d_model=32, num_heads=2, d_head=16, d_ff=48, vocab_size=100)


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, TINY.vocab_size, (4, 24), np.int32)
    segments = np.sort(rng.integers(0, 3, tokens.shape, np.int32), axis=1)[:, ::-1]
    return Batch(tokens, segments, rng.random(tokens.shape, np.float32) * (segments > 0))


def plain(params, batch: Batch) -> jax.Array:
    """Weighted cross-entropy with z-loss over all logits at once."""
    hidden = transformer.forward(params, jnp.asarray(batch.tokens), jnp.asarray(batch.segments), TINY)
    logits = (hidden @ params["embed"].T * TINY.d_model**-0.5)[:, :-1]
    log_z = jnp.log(jnp.sum(jnp.exp(logits), axis=-1))
    entropy = log_z - jnp.take_along_axis(logits, batch.tokens[:, 1:, None], axis=-1)[..., 0]
    return jnp.sum(batch.weights[:, 1:] * (entropy + 1e-4 * log_z**2))


@pytest.mark.parametrize(("piece", "half"), [(4096, 1024), (16, 1024), (4096, 1), (16, 1)])
def test_pieces_and_halves_give_the_loss_and_gradients_of_the_whole(batch, piece, half, monkeypatch):
    monkeypatch.setattr(losses, "PIECE", piece)
    monkeypatch.setattr(losses, "HALF", half)
    params = weights.init(TINY, jax.random.key(0))
    with jax.default_matmul_precision("highest"):
        expected, wanted = jax.jit(jax.value_and_grad(plain))(params, batch)
        found, gradient = jax.jit(jax.value_and_grad(lambda p: 3 * loss_sums(p, batch, TINY)[0]))(params)
        again, (entropy, weight) = jax.jit(partial(loss_sums, config=TINY))(params, batch)
    assert float(found) == pytest.approx(3 * float(expected), rel=1e-6)
    assert float(again) == pytest.approx(float(expected), rel=1e-6)  # without a gradient
    assert 0.99 * float(again) < float(entropy) < float(again)
    assert float(weight) == pytest.approx(batch.weights[:, 1:].sum(), rel=1e-6)
    for name, value in wanted.items():
        np.testing.assert_allclose(gradient[name], 3 * value, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("half", [1024, 1])
def test_logits_of_the_learned_tokens_alone_give_the_same(batch, half, monkeypatch):
    monkeypatch.setattr(losses, "HALF", half)
    weights_BT = np.zeros_like(batch.weights)
    weights_BT[[0, 0, 0, 3], [1, 7, 8, 23]] = (0.5, 2, 1, 3)  # more in one half than in the other
    sparse = batch._replace(weights=weights_BT)
    assert few(sparse) == 12 and few(batch) == 0
    params = weights.init(TINY, jax.random.key(0))
    with jax.default_matmul_precision("highest"):
        compute = jax.jit(jax.value_and_grad(loss_sums, has_aux=True), static_argnames=("config", "learned"))
        (expected, sums), wanted = compute(params, sparse, config=TINY)
        (found, same), gradient = compute(params, sparse, config=TINY, learned=few(sparse))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert [float(x) for x in same] == pytest.approx([float(x) for x in sums], rel=1e-6)
    for name, value in wanted.items():
        np.testing.assert_allclose(gradient[name], value, atol=1e-5, err_msg=name)


def test_gradients_of_bfloat16_are_added_up_in_float32(batch, monkeypatch):
    """Those of the embedding by many pieces: as far from float32 as those of one piece, not farther."""
    params = weights.init(TINY, jax.random.key(0))

    def embed(piece: int, dtype) -> jax.Array:
        monkeypatch.setattr(losses, "PIECE", piece)
        return jax.jit(jax.grad(lambda p: loss_sums(p, batch, TINY, dtype=dtype)[0]))(params)["embed"]

    exact = embed(4096, jnp.float32)
    off = [float(jnp.linalg.norm(embed(piece, jnp.bfloat16) - exact)) for piece in (4096, 4)]
    assert off[1] < 1.2 * off[0] < 0.05 * float(jnp.linalg.norm(exact))


def test_cross_entropy_and_both_of_its_gradients():
    rng = np.random.default_rng(1)
    logits, targets = 5 * rng.standard_normal((3, 5, 50), np.float32), rng.integers(0, 50, (3, 5))
    a, b = rng.standard_normal((2, 3, 5), np.float32)

    def straight(logits):
        log_p = jax.nn.log_softmax(logits)
        log_z = jax.nn.logsumexp(logits, axis=-1)
        return jnp.sum(b * log_z) - jnp.sum(a[..., None] * log_p * jax.nn.one_hot(targets, 50))

    def ours(logits):
        entropy, log_z = cross_entropy(logits, jnp.asarray(targets))
        return jnp.sum(a * entropy + b * log_z)

    np.testing.assert_allclose(ours(logits), straight(logits), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(ours)(logits), jax.grad(straight)(logits), atol=1e-5)
