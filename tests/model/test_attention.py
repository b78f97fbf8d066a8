"""Attention by blocks equals attention over the whole square, in values and gradients; products equal plain ones."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.model import attention, products
from openlamda.model.config import ModelConfig

CONFIG = ModelConfig(num_layers=1, d_model=16, num_heads=2, d_head=8, d_ff=32, vocab_size=64)


def square(query, key, value, table_HR, segments_BT):
    """The plain form: all T x T scores at once."""
    T = query.shape[2]
    position = jnp.arange(T)
    visible = (position[:, None] >= position) & (segments_BT[:, :, None] == segments_BT[:, None])
    bias_HTT = attention.bias_of_distance(table_HR, position, position, CONFIG).astype(jnp.float32)
    return attention.attend(query, key, value, bias_HTT + jnp.where(visible, 0, attention.HIDDEN)[:, None])


def inputs(T: int, dtype):
    keys = jax.random.split(jax.random.key(0), 5)
    query, key, value, grad = (jax.random.normal(k, (3, 2, T, 8)).astype(dtype) for k in keys[:4])
    table_HR = jax.random.normal(keys[4], (2, 32)).astype(dtype)
    segments_BT = jnp.asarray(np.sort(np.random.default_rng(0).integers(1, 4, (3, T), np.int32), axis=1))
    return (query, key, value, table_HR), segments_BT, grad


def gradients(function: Callable, given, grad):
    return jax.jit(jax.grad(lambda given: jnp.sum((function(*given) * grad).astype(jnp.float32))))(given)


@pytest.mark.parametrize(("T", "lean"), [(20, False), (300, False), (1030, True)])  # one block, three, four of 258
def test_blocks_equal_the_square(T, lean):
    given, segments_BT, grad = inputs(T, jnp.float32)

    blocks = partial(attention.attend_rows, segments_BT=segments_BT, config=CONFIG, lean=lean)
    whole = partial(square, segments_BT=segments_BT)
    np.testing.assert_allclose(jax.jit(blocks)(*given), jax.jit(whole)(*given), atol=2e-5)
    found, expected = gradients(blocks, given, grad), gradients(whole, given, grad)
    for name, a, b in zip(("query", "key", "value", "table"), found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-5 * float(jnp.max(jnp.abs(b))), err_msg=name)


@pytest.mark.slow
def test_blocks_equal_the_square_in_bfloat16():
    given, segments_BT, _ = inputs(300, jnp.bfloat16)
    query, key, value, table_HR = given
    blocks = attention.attend_rows(query, key, value, table_HR, segments_BT, CONFIG, lean=False)
    difference = blocks.astype(jnp.float32) - square(*given, segments_BT).astype(jnp.float32)
    assert jnp.max(jnp.abs(difference)) < 1e-3


def test_no_array_of_all_scores_is_made():
    given, segments_BT, grad = inputs(1024, jnp.float32)

    blocks = partial(attention.attend_rows, segments_BT=segments_BT, config=CONFIG, lean=True)
    text = jax.jit(lambda *given: gradients(blocks, given, grad)).lower(*given).as_text()
    assert "1024x1024" not in text and "256x1024" in text


@pytest.mark.parametrize(("size_in", "size_out"), [(8, 32), (32, 8), (16, 16)])
def test_the_gradient_of_a_product_is_jaxs_own(size_in, size_out):
    keys = jax.random.split(jax.random.key(1), 3)
    x, weight = jax.random.normal(keys[0], (2, 5, size_in)), jax.random.normal(keys[1], (size_in, size_out))
    grad = jax.random.normal(keys[2], (2, 5, size_out))
    found = jax.vjp(products.linear, x, weight)[1](grad)
    expected = jax.vjp(jnp.matmul, x, weight)[1](grad)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_total_is_a_sum_over_the_first_axis():
    x = jax.random.normal(jax.random.key(2), (7, 3, 4))
    np.testing.assert_allclose(products.total(x), x.sum(0), rtol=1e-5)


@pytest.mark.parametrize(("block", "T"), [(20, 20), (128, 300)])
def test_the_band_of_biases_is_the_bias_of_distances(block, T):
    table_HR = jax.random.normal(jax.random.key(3), (2, 32))
    expected = attention.bias_of_distance(table_HR, jnp.arange(T - block, T), jnp.arange(T), CONFIG)
    np.testing.assert_array_equal(attention.band(table_HR, block, T, CONFIG), expected)
