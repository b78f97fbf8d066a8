"""`openlamda evaluate`."""

import importlib.util
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from openlamda import config
from openlamda.dialog.trace import printable
from openlamda.errors import UserError


def evaluate(
    suite: Path,
    *overrides: str,
    output: Annotated[Path, Parameter(name=["-o", "--output"])] = Path("evaluation"),
    model: Path | None = None,
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Measure a model, or compare systems on the same contexts: quality, safety, groundedness, wording.

    A suite with [[system]] tables writes results.json, report.md, report.html and every row to the output directory,
    and a run that was stopped goes on there.

    Example: openlamda evaluate suites/main-job.toml data=~/data --json

    Parameters
    ----------
    suite
        A TOML file (see suites/).
    overrides
        Settings changed, as key=value (data=DIR, questions=20).
    output
        Where results of systems go; replies and ratings kept there are used again.
    model
        A model directory for `parts`; default: the model that ships.
    json
        Print an object: "parts", "figures" and "comparisons", each a list of objects with a 95 % interval.
    quiet
        Print no wrong replies and no progress to standard error.
    """
    from openlamda.evaluate.suite import Suite, contest, run
    from openlamda.loading import load
    from openlamda.tools.toolset import default_toolset

    wanted = config.load(Suite, suite, overrides)
    if not wanted.parts and not wanted.system:
        raise UserError(f"{suite}: neither 'parts' nor [[system]], expected something to measure")
    for module, asked in (("sklearn", wanted.parts), ("matplotlib", wanted.system)):
        if asked and importlib.util.find_spec(module) is None:
            raise UserError(f"{suite}: this needs {module}: pip install 'openlamda[evaluate]'")

    def wrong(part: str, question: str, reply: str) -> None:
        if not quiet:
            print(f"{part}: {question!r} -> {reply!r}", file=sys.stderr, flush=True)

    def told(done: int, total: int) -> None:
        if not quiet and (done % 20 == 0 or done == total):
            seconds = time.monotonic() - began
            left = seconds / done * (total - done)
            print(f"{done} of {total} replies, {done / seconds:.1f} a second, {left:.0f} s left", file=sys.stderr)

    metrics, figures, compared = [], [], []
    for metric in run(wanted, suite.parent, load(model), wrong) if wanted.parts else ():
        metrics.append(metric)
        if not json:
            print(
                f"{metric.name:40} {metric.value:8.3f}   [{metric.low:.3f}, {metric.high:.3f}]   n = {metric.n}",
                flush=True,
            )
    if wanted.system:
        began = time.monotonic()
        figures, compared = contest(wanted, suite.parent, output, load, default_toolset(), told)
    if json:
        found = {"parts": metrics, "figures": figures, "comparisons": compared}
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif wanted.system:
        print(printable((output / "report.md").read_text(encoding="utf-8")), end="")
