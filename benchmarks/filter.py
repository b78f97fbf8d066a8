"""The filter job beside judging one reply after another: the same turns, the same model, in one run.

python benchmarks/filter.py DIALOGS.jsonl.xz [--model DIR] [--turns 4096] [--singly 200]
"""

import argparse
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path

from openlamda.corpus.readers import read_jsonl
from openlamda.dialog.bulk import judge_rows
from openlamda.dialog.filter import Job, run, turns_of
from openlamda.loading import SHIPPED, WINDOW, load, parts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dialogs", type=Path)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--turns", type=int, default=4096)
    parser.add_argument("--singly", type=int, default=200)
    args = parser.parse_args()

    lamda = load(args.model)
    rows = [
        (
            turn.id,
            {"context": [{"role": t.author, "text": t.text} for t in turn.context.turns], "response": turn.response},
        )
        for turn in islice(turns_of([args.dialogs], Counter()), args.singly)
    ]
    list(judge_rows(rows[:20], lamda))  # compiles
    began = time.perf_counter()
    singly = list(judge_rows(rows, lamda))
    one_by_one = len(rows) / (time.perf_counter() - began)

    engine, tokenizer, judges = parts(args.model)
    everything = dict.fromkeys((name for name in judges.thresholds if name != "grounded"), 0.0)
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, turns in (("compiles", 64), ("job", args.turns)):
            job = Job((), "", everything, WINDOW, turns)
            began = time.perf_counter()
            run(Path(folder) / name, [args.dialogs], engine, tokenizer, judges, job)
            seconds[name] = time.perf_counter() - began
        first = read_jsonl(Path(folder) / "job" / "turns-00000.jsonl.gz")
        bulk = {row["id"]: row["scores"] for row in first}
    together = args.turns / seconds["job"]
    apart = [
        abs(scores[name] - bulk[place][name])
        for (place, _), scores in zip(rows, (row["scores"] for row in singly), strict=True)
        if place in bulk
        for name in bulk[place]
    ]
    print(
        f"one by one {one_by_one:8.1f} turns/s\nfilter     {together:8.1f} turns/s   {together / one_by_one:.1f} times"
    )
    print(f"scores differ by {max(apart):.1e} at most, over {len(apart)}")


if __name__ == "__main__":
    main()
