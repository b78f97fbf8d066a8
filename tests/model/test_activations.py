"""Every activation against its formula, in counting, learning, decoding and on disk; widths; changes of a shape."""

import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.engine.base import Sampling
from openlamda.engine.local import LocalModel
from openlamda.errors import UserError
from openlamda.model import params as weights_table
from openlamda.model import transformer, weights
from openlamda.model.config import PRESETS, ModelConfig, changed
from openlamda.train.plan import flops_per_token, plan

TINY = ModelConfig(num_layers=1, d_model=16, num_heads=2, d_head=16, d_ff=24, vocab_size=30)
UNGATED, GATED = ("relu", "gelu", "silu"), ("glu", "bilinear", "reglu", "geglu", "swiglu")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):  # the tanh form, Hendrycks & Gimpel 2016
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


FORMULAS = {  # Shazeer 2020, equations 1 to 6; of x W and x V
    "relu": lambda w, v: np.maximum(v, 0),
    "gelu": lambda w, v: gelu(v),
    "silu": lambda w, v: v * sigmoid(v),
    "glu": lambda w, v: sigmoid(w) * v,
    "bilinear": lambda w, v: w * v,
    "reglu": lambda w, v: np.maximum(w, 0) * v,
    "geglu": lambda w, v: gelu(w) * v,
    "swiglu": lambda w, v: w * sigmoid(w) * v,
}


@pytest.fixture(params=[*UNGATED, *GATED])
def config(request) -> ModelConfig:
    return dataclasses.replace(TINY, activation=request.param)


@pytest.fixture(scope="module")
def gated() -> weights_table.Params:
    return weights_table.init(TINY, jax.random.key(0))


@pytest.fixture
def params(config, gated) -> weights_table.Params:
    """The same first values for all activations."""
    return {name: gated[name] for name in weights_table.table(config)}


def test_the_feed_forward_is_the_papers_formula(config, params):
    layer = {name: value[0] for name, value in transformer.layers(params).items()}
    x = np.random.default_rng(0).normal(size=(1, 3, 16)).astype(np.float32)
    found = transformer.close_block(jnp.asarray(x), jnp.zeros((1, 2, 3, 16)), layer, config)
    normed = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    w, v = (normed @ np.asarray(layer[name]) if name in layer else None for name in ("gate", "up"))
    expected = x + FORMULAS[config.activation](w, v) @ np.asarray(layer["down"])
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("name", [*UNGATED, *GATED])
def test_gradients_written_by_hand_are_jaxs_own(name):
    """Of the gelu, and of the product with the gate."""
    plain = {
        "gelu": jax.nn.gelu,
        "geglu": jax.nn.gelu,
        "silu": jax.nn.silu,
        "swiglu": jax.nn.silu,
        "glu": jax.nn.sigmoid,
    }
    plain |= {"relu": jax.nn.relu, "reglu": jax.nn.relu, "bilinear": lambda x: x}
    ours = transformer.ACTIVATIONS[name]
    with jax.enable_x64(True):
        gate, up, grad = 3 * jax.random.normal(jax.random.key(1), (3, 1000), jnp.float64)
        found = jax.vjp(partial(transformer.gated, ours), gate, up)[1](grad)
        expected = jax.vjp(lambda gate, up: plain[name](gate) * up, gate, up)[1](grad)
        found += jax.vjp(ours, gate)[1](grad)
        expected += jax.vjp(plain[name], gate)[1](grad)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_it_learns_and_sees_neither_future_nor_other_segments(config, params):
    tokens, segments = jnp.asarray([[5, 6, 7, 8, 9, 10]]), jnp.asarray([[1, 1, 1, 1, 2, 2]])

    @jax.jit
    def hidden(params):
        hidden_BTD = transformer.forward(params, tokens, segments, config)
        return jnp.sum(hidden_BTD[0, 2] * jnp.arange(16)), hidden_BTD

    (_, found), gradients = jax.value_and_grad(hidden, has_aux=True)(params)
    assert found.shape == (1, 6, 16) and np.isfinite(found).all()
    assert set(np.flatnonzero(np.abs(gradients["embed"]).sum(-1)).tolist()) == {5, 6, 7}
    for name, gradient in gradients.items():
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, name


