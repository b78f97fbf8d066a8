"""From a recipe to a shard directory: the stages in order, each begun when the one before is done.

What is done already is not done again, so the same command goes on after an interruption; until the manifest is
written all that lies between the stages is in `work/` of the directory, and after that it is gone.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from openlamda.corpus import engine, mixture, plan, shards
from openlamda.corpus.dedup import compare
from openlamda.corpus.files import read_rows, whole, write_json
from openlamda.corpus.gather import gather
from openlamda.corpus.minhash import SIGNATURE
from openlamda.corpus.order import Amounts, arrange, fill
from openlamda.corpus.recipe import Recipe
from openlamda.corpus.report import Report, total
from openlamda.corpus.tokens import BINS, tokenise
from openlamda.errors import UserError
from openlamda.text.tokenizer import Tokenizer

Progress = Callable[[str, int, int], None]


def build(
    recipe: Recipe, tokenizer: Tokenizer, folder: Path, workers: int, progress: Progress = lambda *_: None
) -> shards.Manifest:
    """The manifest of the finished directory `folder`; `progress` is told (stage, tasks done, tasks).

    Raises UserError for a recipe that cannot be built, a directory that holds something else, a full disk.
    """
    recipe.check()
    folder = folder.resolve()
    todo = plan.make(recipe, tokenizer)
    if (folder / shards.MANIFEST).exists():
        return _finished(folder, todo)
    work = folder / "work"
    _begin(folder, work, todo, tokenizer)
    tasks = len(todo.tasks)

    def run(stage: engine.Stage, count: int) -> None:
        engine.run(stage, work, count, workers, recipe.engine, progress)

    try:
        run(gather, tasks)
        run(compare, todo.parts)
        run(tokenise, tasks)
        amounts, tokens = _amounts(work, todo)
        run(arrange, tasks)
        run(fill, amounts.shards + bool(amounts.validation))
        manifest = _manifest(work, todo, amounts, tokens)
        shards.write(folder, manifest)
    except OSError as error:
        raise UserError(f"{error.filename or work}: {error.strerror or error}") from None
    finally:
        _sweep(folder)
    shutil.rmtree(work)
    return manifest


def _begin(folder: Path, work: Path, todo: plan.Plan, tokenizer: Tokenizer) -> None:
    """Make the work directory, or find it begun with an equal plan."""
    if (work / "plan.json").exists():
        begun = plan.read(work)
        for name in ("recipe", "tokenizer_sha256", "tasks", "parts", "version"):
            if getattr(begun, name) != getattr(todo, name):
                what = {"tasks": "other or changed input files", "tokenizer_sha256": "another tokenizer"}
                raise UserError(
                    f"{folder}: was begun with {what.get(name, f'another {name}')}, expected the same; "
                    "take another directory, or delete this one"
                )
        _sweep(folder)
        return
    if folder.is_dir() and any(path.name != "tokenizer.model" for path in folder.iterdir()):
        raise UserError(f"{folder}: holds other files, expected a new or empty directory")
    with whole(folder / "tokenizer.model") as file:
        file.write(tokenizer.model)
    write_json(work / "plan.json", todo)


def _sweep(folder: Path) -> None:
    """Delete what killed tasks have half written."""
    for path in folder.rglob("*.tmp"):
        path.unlink(missing_ok=True)


def _finished(folder: Path, todo: plan.Plan) -> shards.Manifest:
    """The manifest that is there, if it is of the same plan."""
    manifest = shards.read(folder)
    same_recipe = manifest.recipe == _plain(todo.recipe)
    inputs = {name: (count.files, count.bytes) for name, count in manifest.sources.items()}
    if not same_recipe or manifest.tokenizer_sha256 != todo.tokenizer_sha256 or inputs != _inputs(todo):
        raise UserError(f"{folder}: holds the shards of another recipe or input, expected a new directory")
    shutil.rmtree(folder / "work", ignore_errors=True)
    return manifest


def _inputs(todo: plan.Plan) -> dict[str, tuple[int, int]]:
    sizes = {source.name: (0, 0) for source in todo.recipe.source}
    for task in todo.tasks:
        files, size = sizes[task.source]
        sizes[task.source] = (files + len(task.files), size + sum(file.bytes for file in task.files))
    return sizes


def _amounts(work: Path, todo: plan.Plan) -> tuple[Amounts, dict[str, int]]:
    """How much of each source, and the tokens that this is: full epochs, and rows of so many bins once more. Bins for
    validation are in none of them.
    """
    recipe = todo.recipe
    bins = {source.name: np.zeros(BINS, np.int64) for source in recipe.source}
    for number, task in enumerate(todo.tasks):
        bins[task.source] += np.load(work / f"bins/{number:05}.npy")
    kept = _validation(recipe, np.sum(list(bins.values()), axis=0))
    bins = {name: counts[: BINS - kept] for name, counts in bins.items()}
    available = {name: int(counts.sum()) for name, counts in bins.items()}
    full, parts, tokens = {}, {}, {}
    for name, times in mixture.epochs(recipe.mixture, available, recipe.shares()).items():
        full[name] = int(times + 1e-9)
        upto = np.concatenate([[0], np.cumsum(bins[name])])
        parts[name] = int(np.abs(upto - (times - full[name]) * available[name]).argmin())
        tokens[name] = full[name] * available[name] + int(upto[parts[name]])
    if not any(tokens.values()):
        raise UserError("no tokens are left, expected some; mixture.tokens may be too few to take a row")
    count = -(-sum(tokens.values()) // (recipe.shard_rows * recipe.row_tokens))
    amounts = Amounts(full, parts, count, kept)
    write_json(work / "amounts.json", amounts)
    return amounts, tokens


def _validation(recipe: Recipe, tokens: np.ndarray) -> int:
    """How many bins of `tokens` [BINS] are for validation: `validation_percent`, or as many as one shard holds."""
    upto = np.cumsum(tokens[::-1])
    within = int(np.searchsorted(upto, recipe.shard_rows * recipe.row_tokens, "right"))
    return min(BINS * recipe.validation_percent // 100, max(1, within))


def _manifest(work: Path, todo: plan.Plan, amounts: Amounts, tokens: dict[str, int]) -> shards.Manifest:
    recipe = todo.recipe
    written = tuple(
        _read(work / f"reports/shard-{number:05}.json", shards.ShardFile) for number in range(amounts.shards)
    )
    inputs = _inputs(todo)
    sources = {}
    for name, (files, size) in inputs.items():
        mine = [number for number, task in enumerate(todo.tasks) if task.source == name]
        report = total(
            _read(work / f"reports/{stage}-{number:05}.json", Report)
            for stage in ("gather", "tokenise")
            for number in mine
        )
        for drop in report.drops.values():
            drop.like = _row_id(work, todo, drop.first) if drop.first >= 0 else ""
        times = tokens[name] / report.tokens if report.tokens else 0.0
        sources[name] = shards.SourceCount(files, size, report, times, tokens[name])
    return shards.Manifest(
        shards.VERSION,
        todo.tokenizer_sha256,
        todo.vocab_size,
        recipe.row_tokens,
        sum(shard.rows for shard in written),
        sum(tokens.values()),
        recipe.seed,
        sources,
        written,
        _plain(recipe),
        _read(work / f"reports/shard-{amounts.shards:05}.json", shards.ShardFile) if amounts.validation else None,
    )


def _plain(recipe: Recipe) -> dict[str, Any]:
    """As it will be read from JSON."""
    return msgspec.json.decode(msgspec.json.encode(recipe))


def _read(path: Path, kind):
    return msgspec.json.decode(path.read_bytes(), type=kind)


def _row_id(work: Path, todo: plan.Plan, number: int) -> str:
    """The id of a row by its number through all tasks."""
    for task in range(len(todo.tasks)):
        size = (work / f"signatures/{task:05}").stat().st_size // SIGNATURE.itemsize
        if number < size:
            return next(row.id for i, row in enumerate(read_rows(work / f"rows/{task:05}.jsonl.gz")) if i == number)
        number -= size
    return ""
