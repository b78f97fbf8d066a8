"""Dropout: so much is left out, the rest makes up for it, and a step's own number decides what."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from openlamda import config
from openlamda.errors import UserError
from openlamda.model import params as first_weights
from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.transformer import Dropout
from openlamda.train.loss import Batch
from openlamda.train.recipe import Recipe
from openlamda.train.step import fresh, train_step

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=32, vocab_size=400)
KEY = jax.random.key(3)


def test_so_much_is_left_out_and_the_mean_stays():
    drop = Dropout(0.25, KEY).of_layer(jnp.int32(1))
    first, second = (np.asarray(drop(jnp.ones((4, 50, 100)), part)) for part in (0, 1))
    assert set(np.unique(first)) == {0, np.float32(4 / 3)}
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.015) and first.mean() == pytest.approx(1, abs=0.02)
    agree = ((first == 0) == (second == 0)).mean()
    assert agree == pytest.approx(0.25**2 + 0.75**2, abs=0.02)  # the two parts of a block: each its own
    np.testing.assert_array_equal(first, drop(jnp.ones((4, 50, 100)), 0))
    other = Dropout(0.25, KEY).of_layer(jnp.int32(0))(jnp.ones((4, 50, 100)), 0)
    assert (np.asarray(other) != first).any()


def test_everything_left_out_is_the_embedding_alone():
    params = first_weights.init(TINY, jax.random.key(0))
    tokens = jnp.arange(19, 31)[None]
    almost = transformer.forward(
        params, tokens, jnp.ones_like(tokens), TINY, dropout=Dropout(1 - 1e-7, KEY)
    )  # no draw is that large
    alone = transformer.rms_norm(params["embed"][tokens], params["norm_final"])
    np.testing.assert_allclose(almost, alone, atol=1e-6)


def test_a_step_is_repeatable_and_no_step_is_like_another():
    rng = np.random.default_rng(0)
    tokens = rng.integers(19, 400, (2, 24)).astype(np.int32)
    batch = Batch(tokens, np.ones_like(tokens), np.ones((2, 24), np.float32))
    optimizer = optax.sgd(0.0)  # the weights stay: only dropout changes the loss

    def losses(rate: float, accumulate: int = 1) -> list[float]:
        state = fresh(first_weights.init(TINY, jax.random.key(0)), optimizer)
        found = []
        for _ in range(3):
            state, metrics = train_step(
                state, batch, config=TINY, optimizer=optimizer, dropout=rate, accumulate=accumulate
            )
            found.append(float(metrics["loss"]))
        return found

    plain, dropped = losses(0.0), losses(0.3)
    assert plain[0] == plain[1] == plain[2]
    assert len(set(dropped)) == 3 and dropped == losses(0.3)
    assert losses(0.3, accumulate=2)[0] != dropped[0]  # each part of a batch has its own


def test_a_share_of_one_is_refused():
    with pytest.raises(UserError, match=r"dropout"):
        config.convert(Recipe, {"start": "nano", "steps": 1, "dropout": 1.0}, "recipe")
