"""Model directories in another dtype: whole, by a card that says so, never over another."""

import jax
import numpy as np
import pytest

from openlamda.cli.model import average, convert
from openlamda.errors import UserError
from openlamda.evaluate.systems import number_of_weights
from openlamda.model import weights
from openlamda.model.config import ModelConfig
from openlamda.model.params import count, init
from openlamda.model.quantized import dequantize
from openlamda.train import loop
from openlamda.train.recipe import Recipe

TINY = ModelConfig(num_layers=1, d_model=8, num_heads=2, d_head=4, d_ff=16, vocab_size=20)


@pytest.fixture
def model(tmp_path):
    weights.save(tmp_path / "model", init(TINY, jax.random.key(0)), TINY, b"tokenizer")
    (tmp_path / "model" / "judges.json").write_text('{"attributes": ["sensible"]}')
    (tmp_path / "model" / "README.md").write_text("# A model\n")
    return tmp_path / "model"


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_whole_directory_is_written_and_its_card_says_so(model, tmp_path):
    convert(model, output=tmp_path / "new" / "int8", dtype="int8")
    convert(tmp_path / "new" / "int8", output=tmp_path / "wide", dtype="float32")
    for name in ("config.json", "tokenizer.model", "judges.json"):
        assert (tmp_path / "wide" / name).read_bytes() == (model / name).read_bytes()
    card = (tmp_path / "wide" / "README.md").read_text()
    assert card.startswith("# A model\n\nWeights converted from bfloat16 to int8 by")
    assert "\n\nWeights converted from int8 to float32 by" in card
    assert names(tmp_path / "new") == {"int8"}  # nothing half-made is left

    before, _ = weights.read(model)
    rounded, _ = weights.read(tmp_path / "new" / "int8")
    after, _ = weights.read(tmp_path / "wide")
    assert rounded["up"].dtype == np.int8 and rounded["norm_final"].dtype == before["norm_final"].dtype
    for name, array in dequantize(rounded).items():
        np.testing.assert_array_equal(after[name], array)
        np.testing.assert_allclose(after[name], before[name].astype(np.float32), atol=0.02)
    assert number_of_weights(tmp_path / "new" / "int8") == count(TINY)


def test_a_model_without_card_or_judges_gets_a_card(model, tmp_path):
    (model / "judges.json").unlink()
    (model / "README.md").unlink()
    convert(model, output=tmp_path / "new", dtype="bfloat16")
    assert (tmp_path / "new" / "README.md").read_text().startswith("Weights converted from bfloat16 to bfloat16")
    assert names(tmp_path / "new") == {*names(model), "README.md"}


def test_nothing_is_written_over_or_beside(model, tmp_path):
    before = (model / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="model: is there already, expected a new directory"):
        convert(model, output=model, dtype="int8")
    with pytest.raises(UserError, match=r"judges\.json/new: .*, expected a place"):
        convert(model, output=model / "judges.json" / "new", dtype="int8")
    (model / "model.safetensors").write_bytes(before[:-1])
    with pytest.raises(UserError, match=r"model\.safetensors"):
        convert(model, output=tmp_path / "new", dtype="int8")
    assert names(tmp_path) == {"model"}


def test_new_weights_are_not_made_of_int8(model, tmp_path):
    convert(model, output=tmp_path / "int8", dtype="int8")
    message = r"int8: weight 'down' is int8, expected float32 or bfloat16.*--dtype float32"
    with pytest.raises(UserError, match=message):
        loop.start(Recipe(start=str(tmp_path / "int8"), steps=1))
    with pytest.raises(UserError, match=message):
        average(tmp_path / "int8", model, output=tmp_path / "mean")
