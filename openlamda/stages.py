"""Stages of training told in one file and run one after another, each resumable: the paper's order as a recipe.

A file has the settings that all stages share, and a [[stage]] table for each with a name and its own settings. A stage
starts from the one before it unless it says otherwise; `start` may name any earlier stage. A stage with a table
[stage.filter] trains nothing: it judges dialogs with the model so far, and later stages read what it kept (task
"filtered").
"""

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openlamda import config
from openlamda.dialog import filter as filtering
from openlamda.dialog.filter import Counts
from openlamda.dialog.judge import WINDOW
from openlamda.errors import UserError
from openlamda.loading import parts, training_names
from openlamda.train.recipe import Recipe

_KINDS = {str: "a text", dict: "a table"}
FEWEST_KEPT = 0.005  # of the turns that a filter judged: a model that learns from fewer learns them by heart


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A stage that judges dialogs instead of training."""

    inputs: tuple[str, ...]  # files, or patterns of files in the folder `data`
    turns: int | None = None  # stop after so many
    thresholds: dict[str, float] = field(default_factory=dict)  # in place of the model's own
    batch_rows: int = 16


@dataclass(frozen=True)
class Stage:
    """One stage: its directory, and what is done there."""

    name: str
    directory: Path
    work: Recipe | Filter
    start: Path | None = None  # of a filter: the model that judges
    data: str = ""


def read(path: Path, overrides: Sequence[str], output: Path) -> list[Stage]:
    """The stages of a file, in `output`/NAME each. An override such as judges.steps=100 that begins with a stage's name
    is that stage's; any other is for all. Raises UserError that names file and stage.
    """
    shared = config.read(path)
    tables = shared.pop("stage", None)
    if not isinstance(tables, list) or not all(isinstance(table, dict) and table.get("name") for table in tables):
        raise UserError(f"{path}: expected [[stage]] tables, each with a name")
    names = [str(table["name"]) for table in tables]
    if len(set(names)) < len(names) or any("/" in name or "." in name for name in names):
        raise UserError(f"{path}: stages {', '.join(names)}, expected different names without / and .")
    own: dict[str, list[str]] = {
        name: [o.removeprefix(f"{name}.") for o in overrides if o.startswith(f"{name}.")] for name in names
    }
    shared = _merged(
        shared, config.assigned([o for o in overrides if not o.startswith(tuple(f"{name}." for name in names))])
    )
    stages: list[Stage] = []
    trained = kept = None
    for table in tables:
        name, where = str(table["name"]), f"{path}: stage {table['name']}"
        settings = _merged({key: value for key, value in table.items() if key != "name"}, config.assigned(own[name]))
        directory = output / name
        for key, kind in (("start", str), ("mixture", dict), ("filter", dict)):
            if not isinstance(settings.get(key, shared.get(key, kind())), kind):
                raise UserError(f"{where}: {key} = {settings.get(key, shared.get(key))!r}, expected {_KINDS[kind]}")
        if "filter" in settings:
            if trained is None or set(settings) != {"filter"}:
                raise UserError(f"{where}: expected a trained stage before it, and nothing but [stage.filter]")
            work: Recipe | Filter = config.convert(Filter, settings["filter"], where)
            stages.append(Stage(name, directory, work, trained / "model", str(shared.get("data", "data"))))
            kept = directory
            continue
        values = _merged(shared, settings)
        if "start" not in settings and trained is not None:
            values["start"] = str(trained)
        elif values.get("start") in names:
            if values["start"] not in [stage.name for stage in stages]:
                raise UserError(f"{where}: start = {values['start']!r}, expected an earlier stage")
            values["start"] = str(output / values["start"])
        if trained is not None or values.get("start", "").startswith(str(output)):
            for key in ("tokenizer", "model", "copying_heads"):  # a preset's; an earlier stage has its own
                if key not in settings:
                    values.pop(key, None)
        if "filtered" in values.get("mixture", {}) and not values.get("filtered") and kept:
            values["filtered"] = str(kept)
        stages.append(Stage(name, directory, config.convert(Recipe, values, where)))
        trained = directory
    return stages


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings of both, `above` first; of tables but a mixture, key by key."""
    both = below | above
    for key, value in above.items():
        if key not in ("mixture", "judges") and isinstance(value, dict) and isinstance(below.get(key), dict):
            both[key] = below[key] | value
    return both


def run(stages: Sequence[Stage], report: Callable[[str, dict[str, float]], None]) -> Path:
    """Run or resume each stage; the last one's directory. `report(stage, values)` hears of progress."""
    from openlamda.train import loop  # jax

    for stage in stages:

        def tell(values: dict[str, float], name: str = stage.name) -> None:
            report(name, values)

        if isinstance(stage.work, Recipe):
            loop.run(stage.work, stage.directory, training_names(), tell)
        else:
            assert stage.start
            _filter(stage, stage.work, stage.start, tell)
    return stages[-1].directory


def _filter(stage: Stage, work: Filter, model: Path, tell: Callable[[dict[str, float]], None]) -> None:
    engine, tokenizer, judges = parts(model)
    folder = Path(stage.data).expanduser()
    paths = [path for name in work.inputs for path in inputs_of(folder, name)]
    job = filtering.job_of(paths, model, judges, work.thresholds, WINDOW, work.turns)

    def report(counts: Counts) -> None:
        tell({"seen": counts.seen, "kept": counts.kept})

    counts = filtering.run(stage.directory, paths, engine, tokenizer, judges, job, work.batch_rows, report)
    _expect_enough(stage.directory, counts, job.thresholds)


def inputs_of(folder: Path, pattern: str) -> list[Path]:
    """The files that a pattern names, in `folder` or by a whole path. Raises UserError for none."""
    whole = folder / Path(pattern).expanduser()
    found = sorted(path for path in map(Path, glob.glob(str(whole), recursive=True)) if path.is_file())
    if not found:
        raise UserError(f"stage.filter: inputs: {whole}: no file found, expected one or more")
    return found


def _expect_enough(directory: Path, counts: Counts, thresholds: Mapping[str, float]) -> None:
    if counts.kept < FEWEST_KEPT * counts.seen:
        missed = ", ".join(f"{name} {thresholds[name]:.2f} by {n:,}" for name, n in counts.below.items())
        raise UserError(
            f"{directory}: {counts.kept:,} of {counts.seen:,} turns kept, which is too few to learn from (missed: "
            f"{missed}); give [stage.filter] lower thresholds and another name, or train better judges"
        )
