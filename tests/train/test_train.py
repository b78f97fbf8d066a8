"""A tiny run over tiny data: masks are the grammar's, a resumed run equals an uninterrupted one, shares hold."""

import dataclasses
import errno
import json
import random
import re
import shutil
import signal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from openlamda import config, stages
from openlamda.corpus import chains
from openlamda.corpus.made import Maker, query_of
from openlamda.corpus.rows import Answered, held_back
from openlamda.errors import UserError
from openlamda.model import params as weights
from openlamda.model.config import PRESETS, ModelConfig, changed
from openlamda.text.grammar import Grammar, Sequence
from openlamda.text.tokenizer import Symbol
from openlamda.tools.calculator import Calculator
from openlamda.train import feed, loop
from openlamda.train.batches import pack
from openlamda.train.loss import Batch
from openlamda.train.optimizer import adafactor
from openlamda.train.recipe import Optimizer, Recipe
from openlamda.train.sources import Source, mixed, sources
from openlamda.train.step import eval_step, fresh, train_step
from openlamda.train.tasks import passage

TINY = ModelConfig(num_layers=1, d_model=16, num_heads=2, d_head=16, d_ff=32, vocab_size=400)
WORDS = "stone water silver morning garden window letter summer".split()


def source(task, tokenizer, seed=0):
    maker = Maker(random.Random(seed), WORDS)
    rows = maker.repeats() if task == "copy" else chains.rows(maker, task)
    return Source(task, rows, Grammar(tokenizer.encode), 256, seed)


def test_packed_rows_hold_each_sequence_and_its_mask_once(tokenizer):
    rng = random.Random(0)
    given = []
    for _ in range(60):
        size = rng.randint(2, 30)
        tokens = tuple(rng.randint(19, 399) for _ in range(size))
        given.append(Sequence(tokens, tuple(rng.random() < 0.5 for _ in tokens)))
    packed = []
    stream = iter([("a", sequence) for sequence in given])
    try:
        for batch, counts in pack(stream, rows=4, row_tokens=40, rating_weight=5.0):
            assert counts["a"] == int((batch.segments > 0).sum())
            for row in range(4):
                for segment in np.unique(batch.segments[row][batch.segments[row] > 0]):
                    place = batch.segments[row] == segment
                    packed.append((tuple(batch.tokens[row][place]), tuple(batch.weights[row][place][1:] > 0)))
    except RuntimeError:  # the finite stream of this test has ended
        pass
    expected = [(sequence.tokens, sequence.learned[1:]) for sequence in given]
    assert len(packed) > 40
    assert set(packed) <= set(expected)


def test_a_rating_counts_as_the_recipe_says():
    sequence = Sequence((30, Symbol.SENSIBLE, Symbol.YES), (False, False, True))
    batch, _ = next(pack(iter([("judge", sequence)] * 99), 1, 9, rating_weight=8.0))
    assert batch.weights[0].tolist() == [0, 0, 8.0] * 3


def test_the_mixture_gives_its_shares(tokenizer):
    mixture = {"lookup": 0.5, "arithmetic": 0.3, "translation": 0.2}
    stream = mixed({task: source(task, tokenizer) for task in mixture}, mixture)
    tokens = dict.fromkeys(mixture, 0)
    for task, sequence in islice(stream, 600):
        tokens[task] += len(sequence.tokens)
    for task, share in mixture.items():
        assert tokens[task] / sum(tokens.values()) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("shares", [(0.5, 0.4), (0.5, 0.6), (1.5, -0.5), (1.0, 0.0)])
def test_shares_that_are_no_mixture_are_refused(shares, tokenizer, tmp_path):
    mixture: dict[str, float] = dict(zip(("lookup", "arithmetic"), shares, strict=True))
    with pytest.raises(UserError, match="the shares sum to"):
        sources(mixture, tmp_path, tokenizer, 256, 0, [])


@pytest.mark.parametrize("name", ["nano", "paper"])
def test_the_shares_of_the_shipped_recipes_sum_to_one(name, tmp_path):
    path = Path(__file__).parents[2] / "recipes" / f"{name}.toml"
    mixtures = [
        s.work.mixture for s in stages.read(path, (), tmp_path) if isinstance(s.work, Recipe) and s.work.mixture
    ]
    assert mixtures and all(sum(mixture.values()) == pytest.approx(1) for mixture in mixtures)


def test_made_arithmetic_agrees_with_the_calculator():
    maker, calculator = Maker(random.Random(1), WORDS), Calculator()
    for row in islice(chains.rows(maker, "arithmetic"), 2000):
        *failed, step = row.steps
        assert step.snippet is not None
        assert not any(calculator(before.query) for before in failed), failed
        found = calculator(step.query)
        assert found and found[0].text == step.snippet, step
        assert step.snippet in row.reply


