"""The filter job beside one reply after another and one judgement after another: the same turns, model and run.

python benchmarks/filter.py DIALOGS.jsonl.xz [--model DIR] [--turns 2048] [--singly 100]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openlamda.corpus.readers import read_jsonl
from openlamda.dialog.bulk import judge_rows
from openlamda.dialog.filter import Job, run
from openlamda.dialog.judge import Judges, probability, score_name
from openlamda.dialog.lamda import Lamda
from openlamda.engine.base import LanguageModel
from openlamda.loading import SHIPPED, WINDOW, load, parts
from openlamda.text.dialog import dialog_from_json
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Symbol

Rows = list[dict[str, Any]]
Scores = list[dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dialogs", type=Path)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--turns", type=int, default=2048)
    parser.add_argument("--singly", type=int, default=100, help="turns that are judged in the slower ways")
    args = parser.parse_args()

    lamda = load(args.model)
    engine, tokenizer, judges = parts(args.model)
    asked = [name for name in judges.attributes if name != "grounded"]
    everything = {score_name(name): 0.0 for name in asked}

    def job(folder: str, turns: int) -> Rows:
        run(Path(folder), [args.dialogs], engine, tokenizer, judges, Job((), "", everything, WINDOW, turns))
        return [row for path in sorted(Path(folder).glob("turns-*.gz")) for row in read_jsonl(path)]

    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        rows = job(first, min(64, args.turns))  # compiles
        began = time.perf_counter()
        rows = job(second, args.turns)
        together = args.turns / (time.perf_counter() - began)
    few = rows[:: max(1, len(rows) // args.singly)][: args.singly]  # from all over the file
    grammar = Grammar(tokenizer.encode)
    ways: dict[str, Callable[[Rows], Scores]] = {
        "a reply at a time": lambda rows: replies(rows, lamda),
        "a judgement at a time": lambda rows: alone(rows, asked, engine, grammar, judges),
    }
    print(f"job                    {together:8.1f} turns/s")
    for name, judge in ways.items():
        judge(few)  # compiles every shape that it will meet
        began = time.perf_counter()
        found = judge(few)
        rate = len(few) / (time.perf_counter() - began)
        apart = max(abs(row["scores"][n] - p) for row, ps in zip(few, found, strict=True) for n, p in ps.items())
        print(
            f"{name:22} {rate:8.1f} turns/s, the job {together / rate:.1f} times; scores differ by {apart:.1e} at most"
        )


def replies(rows: Rows, lamda: Lamda) -> Scores:
    """All attributes at once, over what the engine keeps of a text that it has read."""
    return [row["scores"] for row in judge_rows(((row["id"], row) for row in rows), lamda)]


def alone(rows: Rows, attributes: list[str], engine: LanguageModel, grammar: Grammar, judges: Judges) -> Scores:
    """Each reply and attribute a text of its own. One attribute after another goes through all rows, so that no text
    begins as one of the last few that the engine has read.
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
