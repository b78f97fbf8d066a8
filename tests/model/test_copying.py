import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.errors import UserError
from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.config import PRESETS
from openlamda.model.copying import lay_copying
from openlamda.train.loss import Batch
from openlamda.train.step import said_right

NANO = PRESETS["nano"]


def repeats(rows: int, length: int) -> Batch:
    """Random tokens said twice; the second time is to be predicted."""
    once = np.random.default_rng(0).integers(20, NANO.vocab_size, (rows, length), dtype=np.int32)
    known = np.concatenate([np.zeros((rows, length + 1)), np.ones((rows, length - 1))], 1).astype(np.float32)
    return Batch(np.concatenate([once, once], 1), np.ones((rows, 2 * length), np.int32), known)


def test_the_untrained_circuit_repeats_what_stood_before():
    plain = weights.init(NANO, jax.random.key(0))
    batch = repeats(4, 40)
    assert said_right(plain, batch, config=NANO) < 0.05
    assert said_right(lay_copying(plain, NANO, seed=0), batch, config=NANO) > 0.7


def test_the_circuit_changes_first_values_and_no_shape():
    plain = weights.init(NANO, jax.random.key(0))
    laid = lay_copying(plain, NANO, seed=0)
    assert jax.tree.map(jnp.shape, laid) == jax.tree.map(jnp.shape, plain)
    hidden = transformer.forward(laid, jnp.ones((1, 5), jnp.int32), jnp.ones((1, 5), jnp.int32), NANO)
    assert jnp.all(jnp.isfinite(hidden))


@pytest.mark.parametrize("change", [{"num_layers": 1}, {"num_heads": 3}, {"d_head": 32}, {"relative_bias": "shared"}])
def test_a_shape_without_room_is_refused(change):
    config = dataclasses.replace(NANO, **change)
    with pytest.raises(UserError, match="copying heads need"):
        lay_copying(weights.init(config, jax.random.key(0)), config, seed=0)
