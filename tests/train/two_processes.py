"""Run by test_hosts.py as `python two_processes.py TOKENIZER DIRECTORY MESH...`: a short run of a tiny model."""

import sys
from pathlib import Path
from random import Random
from typing import Any

from openlamda.corpus.made import Maker
from openlamda.model.config import ModelConfig
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Tokenizer
from openlamda.train import feed, hosts, loop
from openlamda.train.recipe import Optimizer, Recipe
from openlamda.train.tasks import Source

TINY = ModelConfig(num_layers=2, d_model=32, num_heads=8, d_head=8, d_ff=64, vocab_size=400)
WORDS = "stone water silver morning garden window letter summer".split()


def source(task: str, tokenizer: Tokenizer) -> Source:
    maker = Maker(Random(0), WORDS)
    rows = maker.repeats() if task == "copy" else maker.rows(task)
    return Source(task, rows, Grammar(tokenizer.encode), 128, 0)


def main() -> None:
    hosts.join()
    tokenizer_file, directory, *axes = sys.argv[1:]
    tokenizer = Tokenizer.load(Path(tokenizer_file))
    replaced: Any = lambda mixture, *_, **__: {task: source(task, tokenizer) for task in mixture}  # noqa: E731
    feed.sources = replaced
    loop.PRESETS["tiny"] = TINY
    recipe = Recipe(
        start="tiny",
        tokenizer=tokenizer_file,
        steps=5,
        batch_rows=16,
        row_tokens=128,
        log_every=1,
        checkpoint_every=3,
        mixture={"lookup": 1.0},
        mesh={axis: int(size) for axis, size in (pair.split("=") for pair in axes)},
        optimizer=Optimizer(name="adafactor", warmup_steps=2),
    )
    loop.run(recipe, Path(directory), [], lambda values: None)


if __name__ == "__main__":
    main()
