"""The filter job beside one reply after another and one judgement after another: the same turns, model and run.

The ways take turns, each as often, and the median of its rates counts: turns differ in length, so that the best of them
would be that of the shortest ones.

python benchmarks/filter.py DIALOGS.jsonl.xz ... [--model DIR] [--turns 1024] [--singly 40] [--rounds 5]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from openlamda.corpus.readers import read_jsonl
from openlamda.dialog.bulk import judge_rows
from openlamda.dialog.filter import Job, run
from openlamda.dialog.judge import WINDOW, Judges, probability, score_name
from openlamda.dialog.lamda import Lamda
from openlamda.engine.base import LanguageModel
from openlamda.engine.layered import layered
from openlamda.engine.local import LocalModel
from openlamda.loading import SHIPPED, load, parts
from openlamda.model.weights import stored
from openlamda.text.dialog import dialog_from_json
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Symbol

Rows = list[dict[str, Any]]
Scores = list[dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dialogs", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--turns", type=int, default=1024)
    parser.add_argument("--singly", type=int, default=40, help="turns that are judged in the slower ways")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    lamda = load(args.model)
    engine, tokenizer, judges = parts(args.model)
    forgetful = LocalModel(layered(stored(args.model), engine.config), engine.config, cache_bytes=0)
    asked = [name for name in judges.attributes if name != "grounded"]
    everything = {score_name(name): 0.0 for name in asked}

    def job() -> Rows:
        with tempfile.TemporaryDirectory() as folder:
            work = Job((), "", everything, WINDOW, args.turns)
            run(Path(folder), args.dialogs, engine, tokenizer, judges, work)
            return [row for path in sorted(Path(folder).glob("turns-*.gz")) for row in read_jsonl(path)]

    rows = job()
    # from all over, in each round and for compiling other ones: an engine knows again what it has read
    apart, passes = max(1, len(rows) // args.singly), args.rounds + 1
    few = [rows[n * apart // passes :: apart][: args.singly] for n in range(passes)]
    grammar = Grammar(tokenizer.encode)
    ways: dict[str, Callable[[Rows], Rows | Scores]] = {
        "job": lambda _: job(),
        "a reply at a time": lambda rows: replies(rows, lamda),
        "a judgement at a time": lambda rows: alone(rows, asked, forgetful, grammar, judges),
    }
    found = {name: ways[name](few[0]) for name in list(ways)[1:]}  # compiles every shape that is met
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for some in few[1:]:
        for name, way in ways.items():
            began = time.perf_counter()
            way(some)
            count = args.turns if name == "job" else len(some)
            measured[name].append(count / (time.perf_counter() - began))
    rates = {name: median(several) for name, several in measured.items()}
    print(f"job                    {rates['job']:8.1f} turns/s")
    for name in list(ways)[1:]:
        pairs = zip(few[0], found[name], strict=True)
        off = max(abs(row["scores"][score] - p) for row, scores in pairs for score, p in scores.items())
        times = rates["job"] / rates[name]
        print(f"{name:22} {rates[name]:8.1f} turns/s, the job {times:4.1f} times as many; scores within {off:.0e}")


def replies(rows: Rows, lamda: Lamda) -> Scores:
    """All attributes at once, over what the engine keeps of a text that it has read."""
    return [row["scores"] for row in judge_rows(((row["id"], row) for row in rows), lamda)]


def alone(rows: Rows, attributes: list[str], engine: LanguageModel, grammar: Grammar, judges: Judges) -> Scores:
    """Each reply and attribute a text of its own, read whole: by an engine that keeps nothing of what it has read, and
    one attribute after another goes through all rows, so that not even the last text begins alike.
    """
    found: Scores = [{} for _ in rows]
    for name in attributes:
        for row, scores in zip(rows, found, strict=True):
            text = grammar.judge(dialog_from_json(row["context"], row["id"]), row["response"], name).tokens
            yes, no = (logprobs[0] for logprobs in engine.score(text, [(Symbol.YES,), (Symbol.NO,)]))
            scores[score_name(name)] = probability(yes - no, name, judges)
    return found


if __name__ == "__main__":
    main()