def test_no_made_sum_divides_by_nothing():
    class Nothing(Maker):
        def _number(self):
            return "0.0"

    rows = list(islice(chains.rows(Nothing(random.Random(1), WORDS), "arithmetic"), 400))
    assert any("divide" in step.query or " / " in step.query for row in rows for step in row.steps)


def test_a_passage_is_shown_with_its_answer_and_the_answer_is_cited(tokenizer):
    words = [f"word{n}" for n in range(300)]
    answers = set()
    for n in range(20):
        asked = Answered("t#1", "which word is it", " ".join(words), f"word{10 * n + 3} word{10 * n + 4}")
        (sequence,) = passage(asked, Grammar(tokenizer.encode), 512, random.Random(n))
        text = tokenizer.decode(sequence.tokens)
        said = tokenizer.decode([t for t, learned in zip(sequence.tokens, sequence.learned, strict=True) if learned])
        assert text.casefold().count(asked.answer) == 2 and asked.answer in said.casefold() and "[1]" in said
        answers.add(asked.answer)
    assert len(answers) == 20


def test_a_made_look_up_can_be_answered_by_reading():
    maker = Maker(random.Random(2), WORDS)
    for row in islice(chains.rows(maker, "lookup"), 300):
        cited = re.search(r"\[(\d)\]", row.reply)
        if cited:
            snippets = [step.snippet for step in row.steps if step.snippet]
            assert snippets[int(cited[1]) - 1].split(" / ")[2].casefold() in row.reply.casefold()
        else:
            assert row.steps[-1].snippet is None


def test_of_a_repeated_text_only_the_repeats_are_learned(tokenizer):
    for sequence in islice(source("copy", tokenizer), 40):
        read = sequence.learned.index(True)
        text = tokenizer.decode(sequence.tokens[1:read]).strip()
        said = tokenizer.decode(sequence.tokens[read:]).strip()
        assert said in (text, f"{text} {text}")
        assert all(sequence.learned[read:])


def test_a_query_is_the_questions_own_words():
    assert query_of("Could you tell me how high Mount Kraim's top is?") == "how high Mount Kraim's top is"
    assert query_of("what is the capital of The Is") == "capital of The Is"
    assert query_of("is it") == "it"


def test_the_loss_counts_only_weighted_tokens_and_learning_lowers_it():
    rng = np.random.default_rng(0)
    tokens = rng.integers(19, 400, (2, 24)).astype(np.int32)
    segments = np.ones_like(tokens)
    half = np.concatenate([np.zeros((2, 12)), np.ones((2, 12))], axis=1).astype(np.float32)
    params = weights.init(TINY, jax.random.key(0))
    total, count = eval_step(params, Batch(tokens, segments, half), config=TINY)
    single = np.eye(24, dtype=np.float32)
    batches = [Batch(tokens, segments, single[[n, n]]) for n in range(12, 24)]
    parts = [eval_step(params, batch, config=TINY) for batch in batches]
    assert float(count) == 24
    assert float(total) == pytest.approx(sum(float(part[0]) for part in parts), rel=1e-4)
    optimizer = optax.adam(1e-2)
    state = fresh(params, optimizer)
    losses = []
    for _ in range(8):
        state, metrics = train_step(state, Batch(tokens, segments, half), config=TINY, optimizer=optimizer)
        losses.append(float(metrics["loss"]))
    assert losses[0] == pytest.approx(float(total / count), rel=1e-4)
    assert losses[-1] < losses[0] - 1


def test_a_gradient_that_is_not_finite_changes_nothing():
    params = weights.init(TINY, jax.random.key(0))
    optimizer = optax.adam(1e-2)
    before = {name: np.asarray(array) for name, array in params.items()}
    batch = Batch(np.full((1, 4), 30, np.int32), np.ones((1, 4), np.int32), np.full((1, 4), np.nan, np.float32))
    state, metrics = train_step(fresh(params, optimizer), batch, config=TINY, optimizer=optimizer)
    assert metrics["skipped"] == 1 and state.step == 1
    for name, array in state.params.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.fixture
def recipe(tmp_path, tokenizer, monkeypatch) -> Recipe:
    """Six steps of a tiny model."""
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    monkeypatch.setitem(loop.PRESETS, "tiny", TINY)

    def sources(mixture, *_, held, beliefs):
        return {task: source(task, tokenizer, held) for task in mixture}

    monkeypatch.setattr(feed, "sources", sources)
    return Recipe(
        start="tiny", tokenizer=str(tmp_path / "t.model"), steps=6, batch_rows=2, row_tokens=256, log_every=1,
        checkpoint_every=2, mixture={"lookup": 1.0}, optimizer=Optimizer(name="adamw", warmup_steps=2, decay_steps=2),
    )  # fmt: skip


