"""Adapters: they begin as nothing, train alone, and the saved model is the one that was trained."""

import dataclasses
import random

import jax
import numpy as np
import optax
import pytest

from openlamda.corpus import chains
from openlamda.corpus.made import Maker
from openlamda.errors import UserError
from openlamda.model import adapters, transformer, weights
from openlamda.model import params as first_weights
from openlamda.model.config import ModelConfig
from openlamda.text.grammar import Grammar
from openlamda.train import feed, loop
from openlamda.train.loss import Batch
from openlamda.train.recipe import Lora, Optimizer, Recipe
from openlamda.train.sources import Source
from openlamda.train.step import eval_step, fresh, train_step

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=32, vocab_size=400)
NAMES = ("query", "out", "down")


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    tokens = rng.integers(19, 400, (2, 24)).astype(np.int32)
    return Batch(tokens, np.ones_like(tokens), np.ones((2, 24), np.float32))


def test_only_adapters_learn_and_merging_changes_nothing(batch):
    frozen = first_weights.init(TINY, jax.random.key(0))
    learned = adapters.init(TINY, NAMES, 3, jax.random.key(1))
    both = {**frozen, **learned}
    start = transformer.forward(frozen, batch.tokens, batch.segments, TINY)
    np.testing.assert_array_equal(transformer.forward(both, batch.tokens, batch.segments, TINY), start)

    optimizer = optax.adam(1e-2)
    state, losses = fresh(learned, optimizer), []
    for _ in range(12):
        state, metrics = train_step(state, batch, frozen, config=TINY, optimizer=optimizer)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0] - 0.5
    merged = adapters.merged_layers({**frozen, **state.params})
    assert merged.keys() == frozen.keys()
    total, count = eval_step(merged, batch, config=TINY)
    beside, _ = eval_step({**frozen, **state.params}, batch, config=TINY)
    assert float(total) == pytest.approx(float(beside), rel=1e-5)
    assert float(total / count) < losses[-1]
    for name, weight in merged.items():
        change = np.asarray(weight - frozen[name])
        if name not in NAMES:
            assert not change.any(), name
            continue
        inputs = adapters.SUMMED[name]
        for layer in change:
            rank = np.linalg.matrix_rank(layer.reshape(np.prod(layer.shape[:inputs]), -1), tol=1e-5)
            assert rank == 3, name


@pytest.fixture
def recipe(tmp_path, tokenizer, monkeypatch) -> Recipe:
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    monkeypatch.setitem(loop.PRESETS, "tiny", TINY)

    def sources(mixture, *_, held, beliefs):
        maker, grammar = Maker(random.Random(held), ["stone", "water", "silver"]), Grammar(tokenizer.encode)
        rows = {"lookup": chains.rows(maker, "lookup"), "copy": maker.repeats()}
        return {task: Source(task, rows[task], grammar, 128, held) for task in mixture}

    monkeypatch.setattr(feed, "sources", sources)
    return Recipe(
        start="tiny", tokenizer=str(tmp_path / "t.model"), steps=4, batch_rows=2, row_tokens=128, log_every=1,
        checkpoint_every=2, mixture={"lookup": 1.0}, optimizer=Optimizer(name="adamw", warmup_steps=1),
        lora=Lora(rank=2, weights=("value", "gate")),
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_saves_the_merged_model_and_resumes(tmp_path, recipe):
    whole = loop.run(recipe, tmp_path / "whole", [], lambda values: None)
    trained, config = weights.load(whole)
    assert config.d_model == 16
    start, _, _ = loop.start(recipe)
    changed = {name for name in start if not np.array_equal(trained[name], start[name])}
    assert changed == {"value", "gate"}

    def end(values):
        if values["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.run(recipe, tmp_path / "parts", [], end)
    parts = loop.run(recipe, tmp_path / "parts", [], lambda values: None)
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_another_optimizer_is_refused(tmp_path, recipe):
    recipe = dataclasses.replace(recipe, optimizer=Optimizer(name="muon"))
    with pytest.raises(UserError, match="adapters are trained by adamw, muon"):
        loop.run(recipe, tmp_path / "run", [], lambda values: None)
