"""Weights in bfloat16 and int8: how far they are off, the disk, and the model that multiplies with them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file, save_file

from openlamda.engine.base import Sampling, TextTree
from openlamda.engine.local import LocalModel
from openlamda.errors import UserError
from openlamda.model import transformer, weights
from openlamda.model.config import ModelConfig
from openlamda.model.params import init, table
from openlamda.model.quantized import SCALE, SUMMED, compute_dtype, dequantize, quantize, scale_shape
from openlamda.model.sharding import make_mesh

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=8, d_ff=24, vocab_size=40)
UNGATED = dataclasses.replace(TINY, activation="relu", relative_bias="shared")
TOKENS = np.random.default_rng(0).integers(0, 40, (2, 30))


def wide(params):
    return {name: jnp.asarray(array) for name, array in dequantize(params).items()}


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, (2, 3, 2, 3), elements=st.floats(-1e6, 1e6, width=32)),
    st.sampled_from(["query", "out", "embed"]),
)
def test_a_weight_is_off_by_half_a_scale_at_most(weight, name):
    params = quantize({name: weight})
    scale = np.asarray(params[name + SCALE])
    assert scale.shape == scale_shape(name, weight.shape) and scale.dtype == np.float32
    scale = np.expand_dims(scale, tuple(range(1, 1 + SUMMED[name])))
    levels = np.asarray(params[name])
    assert levels.dtype == np.int8 and levels.min() >= -127
    assert np.all(np.abs(weight - levels * scale) <= scale / 2 * (1 + 1e-4))
    np.testing.assert_array_equal(dequantize(params)[name], levels * scale)


def test_a_large_output_makes_no_other_coarser():
    params = init(TINY, jax.random.key(0))
    scales = {name: np.asarray(array) for name, array in quantize(params).items() if name.endswith(SCALE)}
    assert {name.removesuffix(SCALE) for name in scales} == {"embed", *"query key value out gate up down".split()}
    larger = params | {"embed": params["embed"].at[7].multiply(1e6), "query": params["query"].at[1, :, 0, 3].add(1e6)}
    for name, array in quantize(larger).items():
        if name.endswith(SCALE):
            apart = np.argwhere(np.asarray(array) != scales[name]).tolist()
            assert apart == {"embed.scale": [[7]], "query.scale": [[1, 0, 3]]}.get(name, []), name


@pytest.mark.parametrize("config", [TINY, UNGATED], ids=["gated", "ungated"])
@pytest.mark.parametrize("on_mesh", [False, True], ids=["alone", "mesh"])
def test_int8_gives_what_the_float_weights_give_that_it_stands_for(config, on_mesh):
    rounded = {name: jnp.asarray(array) for name, array in quantize(init(config, jax.random.key(2))).items()}

    def run(params):
        tokens = jnp.asarray(TOKENS)
        return transformer.logits(params, transformer.forward(params, tokens, jnp.ones_like(tokens), config))

    expected = run(wide(rounded))
    if on_mesh:
        with jax.set_mesh(make_mesh({"model": 1})):
            found = run(rounded)
    else:
        found = run(rounded)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.fixture(scope="module")
def rounded():
    return {name: jnp.asarray(array) for name, array in quantize(init(TINY, jax.random.key(3))).items()}


def answers(params):
    model = LocalModel(params, TINY)
    prefix, questions = (5, 6, 7, 8), [(4,), (6, 7)]
    drawn = model.sample(prefix, 4, Sampling(top_k=10, max_tokens=6, stop=(1,)), seed=3)
    given = [(9, 10), (), (11, 12, 13)]
    return {
        "tokens": [candidate.tokens for candidate in drawn],
        "logprobs": [candidate.logprob for candidate in drawn],
        "scores": model.score(prefix, [(9, 10, 11), (9, 12, 13)]),
        "drawn": model.rate(prefix, [drawn[0].tokens], questions, 2, 3),
        "given": model.rate(prefix, given, questions, 2, 3),
        "bulk": model.rate_all([TextTree(prefix, ((3, (9, 10)), (4, (11,))))], questions, 2, 3, 2),
    }


@pytest.fixture(scope="module")
def expected(rounded):
    return answers(wide(rounded))


def test_the_engine_with_int8_answers_as_with_the_float_weights(rounded, expected):
    found = answers(rounded)
    assert found["tokens"] == expected["tokens"]
    for name in expected.keys() - {"tokens"}:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_the_engine_in_bfloat16_answers_nearly_as_in_float32(tmp_path, rounded, expected, kind):
    weights.save(tmp_path, rounded, TINY, b"", kind)
    params, _ = weights.load(tmp_path, "bfloat16")
    assert compute_dtype(params) == jnp.bfloat16
    found = answers(params)
    for name in ("scores", "given", "bulk"):  # others tokens may be drawn
        np.testing.assert_allclose(found[name], expected[name], atol=0.06, err_msg=name)


# ---- on disk


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_what_is_saved_is_what_is_loaded(tmp_path, dtype):
    params = init(TINY, jax.random.key(1))
    weights.save(tmp_path, params, TINY, b"", dtype)
    stored, config = weights.read(tmp_path)
    assert config == TINY
    expected = quantize(params) if dtype == "int8" else {name: a.astype(dtype) for name, a in params.items()}
    assert stored.keys() == expected.keys()
    for name, array in stored.items():
        assert array.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(array, expected[name])
    loaded, _ = weights.load(tmp_path, "float32")
    for name, array in loaded.items():
        assert array.dtype == ("int8" if stored[name].dtype == np.int8 else "float32"), name
        np.testing.assert_array_equal(array, stored[name])


def test_on_a_cpu_without_products_of_bfloat16_floats_become_float32_elsewhere_they_are_as_stored(
    tmp_path, monkeypatch
):
    weights.save(tmp_path, init(TINY, jax.random.key(1)), TINY, b"")
    for has_instructions, dtype in ((False, "float32"), (True, "bfloat16")):
        monkeypatch.setattr(weights, "multiplies_bfloat16", lambda has=has_instructions: has)
        assert {array.dtype.name for array in weights.load(tmp_path)[0].values()} == {dtype}
    assert {array.dtype.name for array in weights.load(tmp_path, "float32")[0].values()} == {"float32"}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert {array.dtype.name for array in weights.load(tmp_path)[0].values()} == {"bfloat16"}


def test_whether_a_cpu_multiplies_bfloat16_stands_among_its_flags(tmp_path):
    cpu = tmp_path / "cpuinfo"
    assert not weights.multiplies_bfloat16(cpu)
    cpu.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_tile\n")
    assert not weights.multiplies_bfloat16(cpu)
    cpu.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n")
    assert weights.multiplies_bfloat16(cpu)


def test_int8_is_saved_as_floats_again(tmp_path, rounded):
    weights.save(tmp_path, rounded, TINY, b"", "float32")
    loaded, _ = weights.load(tmp_path)
    assert loaded.keys() == table(TINY).keys()
    for name, array in wide(rounded).items():
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("query.scale", None, r"weight 'query\.scale' is nothing, expected \(2, 2, 8\)"),
        ("embed.scale", np.ones(16, np.float32), r"weight 'embed\.scale' is \(16,\), expected \(40,\)"),
        ("up.scale", np.ones((2, 24), np.float16), r"weight 'up\.scale' is of dtype F16, expected F32"),
        ("up", np.ones((2, 16, 24), np.float32), r"weight 'up\.scale' has no place"),
        ("up", np.ones((2, 16, 24), np.float64), r"weight 'up' is of dtype F64, expected F32 or BF16 or I8"),
        ("up", np.ones((2, 24, 16), np.int8), r"weight 'up' is \(2, 24, 16\), expected \(2, 16, 24\)"),
        ("norm_final", np.ones(16, np.int8), r"weight 'norm_final' is of dtype I8, expected F32 or BF16"),
        ("bias", np.ones(16, np.float32), r"weight 'bias' has no place"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path, rounded, name, array, message):
    weights.save(tmp_path, rounded, TINY, b"", "int8")
    path = tmp_path / "model.safetensors"
    changed = {n: a for n, a in {**load_file(path), name: array}.items() if a is not None}
    save_file(changed, path)
    with pytest.raises(UserError, match=r"model\.safetensors: " + message):
        weights.load(tmp_path)
