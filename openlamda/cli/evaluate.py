"""`openlamda evaluate`."""

import sys
from pathlib import Path

import msgspec

from openlamda import config
from openlamda.errors import UserError


def evaluate(suite: Path, *overrides: str, model: Path | None = None, json: bool = False, quiet: bool = False) -> None:
    """Measure a model: language, judges beside their baselines, questions with one right answer.

    Example: openlamda evaluate suites/main-job.toml data=~/data --json

    Parameters
    ----------
    suite
        A TOML file (see suites/).
    overrides
        Settings changed, as key=value (data=DIR, questions=20).
    model
        A model directory; default: the model that ships.
    json
        Print a list of objects with name, value, low, high (95 % interval) and n.
    quiet
        Do not print wrong replies to standard error.
    """
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        raise UserError("evaluation needs scikit-learn: pip install 'openlamda[evaluate]'") from None
    from openlamda.evaluate.suite import Suite, run
    from openlamda.loading import load

    def wrong(part: str, question: str, reply: str) -> None:
        if not quiet:
            print(f"{part}: {question!r} -> {reply!r}", file=sys.stderr, flush=True)

    metrics = []
    for metric in run(config.load(Suite, suite, overrides), suite.parent, load(model), wrong):
        metrics.append(metric)
        if not json:
            print(
                f"{metric.name:40} {metric.value:8.3f}   [{metric.low:.3f}, {metric.high:.3f}]   n = {metric.n}",
                flush=True,
            )
    if json:
        print(msgspec.json.format(msgspec.json.encode(metrics)).decode())