def run(recipe: Recipe, directory: Path, at: int = 0, act=lambda: None) -> bytes:
    """The final weights of a run, in the course of which `act` is called after step `at`."""

    def report(values):
        if values["step"] == at:
            act()

    return (loop.run(recipe, directory, [], report) / "model.safetensors").read_bytes()


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", [slow("adamw"), "muon", slow("adafactor")])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, recipe, name):
    recipe = dataclasses.replace(recipe, optimizer=Optimizer(name=name, warmup_steps=2, decay_steps=2))
    whole = run(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "parts", 3, interrupt)
    assert run(recipe, tmp_path / "parts") == whole
    logged = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in logged] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UserError, match="a run of another recipe"):
        run(dataclasses.replace(recipe, steps=9), tmp_path / "whole")


def test_a_finished_run_with_judges_reads_no_rows_again(tmp_path, recipe, monkeypatch):
    whole = run(recipe, tmp_path / "run")
    monkeypatch.setattr(loop, "Feed", lambda *_: pytest.fail("the rows were read"))
    (tmp_path / "run" / "model" / "judges.json").write_text("{}")
    assert run(recipe, tmp_path / "run") == whole
    (tmp_path / "run" / "model" / "judges.json").unlink()  # ended while it measured
    with pytest.raises(pytest.fail.Exception, match="the rows were read"):
        run(recipe, tmp_path / "run")


def test_sigterm_saves_before_the_run_ends(tmp_path, recipe):
    recipe = dataclasses.replace(recipe, checkpoint_every=100)
    with pytest.raises(loop.Stopped, match="stopped at step 5 of 6"):
        run(recipe, tmp_path / "parts", 4, lambda: signal.raise_signal(signal.SIGTERM))
    assert [path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()] == ["5"]
    assert run(recipe, tmp_path / "parts") == run(recipe, tmp_path / "whole")


def test_a_cut_checkpoint_is_named_and_the_one_before_is_used(tmp_path, recipe, caplog):
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "parts", 5, interrupt)
    newest = tmp_path / "parts" / "checkpoints" / "4"
    for path in newest.rglob("*"):
        if path.is_file() and path.stat().st_size > 100:
            path.write_bytes(path.read_bytes()[:50])
    (newest.with_name("4.broken") / "default").mkdir(parents=True)  # it broke before
    assert run(recipe, tmp_path / "parts") == run(recipe, tmp_path / "whole")
    assert f"{newest} cannot be read" in caplog.text and newest.with_name("4.broken").is_dir()


def test_where_no_checkpoint_can_be_read_nothing_is_begun_anew(tmp_path, recipe):
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "parts", 3, interrupt)
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "2" / "default")
    for _ in range(2):  # nor by who starts it again
        with pytest.raises(UserError, match="no checkpoint can be read"):
            run(recipe, tmp_path / "parts")


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(errno.EMFILE, "too many"), RuntimeError("RESOURCE_EXHAUSTED")]
)
def test_what_the_machine_lacks_breaks_no_checkpoint(tmp_path, recipe, monkeypatch, error):
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "parts", 3, interrupt)

    def lacking(*_, **__):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(ocp.CheckpointManager, "restore", lacking)
        with pytest.raises(type(error)):
            run(recipe, tmp_path / "parts")
    assert run(recipe, tmp_path / "parts") == run(recipe, tmp_path / "whole")


def test_a_run_that_ended_before_its_model_was_written_writes_it(tmp_path, recipe, monkeypatch):
    save, calls = loop.weights.save, []

    def save_twice(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        save(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(loop.weights, "save", save_twice)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path / "parts")
    assert (tmp_path / "parts" / "checkpoints" / "6").is_dir()
    whole = run(recipe, tmp_path / "whole")
    monkeypatch.setattr(loop.Feed, "after", lambda *_: pytest.fail("batches were made"))
    assert run(recipe, tmp_path / "parts") == whole


def test_a_resumed_run_may_log_and_save_otherwise(tmp_path, recipe):
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "parts", 3, interrupt)
    other = dataclasses.replace(recipe, mesh={"data": 1}, log_every=2, checkpoint_every=3, keep_last=1)
    run(other, tmp_path / "parts")
    with pytest.raises(UserError, match=r"a run of another recipe \(batch_rows, seed\)"):
        run(dataclasses.replace(recipe, seed=5, batch_rows=4), tmp_path / "parts")
    (tmp_path / "parts" / "recipe.json").write_bytes(b"")
    with pytest.raises(UserError, match=r"recipe.json: this directory holds a run of another recipe \(.*truncated"):
        run(recipe, tmp_path / "parts")


