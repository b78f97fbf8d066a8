"""`openlamda index`."""

import contextlib
import json as jsonlib
import signal
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from openlamda.dialog.trace import printable
from openlamda.errors import UserError

SHOWN = 20  # problems


def index(
    paths: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    json: bool = False,
) -> None:
    """Build a search index from folders or files (text, Markdown, HTML, PDF, JSON Lines, ZIM), or bring it up to date.

    Run again, it reads what is new or changed, and forgets what is gone. Exit code 2 with the file's name (and line)
    where something could not be read; the rest is indexed.

    Example: openlamda index handbook/ faq.jsonl -o my-index && openlamda chat --index my-index

    Parameters
    ----------
    paths
        Folders, in which links that lead out are refused, and files.
    output
        The folder of the index, or http://HOST:9200/NAME for one on OpenSearch (docs/search.md).
    json
        Print one object with the counts and the problems.
    """
    from openlamda.tools.indexing import summary, update
    from openlamda.tools.searches import open_index

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True)
    with contextlib.closing(open_index(output, write=True)) as store, bar:
        task = bar.add_task("reading", total=None)

        def tell(done) -> None:
            rate = f"{done.passages:,} passages, {done.passages / max(bar.tasks[0].elapsed or 0, 0.1):,.0f} a second"
            bar.update(task, total=done.files, completed=done.read + done.unchanged, description=rate)

        done = update(store, paths, tell)
    if json:
        problems = [{"where": where, "what": what} for where, what in done.problems]
        print(jsonlib.dumps(summary(done) | {"index": output, "problems": problems}, indent=2))
    else:
        print(
            printable(
                f"{output}: {done.committed:,} passages; {done.files:,} files: {done.read:,} read, "
                f"{done.unchanged:,} unchanged; {done.removed:,} gone"
            )
        )
        if done.refused or done.skipped:
            print(f"left out: {done.refused:,} links out of their folder, {done.skipped:,} files of other kinds")
    for where, what in done.problems[:SHOWN]:
        print(printable(f"{where}: {what}"), file=sys.stderr)
    if done.problems:
        raise UserError(
            f"{len(done.problems):,} problems ({min(SHOWN, len(done.problems))} shown); the rest is indexed"
        )
