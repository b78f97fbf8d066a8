"""Learning rates against formulas worked out by hand; parts of a batch against the whole."""

import math

import jax
import numpy as np
import optax
import pytest

from openlamda.model import params as weights
from openlamda.model.config import ModelConfig
from openlamda.train.loss import Batch
from openlamda.train.optimizer import schedule
from openlamda.train.recipe import Optimizer
from openlamda.train.step import fresh, train_step

TINY = ModelConfig(num_layers=1, d_model=16, num_heads=2, d_head=16, d_ff=32, vocab_size=400)


def rates(steps: int, **settings) -> list[float]:
    at = schedule(0.01, Optimizer(**settings), steps)
    return [float(np.asarray(at(step))) for step in range(steps)]


def test_a_constant_rate_warms_up_and_decays():
    assert rates(8, warmup_steps=4, decay_steps=2) == pytest.approx(
        [0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01, 0.01, 0.005]
    )


def test_inverse_sqrt_is_that_of_t5_and_lingvo():
    """1 / sqrt(max(step, 10000)), that is 0.01 at first."""
    at = schedule(0.01, Optimizer(schedule="inverse_sqrt", warmup_steps=10_000), 3_000_000)
    for step in (0, 1, 9_999, 10_000, 40_000, 2_000_000):
        assert float(np.asarray(at(step))) == pytest.approx(1 / math.sqrt(max(step, 10_000)), rel=1e-5)


def test_cosine_falls_to_zero():
    found = rates(101, schedule="cosine", warmup_steps=1)
    assert found[1] == pytest.approx(0.01) and found[51] == pytest.approx(0.005) and found[100] < 1e-5
    assert found == sorted(found, reverse=True)


def test_parts_of_a_batch_add_up_to_the_whole():
    rng = np.random.default_rng(0)
    tokens = rng.integers(19, 400, (6, 24), np.int32)
    segments = np.sort(rng.integers(0, 3, (6, 24), np.int32), axis=1)[:, ::-1]
    batch = Batch(tokens, segments, rng.random((6, 24), np.float32) * (rng.random((6, 24)) < 0.3))
    optimizer = optax.sgd(0.1)
    results = []
    for parts in (1, 2, 3, 6):
        state = fresh(weights.init(TINY, jax.random.key(0)), optimizer)
        state, metrics = train_step(state, batch, config=TINY, optimizer=optimizer, accumulate=parts)
        results.append((state.params, metrics))
    for params, metrics in results[1:]:
        assert float(metrics["loss"]) == pytest.approx(float(results[0][1]["loss"]), rel=1e-6)
        for name, array in params.items():
            np.testing.assert_allclose(array, results[0][0][name], atol=2e-6, err_msg=name)