@pytest.mark.slow
def test_a_mesh_of_one_device_trains_as_no_mesh_does(tmp_path, recipe):
    run(recipe, tmp_path / "plain")
    run(dataclasses.replace(recipe, mesh={"data": 1}, remat="full"), tmp_path / "mesh")
    plain, mesh = (
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("plain", "mesh")
    )
    assert mesh == pytest.approx(plain, rel=1e-4)


def test_muon_on_several_devices_is_refused_before_anything_is_written(tmp_path, recipe):
    with pytest.raises(UserError, match="muon works on one device"):
        run(dataclasses.replace(recipe, mesh={"data": 2}, optimizer=Optimizer(name="muon")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_adafactor_treats_each_layer_apart():
    """One layer's update is the same in whatever company."""
    config = dataclasses.replace(TINY, num_layers=2, d_model=128, d_head=64, d_ff=128)
    params = weights.init(config, jax.random.key(0))
    grads = weights.init(config, jax.random.key(1))
    grads["down"] = grads["down"].at[1].multiply(100)
    params["down"] = params["down"].at[1].multiply(100)
    tx = adafactor(optax.constant_schedule(1e-2))
    both: Any
    alone: Any
    both, state = tx.update(grads, tx.init(params), params)
    first = {name: array[:1] if name not in ("embed", "norm_final") else array for name, array in params.items()}
    alone, _ = tx.update({name: grads[name][: len(array)] for name, array in first.items()}, tx.init(first), first)
    for name in ("query", "out", "down", "norm_ff"):
        np.testing.assert_allclose(both[name][0], alone[name][0], rtol=1e-5, err_msg=name)
    held = sum(array.size for array in jax.tree.leaves(state) if array.ndim)
    assert held < 0.25 * weights.count(config)


def test_a_misspelt_setting_is_named(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('start = "nano"\nstps = 3\n[mixture]\ndialog = 1.0\n')
    with pytest.raises(UserError, match=r"r\.toml: no setting 'stps'; did you mean 'steps'\?"):
        config.load(Recipe, path)


def test_one_row_in_twenty_is_held_back_with_all_that_was_made_of_it():
    ids = [f"row_{n}" for n in range(4000)]
    assert 0.04 < sum(map(held_back, ids)) / len(ids) < 0.06
    assert all(held_back(i) == held_back(f"{i}+") == held_back(f"{i}#3") for i in ids)


@pytest.mark.slow
def test_a_run_with_other_options_is_resumed_as_well(tmp_path, recipe, tokenizer, monkeypatch):
    """Another activation and width, unlikelihood, and subwords at random."""

    def sampled(mixture, *others, held, beliefs):
        made = {task: source(task, tokenizer) for task in mixture}
        for each in made.values():
            each._sample = partial(tokenizer.sample, alpha=others[-1]) if isinstance(others[-1], float) else None
        return made

    monkeypatch.setattr(feed, "sources", sampled)
    changes = {"activation": "swiglu", "two_thirds_width": True}
    recipe = dataclasses.replace(recipe, model=changes, unlikelihood=0.25, subword_regularisation=0.2)
    whole = run(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "parts", 3, interrupt)
    assert run(recipe, tmp_path / "parts") == whole
    written = json.loads((tmp_path / "whole" / "model" / "config.json").read_text())
    assert (written["activation"], written["d_ff"]) == ("swiglu", 2 * TINY.d_ff // 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"activation": "swish"}}, "activation = 'swish', expected one of relu"),
        ({"model": {"vocab_size": 9}}, "vocab_size is the tokenizer's"),
        ({"model": {"d_ff": 9}, "start": "."}, r"start = '\.' has its own shape, expected no \[model\] table"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_and_may_be_mended(tmp_path, recipe, change, message):
    with pytest.raises(UserError, match=message):
        run(dataclasses.replace(recipe, **change), tmp_path / "run")
    assert not (tmp_path / "run" / "recipe.json").exists()


@pytest.mark.parametrize("setting", ["unlikelihood = -1", "subword_regularisation = 1.5"])
def test_a_weight_out_of_range_is_named(tmp_path, setting):
    (tmp_path / "r.toml").write_text(f'start = "nano"\nsteps = 3\n{setting}\n[mixture]\ndialog = 1.0\n')
    with pytest.raises(UserError, match=rf"r\.toml: Expected `float` .*{setting.split()[0]}"):
        config.load(Recipe, tmp_path / "r.toml")


def test_a_model_table_and_its_overrides_are_read(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('start = "nano"\nsteps = 3\n[mixture]\ndialog = 1.0\n[model]\nd_ff = 300\n')
    read = config.load(Recipe, path, ["model.activation=swiglu", "model.two_thirds_width=true"])
    assert changed(PRESETS["nano"], read.model).d_ff == 200 and read.model["activation"] == "swiglu"
