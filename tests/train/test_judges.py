"""Judges measured: only rows that fit count, and how many did not is told."""

import jax
import pytest

from openlamda.corpus.rows import Judged
from openlamda.errors import UserError
from openlamda.model import params as weights
from openlamda.model.config import ModelConfig
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar
from openlamda.train import judges
from openlamda.train.recipe import Wanted

TINY = ModelConfig(num_layers=1, d_model=16, num_heads=2, d_head=16, d_ff=32, vocab_size=400)


def row(number: int, words: int = 1) -> Judged:
    context = Dialog((Turn("user", " ".join(["river"] * words)),))
    return Judged(str(number), context, f"it is {number} long", {"sensible": number % 2 == 0})


def test_rows_longer_than_the_model_was_trained_on_are_left_out_and_counted(tokenizer):
    rows = {"sensible": [*map(row, range(50)), *(row(number, 60) for number in range(30))]}
    grammar, wanted = Grammar(tokenizer.encode), {"sensible": Wanted(recall=0.8)}
    judges.check(wanted, rows, grammar, 40)
    measured = judges.measure(weights.init(TINY, jax.random.key(0)), TINY, grammar, 40, wanted, rows)
    calibrated = measured["calibration"]["sensible"]
    assert (calibrated.rows, calibrated.yes, calibrated.too_long) == (50, 25, 30)


def test_too_few_rows_that_fit_are_refused_before_anything_is_trained(tokenizer):
    rows = {"sensible": [*map(row, range(30)), *(row(number, 60) for number in range(30))]}
    with pytest.raises(UserError, match=r"15 .*yes and 15 no, expected 20 of each; 30 more are longer than .* = 40"):
        judges.check({"sensible": Wanted(recall=0.8)}, rows, Grammar(tokenizer.encode), 40)
