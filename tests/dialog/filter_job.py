"""Run by tests as `python filter_job.py DIALOGS DIRECTORY TOKENIZER SECONDS`: a filter job with a slow judge."""

import dataclasses
import sys
import time
from pathlib import Path

from openlamda.dialog.filter import Job, run
from openlamda.dialog.judge import Judges
from openlamda.text.tokenizer import Tokenizer

JUDGES = Judges(attributes=("sensible", "unsafe", "grounded"), thresholds={"sensible": 0.5, "safe": 0.5})


class Rater:
    """Finds texts with an even token sum sensible, and those whose sum is a multiple of five unsafe."""

    seconds = 0.0

    def rate_all(self, trees, questions, yes, no, batch_rows):
        time.sleep(self.seconds)
        texts = [tree.trunk[:fork] + tokens for tree in trees for fork, tokens in tree.branches]
        return [[2.0 if sum(text) % 2 == 0 else -2.0, 3.0 if sum(text) % 5 == 0 else -3.0] for text in texts]


def job(**changes) -> Job:
    usual = Job((("talk.jsonl", "x"),), "m", JUDGES.thresholds, window=60, chunk=7)
    return dataclasses.replace(usual, **changes)


if __name__ == "__main__":
    dialogs, directory, tokenizer, seconds = sys.argv[1:]
    Rater.seconds = float(seconds)
    run(Path(directory), [Path(dialogs)], Rater(), Tokenizer.load(Path(tokenizer)), JUDGES, job())
