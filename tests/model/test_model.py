"""Shapes and buckets against the paper's numbers; causality by gradients; weights to disk and back."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.errors import UserError
from openlamda.model import attention, transformer, weights
from openlamda.model.config import PRESETS, ModelConfig
from openlamda.model.params import count, init, table

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)


@pytest.mark.parametrize(
    ("preset", "relative_bias", "total"),
    [
        ("2b", "per_layer", 2_179_138_560),
        ("8b", "per_layer", 8_721_174_528),
        ("137b", "per_layer", 137_702_416_384),
        ("2b", "shared", 2_179_127_040),
        ("8b", "shared", 8_721_143_808),
        ("137b", "shared", 137_702_158_336),
    ],
)
def test_totals(preset, relative_bias, total):
    assert count(dataclasses.replace(PRESETS[preset], relative_bias=relative_bias)) == total


@pytest.mark.parametrize(
    ("preset", "attention", "feed_forward", "embedding", "norms", "bias", "shared"),
    [
        ("2b", 52_428_800, 157_286_400, 81_920_000, 53_760, 12_800, 1_280),
        ("8b", 134_217_728, 402_653_184, 131_072_000, 135_168, 32_768, 2_048),
        ("137b", 536_870_912, 1_610_612_736, 262_144_000, 1_056_768, 262_144, 4_096),
    ],
)
def test_the_parts_of_the_totals(preset, attention, feed_forward, embedding, norms, bias, shared):
    config = PRESETS[preset]
    sizes = {name: math.prod(weight.shape) for name, weight in table(config).items()}
    assert sum(sizes[name] for name in ("query", "key", "value", "out")) == config.num_layers * attention
    assert sum(sizes[name] for name in ("gate", "up", "down")) == config.num_layers * feed_forward
    assert sizes["embed"] == embedding
    assert sum(size for name, size in sizes.items() if name.startswith("norm")) == norms
    assert sizes["relative_bias"] == bias
    assert math.prod(table(dataclasses.replace(config, relative_bias="shared"))["relative_bias"].shape) == shared


def test_a_shared_bias_is_the_same_one_in_every_layer():
    """Same states as with its copy in each layer; its gradient is the sum of theirs."""
    shared = dataclasses.replace(TINY, relative_bias="shared")
    params = init(shared, jax.random.key(0))
    copied = {**params, "relative_bias": jnp.repeat(params["relative_bias"], 2, 0)}
    tokens = jnp.asarray([[5, 6, 7, 8, 9, 10]])

    def total(params, config):
        hidden = transformer.forward(params, tokens, jnp.ones_like(tokens), config)
        return jnp.sum(hidden[..., 0]), hidden

    learn = jax.jit(jax.value_and_grad(total, has_aux=True), static_argnums=1)
    (_, one), one_gradient = learn(params, shared)
    (_, two), two_gradient = learn(copied, TINY)
    np.testing.assert_allclose(one, two, atol=1e-5)
    each = two_gradient["relative_bias"]
    assert np.abs(each).max(axis=(1, 2)).min() > 1e-4
    np.testing.assert_allclose(one_gradient["relative_bias"][0], each.sum(0), atol=1e-4)


def test_buckets_of_t5():
    first = {16: 16, 19: 17, 21: 18, 24: 19, 27: 20, 31: 21, 35: 22, 40: 23, 46: 24, 52: 25, 59: 26, 67: 27, 77: 28,
             87: 29, 99: 30, 113: 31}  # fmt: skip
    buckets = attention.distance_buckets(PRESETS["137b"])
    assert buckets[:16].tolist() == list(range(16))
    for distance, bucket in first.items():
        assert buckets[distance] == bucket
        assert buckets[distance - 1] == bucket - 1
    assert buckets[-1] == 31


@pytest.mark.parametrize("relative_bias", ["per_layer", "shared"])
def test_no_token_sees_the_future_or_another_segment(relative_bias):
    config = dataclasses.replace(TINY, relative_bias=relative_bias)
    params = init(config, jax.random.key(0))
    tokens = jnp.asarray([[5, 6, 7, 8, 9, 10]])
    segments = jnp.asarray([[1, 1, 1, 2, 2, 2]])

    def hidden(embedded, place):
        rows = {**params, "embed": embedded}
        return transformer.forward(rows, tokens, segments, config)[0, place].sum()

    for place, seen in ((1, {5, 6}), (2, {5, 6, 7}), (3, {8}), (5, {8, 9, 10})):
        gradient = jax.grad(hidden)(params["embed"], place)
        assert set(np.flatnonzero(np.abs(gradient).sum(-1)).tolist()) == seen


def test_attention_equals_plain_numpy():
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(1, 2, 3, 4)).astype(np.float32) for _ in range(3))
    bias = rng.normal(size=(1, 2, 3, 3)).astype(np.float32)
    logits = q @ k.swapaxes(-1, -2) + bias
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(attention.attend(*map(jnp.asarray, (q, k, v, bias))), shares @ v, atol=1e-5)


@pytest.mark.parametrize("relative_bias", ["per_layer", "shared"])
def test_weights_survive_the_disk(tmp_path, relative_bias):
    written = dataclasses.replace(TINY, relative_bias=relative_bias)
    params = init(written, jax.random.key(1))
    weights.save(tmp_path, params, written, b"tokenizer", dtype="float32")
    loaded, config = weights.load(tmp_path)
    assert config == written
    for name in params:
        np.testing.assert_array_equal(loaded[name], params[name])


def test_a_directory_without_a_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        weights.load(tmp_path)


def test_a_weight_of_another_shape_is_named(tmp_path):
    weights.save(tmp_path, init(TINY, jax.random.key(1)), TINY, b"")
    weights.save(tmp_path / "b", init(dataclasses.replace(TINY, d_ff=32), jax.random.key(1)), TINY, b"")
    with pytest.raises(UserError, match=r"weight 'gate' is \(2, 16, 32\), expected \(2, 16, 64\)"):
        weights.load(tmp_path / "b")
