"""The mean of models: of their weights, of one shape and tokenizer alone."""

import jax
import numpy as np
import pytest

from openlamda.cli.model import average
from openlamda.errors import UserError
from openlamda.model import params, weights
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=1, d_model=8, num_heads=2, d_head=4, d_ff=16, vocab_size=20)
WIDER = ModelConfig(num_layers=1, d_model=8, num_heads=2, d_head=4, d_ff=24, vocab_size=20)


@pytest.fixture
def models(tmp_path):
    for name, config, tokenizer in (("a", TINY, b"t"), ("b", TINY, b"t"), ("wide", WIDER, b"t"), ("other", TINY, b"o")):
        weights.save(tmp_path / name, params.init(config, jax.random.key(len(name))), config, tokenizer, "float32")
    weights.save(tmp_path / "b", params.init(TINY, jax.random.key(9)), TINY, b"t", "float32")
    return tmp_path


def test_the_mean_of_three(models):
    average(models / "a", models / "b", models / "b", output=models / "mean")
    (a, _), (b, _), (mean, config) = (weights.load(models / name) for name in ("a", "b", "mean"))
    assert config == TINY and (models / "mean" / "tokenizer.model").read_bytes() == b"t"
    for name, array in mean.items():
        expected = (np.asarray(a[name]) + 2 * np.asarray(b[name])) / 3
        np.testing.assert_allclose(array, expected, rtol=1e-2, atol=1e-4)  # bfloat16 on disk


@pytest.mark.parametrize("second", ["wide", "other", "missing"])
def test_models_that_do_not_go_together_are_refused_and_nothing_is_written(models, second):
    with pytest.raises(UserError, match=second):
        average(models / "a", models / second, output=models / "mean")
    assert not (models / "mean").exists()


def test_one_model_has_no_mean(models):
    with pytest.raises(UserError, match="1 models, expected two or more"):
        average(models / "a", output=models / "mean")


def test_judges_of_another_model_are_not_left_beside_the_mean(models):
    before = (models / "a" / "model.safetensors").read_bytes()
    (models / "a" / "judges.json").write_text("{}")
    with pytest.raises(UserError, match="expected a new directory"):
        average(models / "a", models / "b", output=models / "a")
    assert (models / "a" / "model.safetensors").read_bytes() == before
