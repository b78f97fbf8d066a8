"""Weights layer by layer: the same ones, however they lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.engine import lanes
from openlamda.engine.layered import MATRICES, layered
from openlamda.model import params as parameters
from openlamda.model.config import ModelConfig
from openlamda.model.quantized import quantize

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=12, d_ff=40, vocab_size=50)
FLOATS = parameters.init(TINY, jax.random.key(0))


@pytest.mark.parametrize("kind", ["float32", "int8", "bfloat16"])
def test_each_layer_has_its_weights(kind, monkeypatch):
    monkeypatch.setattr("openlamda.model.weights.multiplies_bfloat16", lambda: False)
    low = {name: weight.astype(jnp.bfloat16) for name, weight in FLOATS.items()}
    params = {"float32": FLOATS, "int8": quantize(FLOATS), "bfloat16": low}[kind]
    weights = layered({name: np.asarray(weight) for name, weight in params.items()}, TINY)
    assert len(weights.layers) == 2 and weights.layers[0].keys() == weights.layers[1].keys()
    for n, layer in enumerate(weights.layers):
        assert set(MATRICES) <= layer.keys() <= params.keys() | {"relative_bias"}
        for name, weight in layer.items():
            expected = params[name][min(n, len(params[name]) - 1)]
            assert weight.dtype == expected.dtype
            np.testing.assert_array_equal(weight, expected, err_msg=name)


def test_a_cpu_without_amx_has_matrices_turned(monkeypatch):
    low = {name: weight.astype(jnp.bfloat16) for name, weight in FLOATS.items()}
    for params, amx, turned in (
        (FLOATS, False, True),
        (quantize(FLOATS), False, True),
        (FLOATS, True, False),
        (low, False, False),
    ):
        monkeypatch.setattr("openlamda.model.weights.multiplies_bfloat16", lambda amx=amx: amx)
        kept = layered(params, TINY).kept[0]
        assert {f"{name}.T" in kept for name in MATRICES} == {turned}


def test_without_amx_a_computation_has_two_cores(monkeypatch):
    for has, count, expected in ((True, 8, 8), (False, 8, 4), (False, 3, 1), (False, 1, 1)):
        monkeypatch.setattr(lanes, "multiplies_bfloat16", lambda has=has: has)
        monkeypatch.setattr(lanes, "cores", lambda count=count: count)
        assert lanes.usual_lanes() == (1, expected)
