"""`openlamda corpus build` and `openlamda corpus show`."""

import json as jsonlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.table import Table
from rich.text import Text

from openlamda import config
from openlamda.cli.data import render
from openlamda.dialog.trace import printable
from openlamda.errors import UserError
from openlamda.text.grammar import Sequence
from openlamda.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from openlamda.corpus.shards import Manifest


def build(
    recipe: Path,
    *overrides: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    workers: int | None = None,
    json: bool = False,
) -> None:
    """Turn files into token shards: read, clean, de-duplicate, tokenise, mix, pack.

    Run again after an interruption, it goes on where it stopped; the shards are the same for any number of workers.

    Example: openlamda corpus build recipes/corpus-public.toml -o shards

    Parameters
    ----------
    recipe
        A TOML file (see recipes/corpus-public.toml).
    overrides
        Settings changed, as key=value (mixture.tokens=1_000_000).
    output
        The directory to make.
    workers
        Tasks at a time; all cores if left out.
    json
        Print one object instead of the tables.
    """
    try:
        from openlamda.corpus.build import build as make
        from openlamda.corpus.recipe import Recipe
    except ModuleNotFoundError as error:
        raise UserError(f"a corpus needs {error.name}: pip install 'openlamda[corpus]'") from None
    from openlamda.loading import SHIPPED

    if workers is not None and workers < 1:
        raise UserError(f"workers {workers}: expected one or more")
    settings = config.load(Recipe, recipe, overrides)
    path = Path(settings.tokenizer).expanduser() if settings.tokenizer else SHIPPED / "tokenizer.model"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that workers end and nothing is left half-written
    columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeLeft())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        stages: dict[str, TaskID] = {}

        def progress(stage: str, done: int, tasks: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=tasks)
            bars.update(stages[stage], completed=done)

        manifest = make(settings, Tokenizer.load(path), output, workers or os.cpu_count() or 1, progress)
    _print(output, manifest, json)


def show(directory: Path, *, rows: int = 2, json: bool = False) -> None:
    """Print the tables of a finished shard directory again, and some of its rows as text.

    Parameters
    ----------
    directory
        What `corpus build` made.
    rows
        So many rows, from the first batch on.
    json
        Print one object instead, without rows.
    """
    from openlamda.corpus.batches import Shards

    tokenizer = Tokenizer.load(directory / "tokenizer.model")
    shards = Shards(directory, tokenizer)
    if not 0 <= rows <= shards.rows:
        raise UserError(f"rows {rows}: expected 0 to {shards.rows}")
    _print(directory, shards.manifest, json)
    if json or not rows:
        return
    console = Console(soft_wrap=True, highlight=False)
    for number, (tokens, segments) in enumerate(zip(*shards.batch(0, rows), strict=True)):
        console.rule(f"row {number} of the first epoch: {np.count_nonzero(segments)} tokens, {segments.max()} segments")
        for segment in range(1, segments.max() + 1):
            ids = tuple(tokens[segments == segment].tolist())
            console.print(render(Sequence(ids, (False,) + (True,) * (len(ids) - 1)), tokenizer))


def _print(directory: Path, manifest: "Manifest", json: bool) -> None:
    from openlamda.corpus.report import total

    if json:
        report = {"directory": str(directory), "filled": manifest.filled, **msgspec.to_builtins(manifest)}
        print(jsonlib.dumps(report, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    everything = total(count.report for count in manifest.sources.values())
    console.print("Rows that stay, each counted once; how often they are read; their share of the shards:")
    table = Table("source", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name in ("documents", "dialogs", "utterances", "words", "tokens", "epochs", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, count in (*manifest.sources.items(), ("total", None)):
        report, tokens = (count.report, count.tokens) if count else (everything, manifest.tokens)
        numbers = (report.documents, report.dialogs, report.utterances, report.words, report.tokens)
        epochs = f"{count.epochs:.2f}" if count else ""
        table.add_row(
            Text(printable(name)),
            *(f"{n:,}" for n in numbers),
            epochs,
            f"{tokens / manifest.tokens:.2%}",
            style="bold" if not count else "",
            end_section=name == list(manifest.sources)[-1],
        )
    console.print(table)
    console.print(f"Dropped of the {everything.read:,} rows that were read:")
    drops = Table("reason", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    drops.add_column("rows", justify="right", no_wrap=True)
    drops.add_column("for example")
    for reason, drop in sorted(everything.drops.items(), key=lambda item: -item[1].count):
        like = f" (as {drop.like})" if drop.like else ""
        example = Text(printable(f"{drop.id}{like}: {drop.text}"))
        drops.add_row(Text(printable(reason)), f"{drop.count:,}", example)
    console.print(drops)
    if everything.masked:
        console.print(f"personal data masked in {everything.masked:,} rows")
    if everything.problem_count:
        console.print(f"{everything.problem_count:,} problems, {len(everything.problems)} shown; the rest was read:")
        for where, what in everything.problems:
            console.print(Text(printable(f"  {where}: {what}")), soft_wrap=True)
    validation = f", {manifest.validation.rows:,} rows for validation" if manifest.validation else ""
    console.print(
        f"{directory}: {manifest.tokens:,} tokens in {manifest.rows:,} rows of {manifest.row_tokens} "
        f"({manifest.filled:.1%} filled), {len(manifest.shards)} shards{validation}",
        soft_wrap=True,
    )
