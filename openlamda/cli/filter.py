"""`openlamda filter`."""

import json as jsonlib
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from openlamda.dialog.filter import Counts, files_of, job_of, run, summary
from openlamda.dialog.judge import WINDOW
from openlamda.errors import UserError

PATTERNS = ("*.jsonl", "*.jsonl.gz", "*.jsonl.xz")


def filter(
    *inputs: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    model: Path | None = None,
    threshold: tuple[str, ...] = (),
    turns: int | None = None,
    batch_rows: int = 16,
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Judge every agent turn of a corpus and keep those that reach all of the model's thresholds.

    Started again on the same directory, it goes on where it stopped. Dialogs between more than two are left out.

    Example: openlamda filter ~/data/dialog_*.jsonl.xz --model runs/judges/model -o kept

    Parameters
    ----------
    inputs
        JSON Lines of dialogs, packed or not, or folders of them.
    output
        A directory: the kept turns as packed JSON Lines {"id", "context", "response", "scores"}, and manifest.json.
    model
        A model directory; default: the model that ships.
    threshold
        NAME=P in place of the model's own thresholds (judges.json), as in sensible=0.6; may be repeated.
    turns
        Stop after so many turns.
    batch_rows
        Rows of 1,024 tokens that are under way at once, at most cores + 1. The kept turns do not depend on it.
    json
        Print the counts as one JSON object.
    quiet
        Show no progress.
    """
    from openlamda.loading import SHIPPED, parts

    engine, tokenizer, judges = parts(model or SHIPPED)
    if not judges.attributes:
        raise UserError(f"{model}: the model has no judges, expected attributes in its judges.json")
    if batch_rows < 1 or (turns is not None and turns < 1):
        raise UserError("batch-rows and turns: expected numbers from 1 on")
    paths = files_of(inputs, PATTERNS)
    job = job_of(paths, model or SHIPPED, judges, dict(map(_threshold, threshold)), WINDOW, turns)
    began, shown = time.monotonic(), 0.0

    def report(counts: Counts) -> None:
        nonlocal shown
        seconds = time.monotonic() - began
        if not quiet and seconds - shown > 2:
            shown = seconds
            rate = counts.seen / seconds
            print(f"{counts.seen:,} turns, {counts.kept:,} kept, {rate:,.0f} turns/s", file=sys.stderr, flush=True)

    counts = run(output, paths, engine, tokenizer, judges, job, batch_rows, report)
    if json:
        print(jsonlib.dumps(summary(counts)))
        return
    table = Table("score", "threshold", "turns below", "10 %", "median", "90 %")
    for name in counts.histograms:
        at = [f"{counts.quantile(name, share):.2f}" for share in (0.1, 0.5, 0.9)]
        least = f"{job.thresholds[name]:.3f}" if name in job.thresholds else ""
        table.add_row(name, least, f"{counts.below.get(name, 0):,}", *at)
    console = Console()
    console.print(f"{counts.kept:,} of {counts.seen:,} turns kept in {output}", markup=False)
    console.print(table)
    for reason, count in counts.left_out.items():
        console.print(f"left out: {count:,} {reason}", markup=False)


def _threshold(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        p = float(value)
    except ValueError:
        p = -1.0
    if not equals or not 0 <= p <= 1:
        raise UserError(f"threshold {text!r}: expected NAME=P, as in sensible=0.6")
    return name, p
