"""Stages in one file: each starts from the one before, settings are shared or its own, mistakes are named."""

import gzip
import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from openlamda import stages
from openlamda.corpus.kept import KeptTurns
from openlamda.corpus.rows import split
from openlamda.dialog.filter import Counts
from openlamda.dialog.judge import Judges
from openlamda.errors import UserError
from openlamda.stages import Filter
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Symbol
from openlamda.train.recipe import Recipe, Wanted
from openlamda.train.sources import kept_to_choose_by, rated_rows, sources

PAPER = """
start = "nano"
tokenizer = "t.model"
copying_heads = true
data = "DATA"
steps = 10
[optimizer]
name = "muon"
learning_rate = 1e-3
[[stage]]
name = "pt"
mixture = {dialog = 1.0}
[[stage]]
name = "judges"
steps = 5
mixture = {unsafe = 1.0}
optimizer = {learning_rate = 1e-4}
judges = {unsafe = {recall = 0.8}}
[[stage]]
name = "kept"
[stage.filter]
inputs = ["dialog_*.jsonl.xz"]
[[stage]]
name = "quality"
mixture = {filtered = 1.0}
[[stage]]
name = "control"
start = "judges"
mixture = {generate = 1.0}
"""


def read(tmp_path: Path, text: str = PAPER, *overrides: str) -> list[stages.Stage]:
    (tmp_path / "paper.toml").write_text(text)
    return stages.read(tmp_path / "paper.toml", overrides, tmp_path / "runs")


def recipe(stage: stages.Stage) -> Recipe:
    assert isinstance(stage.work, Recipe)
    return stage.work


def test_each_stage_starts_from_the_one_before(tmp_path):
    pt, judges, kept, quality, control = read(tmp_path)
    runs = tmp_path / "runs"
    assert [stage.directory for stage in (pt, kept)] == [runs / "pt", runs / "kept"]
    assert (recipe(pt).start, recipe(pt).tokenizer, recipe(pt).copying_heads) == ("nano", "t.model", True)
    assert (recipe(judges).start, recipe(judges).tokenizer, recipe(judges).copying_heads) == (
        str(runs / "pt"),
        "",
        False,
    )
    assert (recipe(pt).steps, recipe(judges).steps) == (10, 5)
    assert recipe(judges).optimizer.name == "muon" and recipe(judges).optimizer.learning_rate == 1e-4
    assert recipe(judges).judges == {"unsafe": Wanted(recall=0.8)}
    assert isinstance(kept.work, Filter) and kept.start == runs / "judges" / "model" and kept.data == "DATA"
    assert recipe(quality).start == recipe(control).start == str(runs / "judges")
    assert recipe(quality).filtered == str(runs / "kept") and not recipe(control).filtered


def test_overrides_are_for_all_stages_or_for_one(tmp_path):
    pt, judges, kept, *_ = read(
        tmp_path, PAPER, "seed=7", "judges.steps=2", "kept.filter.turns=9", "optimizer.name=adamw"
    )
    assert (recipe(pt).seed, recipe(judges).seed) == (7, 7)
    assert (recipe(pt).steps, recipe(judges).steps) == (10, 2)
    assert isinstance(kept.work, Filter) and kept.work.turns == 9
    assert recipe(judges).optimizer.name == "adamw"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "quality"', 'name = "pt"', "expected different names"),
        ('name = "quality"', 'name = "a/b"', "without / and"),
        ('name = "pt"\n', "", r"expected \[\[stage\]\] tables, each with a name"),
        ('start = "judges"', 'start = "control"', "stage control: start = 'control', expected an earlier stage"),
        ('start = "judges"', "start = 3", "stage control: start = 3, expected a text"),
        ("mixture = {unsafe = 1.0}", "mixture = 3", "stage judges: mixture = 3, expected a table"),
        ("steps = 5", "step = 5", "stage judges: no setting 'step'; did you mean 'steps'"),
        ('inputs = ["dialog_*.jsonl.xz"]', "input = []", "stage kept: no setting 'input'"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, PAPER.replace(old, new))


def test_a_filter_needs_a_model_before_it(tmp_path):
    with pytest.raises(UserError, match="stage kept: expected a trained stage before it"):
        read(tmp_path, '[[stage]]\nname = "kept"\nfilter = {inputs = ["x"]}\n')


def test_stages_run_in_their_order(tmp_path, monkeypatch):
    from openlamda.train import loop

    done = []
    monkeypatch.setattr(loop, "run", lambda work, directory, names, report: done.append((directory.name, work.steps)))
    monkeypatch.setattr(stages, "_filter", lambda stage, *_: done.append((stage.name, None)))
    assert stages.run(read(tmp_path), lambda name, values: None) == tmp_path / "runs" / "control"
    assert done == [("pt", 10), ("judges", 5), ("kept", None), ("quality", 10), ("control", 10)]


