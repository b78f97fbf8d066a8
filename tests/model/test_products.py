"""A product of float32 activations with bfloat16 weights: both factors rounded, sums and gradients in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.model.products import linear, row_sum, times_each, to_vocabulary
from openlamda.model.quantized import activation_dtype


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (16, 16)], ids=["widens", "narrows", "square"])
def test_factors_are_rounded_and_nothing_else(shape):
    rng = np.random.default_rng(0)
    x, grad = (rng.normal(size=(2, 9, side)).astype(np.float32) for side in shape)
    weight = jnp.asarray(rng.normal(size=shape), jnp.bfloat16)

    y, pull = jax.vjp(linear, jnp.asarray(x), weight)
    of_x, of_weight = pull(jnp.asarray(grad))

    low_x, low_grad, wide = (np.asarray(jnp.asarray(a, jnp.bfloat16), np.float64) for a in (x, grad, weight))
    assert (y.dtype, of_x.dtype, of_weight.dtype) == (jnp.float32, jnp.float32, jnp.bfloat16)
    np.testing.assert_allclose(y, low_x @ wide, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_x, low_grad @ wide.T, rtol=1e-4, atol=1e-5)
    expected = np.einsum("bti,bto->io", low_x, low_grad)
    np.testing.assert_allclose(np.asarray(of_weight, np.float64), expected, rtol=2**-8, atol=1e-5)


def test_logits_round_factors_and_nothing_else():
    rng = np.random.default_rng(0)
    x, grad = rng.normal(size=(2, 9, 24)).astype(np.float32), rng.normal(size=(2, 9, 40)).astype(np.float32)
    embed = jnp.asarray(rng.normal(size=(40, 24)), jnp.bfloat16)

    y, pull = jax.vjp(to_vocabulary, jnp.asarray(x), embed)
    of_x, of_embed = pull(jnp.asarray(grad))

    low_x, low_grad, wide = (np.asarray(jnp.asarray(a, jnp.bfloat16), np.float64) for a in (x, grad, embed))
    assert (y.dtype, of_x.dtype, of_embed.dtype) == (jnp.float32, jnp.float32, jnp.bfloat16)
    np.testing.assert_allclose(y, low_x @ wide.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_x, low_grad @ wide, rtol=1e-4, atol=1e-5)
    expected = np.einsum("bto,bti->oi", low_grad, low_x)
    np.testing.assert_allclose(np.asarray(of_embed, np.float64), expected, rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize("length", [1, 16, 80, 256, 333])
def test_a_row_has_the_same_sum_in_any_company(length):
    x = np.random.default_rng(0).normal(size=(64, length)).astype(np.float32)
    found = [jax.jit(row_sum)(x[:rows]) for rows in (64, 16, 4, 1)]
    np.testing.assert_allclose(found[0], x.sum(-1, dtype=np.float64), rtol=1e-4, atol=1e-4)
    for few in found:
        np.testing.assert_array_equal(few, found[0][: len(few)])


def test_activations_are_float32_on_a_cpu_alone(monkeypatch):
    params = {"embed": jnp.zeros((2, 2), jnp.bfloat16)}
    assert activation_dtype(params, on_mesh=False) == jnp.float32
    assert activation_dtype(params, on_mesh=True) == jnp.bfloat16
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert activation_dtype(params, on_mesh=False) == jnp.bfloat16


@pytest.mark.parametrize("amx", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 64, 65])
def test_few_rows_or_many_are_the_same_product(rows, amx, monkeypatch):
    """On a CPU without AMX few rows are multiplied the other way round, and keys with few queries."""
    monkeypatch.setattr("openlamda.model.weights.multiplies_bfloat16", lambda: amx)
    rng = np.random.default_rng(rows)
    x, weight = rng.normal(size=(1, rows, 24)).astype(np.float32), rng.normal(size=(24, 40)).astype(np.float32)
    y, pull = jax.vjp(linear, jnp.asarray(x), jnp.asarray(weight))
    np.testing.assert_allclose(y, x @ weight, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(to_vocabulary(jnp.asarray(x), jnp.asarray(weight.T)), x @ weight, rtol=1e-5, atol=1e-5)
    of_x, of_weight = pull(jnp.ones_like(y))
    np.testing.assert_allclose(of_x, np.ones_like(y) @ weight.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(of_weight, x[0].T @ np.ones_like(y)[0], rtol=1e-4, atol=1e-5)
    query, keys = rng.normal(size=(2, 3, rows, 8)), rng.normal(size=(2, 3, 11, 8))
    found = times_each(jnp.asarray(query, jnp.float32), jnp.asarray(keys, jnp.float32))
    np.testing.assert_allclose(found, query @ keys.swapaxes(2, 3), rtol=1e-5, atol=1e-5)
