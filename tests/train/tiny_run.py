"""Run by tests as `python tiny_run.py DIRECTORY RECIPE`: trains a tiny model in a process of its own.

RECIPE is a JSON object of a recipe's settings; its tokenizer is a file of 400 pieces.
"""

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from openlamda.corpus import chains
from openlamda.corpus.made import Maker
from openlamda.model.config import ModelConfig
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Tokenizer
from openlamda.train import feed, hosts, loop
from openlamda.train.recipe import Recipe
from openlamda.train.sources import Source

TINY = ModelConfig(num_layers=2, d_model=32, num_heads=8, d_head=8, d_ff=64, vocab_size=400)
WORDS = "stone water silver morning garden window letter summer".split()


def source(task: str, tokenizer: Tokenizer, held: bool) -> Source:
    """As train.tasks makes them, without a folder of data."""
    maker = Maker(Random(held), WORDS)
    rows = maker.repeats() if task == "copy" else chains.rows(maker, task)
    return Source(task, rows, Grammar(tokenizer.encode), 128, held)


def main() -> None:
    hosts.join()
    settings = {"start": "tiny", "row_tokens": 128, "log_every": 1, "mixture": {"lookup": 1.0}}
    recipe = msgspec.convert(settings | json.loads(sys.argv[2]), Recipe)
    tokenizer = Tokenizer.load(Path(recipe.tokenizer))
    sources: Any = lambda mixture, *_, held, beliefs: {task: source(task, tokenizer, held) for task in mixture}  # noqa: E731
    feed.sources = sources
    loop.PRESETS["tiny"] = TINY
    loop.run(recipe, Path(sys.argv[1]), [], lambda values: None)


if __name__ == "__main__":
    main()