def test_inputs_of_a_filter_are_in_the_data_or_anywhere(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d.jsonl").mkdir()
    expected = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    assert stages.inputs_of(tmp_path, "*.jsonl") == stages.inputs_of(Path("data"), f"{tmp_path}/*.jsonl") == expected
    with pytest.raises(UserError, match=r"inputs: .*/x\*: no file found"):
        stages.inputs_of(tmp_path, "x*")


def test_a_filter_that_keeps_next_to_nothing_ends_the_recipe(tmp_path, monkeypatch):
    for name in ("parts", "filtering.model_hash"):
        monkeypatch.setattr(f"openlamda.stages.{name}", lambda model: (None, None, Judges()))
    few = Counts(seen=60_000, kept=27, below={"safe": 46_846, "interesting": 51_286})
    monkeypatch.setattr("openlamda.stages.filtering.run", lambda *_: few)
    settings = {"safe": 0.5, "interesting": 0.9}
    kept = replace(read(tmp_path)[2], work=Filter(inputs=(), thresholds=settings))
    with pytest.raises(UserError, match=r"27 of 60,000 turns kept.*safe 0.50 by 46,846, interesting 0.90 by 51,286"):
        stages.run([kept], lambda name, values: None)
    few.kept = 300
    assert stages.run([kept], lambda name, values: None) == kept.directory


# ---- rows that a recipe names


def write_rows(tmp_path: Path) -> Recipe:
    said = [
        {"id": f"d{n}#1", "context": [{"role": "user", "content": "hi"}], "response": f"tea {n}"} for n in range(40)
    ]
    with gzip.open(tmp_path / "turns-00000.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in said)
    (tmp_path / "manifest.json").write_text("{}")
    ballots = [{"rater": f"r{n}", "sensible": "yes", "specific": "no"} for n in range(5)]
    with open(tmp_path / "ratings.jsonl", "w") as file:
        file.writelines(json.dumps(row | {"votes": ballots}) + "\n" for row in said)
    return Recipe(start="nano", steps=1, filtered=str(tmp_path), ratings=(str(tmp_path / "ratings.jsonl"),))


def test_filtered_and_rated_rows_become_sequences(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("openlamda.train.sources.common_words", lambda folder: [])
    rated = rated_rows(write_rows(tmp_path))
    made = sources({"filtered": 0.5, "ratings": 0.5}, tmp_path, tokenizer, 64, 0, [], 0, str(tmp_path), rated)
    grammar = Grammar(tokenizer.encode)
    train = list(KeptTurns(tmp_path, "train"))
    assert train and all(split(row.id) == "train" for row in train)
    wanted = {grammar.generate(row.context, row.response) for row in train}
    assert {next(iter_) for iter_ in [iter(made["filtered"])] for _ in range(len(train))} == wanted
    asked = iter(made["ratings"])
    ends = [next(asked).tokens[-2:] for _ in range(2 * len(train))]
    assert set(ends) == {(Symbol.SENSIBLE, Symbol.YES), (Symbol.SPECIFIC, Symbol.NO)}
    chosen = kept_to_choose_by(["unsafe/gore"], tmp_path, rated)
    assert chosen == {"unsafe/gore": []}


def test_a_task_none_of_whose_rows_fits_is_named(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("openlamda.train.sources.common_words", lambda folder: [])
    rated = rated_rows(write_rows(tmp_path))
    made = sources({"ratings": 1.0}, tmp_path, tokenizer, 4, 0, [], rated=rated)
    with pytest.raises(UserError, match=r"task 'ratings' has no row that fits into 4 tokens"):
        next(iter(made["ratings"]))


def test_tasks_without_rows_are_named(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("openlamda.train.sources.common_words", lambda folder: [])
    with pytest.raises(UserError, match=r"task 'filtered' has no rows, expected the recipe's filtered"):
        sources({"filtered": 1.0}, tmp_path, tokenizer, 64, 0, [])


def test_kept_turns_are_shuffled_across_chunks_and_none_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("openlamda.corpus.kept.CHUNKS", 2)
    (tmp_path / "manifest.json").write_text("{}")
    for number in range(5):
        rows = [{"id": f"d{number}-{n}#1", "context": [], "response": f"{number} {n}"} for n in range(20)]
        packed = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
        (tmp_path / f"turns-{number:05}.jsonl.gz").write_bytes(packed)
    kept = KeptTurns(tmp_path, "train")
    first, again, other = ([row.response for row in kept.shuffled(random.Random(seed))] for seed in (0, 0, 1))
    assert first == again != other and sorted(first) == sorted(other) == sorted(row.response for row in kept)
    runs = [chunk for chunk, _ in itertools.groupby(response.split()[0] for response in first)]
    assert len(runs) > 10  # turns of two chunks stand among each other