def test_cached_decoding_is_a_plain_forward(config, params):
    prefix, model = (7, 8, 9), LocalModel(params, config)
    with jax.disable_jit():
        (drawn,) = model.sample(prefix, 1, Sampling(top_k=8, max_tokens=3, stop=()), seed=1)
        (scores,) = model.score(prefix, [drawn.tokens])
    row = jnp.asarray([prefix + drawn.tokens])
    logits = transformer.logits(params, transformer.forward(params, row, jnp.ones_like(row), config))
    logprobs = jax.nn.log_softmax(logits)[0]
    plain = [float(logprobs[place, token]) for place, token in enumerate(drawn.tokens, len(prefix) - 1)]
    assert drawn.logprob == pytest.approx(sum(plain), abs=1e-3)
    assert scores == pytest.approx(plain, abs=1e-3)


def test_it_survives_the_disk(config, params, tmp_path):
    weights.save(tmp_path, params, config, b"", dtype="float32")
    loaded, found = weights.load(tmp_path)
    assert found == config and loaded.keys() == params.keys()
    for name in params:
        np.testing.assert_array_equal(loaded[name], params[name])


@pytest.mark.parametrize("activation", [*UNGATED, *GATED])
def test_counts_and_costs_of_137b(activation):
    config = changed(PRESETS["137b"], {"activation": activation})
    matrices = 3 if activation in GATED else 2
    layer = 4 * 8192 * 128 * 128 + matrices * 8192 * 65_536
    rest = 32_000 * 8192 + (2 * 64 + 1) * 8192 + 64 * 128 * 32
    assert weights_table.count(config) == 64 * layer + rest
    products = 6 * (64 * layer + 32_000 * 8192) + 12 * 64 * 1024 * 128 * 128
    assert flops_per_token(config, 1024) == products
    found = plan(config, "v3", 1024, mesh=(1, 64, 16))
    assert found.wire_bytes["data"] == pytest.approx(64 * 3 * 2 * layer / 16 * 63 / 64)
    kept = {"minimal": 2 * 8192 + 4 * 16_384 + (matrices - 1) * 65_536, "full": 8192}
    for remat in ("minimal", "full"):
        held = plan(config, "v3", 1024, mesh=(1, 64, 16), remat=remat).activation_bytes
        assert held == 2 * 4096 * kept[remat] * 64 / 16


def test_two_thirds_of_the_width_cost_what_no_gate_does():
    base = changed(PRESETS["2b"], {"d_ff": 3072})
    narrow = changed(base, {"activation": "swiglu", "two_thirds_width": True})
    assert narrow.d_ff == 2048  # T5 base
    assert weights_table.count(narrow) == weights_table.count(changed(base, {"activation": "relu"}))
    assert flops_per_token(narrow, 512) == flops_per_token(changed(base, {"activation": "relu"}), 512)
    assert changed(narrow, {}) == narrow
    large = changed(PRESETS["137b"], {"two_thirds_width": True})
    assert large.d_ff == 43_690 and round(weights_table.count(large) / 1e9, 1) == 103.3


def test_changes_are_those_of_dataclasses_replace():
    assert changed(TINY, {"relative_bias": "shared", "d_ff": 8}) == dataclasses.replace(
        TINY, relative_bias="shared", d_ff=8
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "swish"}, "activation = 'swish', expected one of relu, gelu, silu"),
        ({"activatio": "relu"}, "no setting 'activatio'; did you mean 'activation'"),
        ({"d_ff": 0}, "d_ff = 0, expected a number from 1 on"),
        ({"d_ff": True}, "d_ff = True, expected a number"),
        ({"d_ff": 1.5}, "d_ff = 1.5, expected a number"),
        ({"relative_bias": ["shared"]}, "relative_bias = .*expected one of per_layer, shared"),
        ({"num_buckets": 1}, "num_buckets = 1"),
        ({"max_distance": 16}, "max_distance = 16"),
        ({"two_thirds_width": "yes"}, "two_thirds_width = 'yes', expected true or false"),
        ({"two_thirds_width": True, "activation": "relu"}, "for gated activations, relu is not"),
    ],
)
def test_changes_that_make_no_shape_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        changed(PRESETS["nano"], changes)


def test_a_surplus_weight_is_named(tmp_path, gated):
    weights.save(tmp_path, gated, TINY, b"")
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace("geglu", "relu"))
    with pytest.raises(UserError, match="weight 'gate' has no place"):
        weights.load(tmp_path)
