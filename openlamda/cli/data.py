"""`openlamda data show`."""

from collections import Counter
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.text import Text

from openlamda import config
from openlamda.errors import UserError
from openlamda.text.grammar import Sequence
from openlamda.text.tokenizer import Tokenizer
from openlamda.train.recipe import Recipe
from openlamda.train.tasks import sources


def show(recipe: Path, *overrides: str, examples: int = 2, sample: int = 200) -> None:
    """Print training sequences of every task of a recipe; what is learned is bright, what is only read is dim.

    Parameters
    ----------
    recipe
        A TOML file (see recipes/).
    overrides
        Settings changed, as key=value (data=DIR).
    examples
        So many sequences of each task.
    sample
        Count tokens and duplicates over so many sequences of each task.
    """
    from openlamda.load import SHIPPED, training_names

    settings = config.load(Recipe, recipe, overrides)
    path = Path(settings.tokenizer) if settings.tokenizer else SHIPPED / "tokenizer.model"
    if examples > sample:
        raise UserError(f"examples {examples}, expected at most sample = {sample}")
    tokenizer = Tokenizer.load(path)
    made = sources(
        settings.mixture, Path(settings.data), tokenizer, settings.row_tokens, settings.seed, training_names()
    )
    console = Console(soft_wrap=True, highlight=False)
    for task, source in made.items():
        seen = list(islice(source, sample))
        counts = Counter(sequence.tokens for sequence in seen)
        tokens = sum(len(sequence.tokens) for sequence in seen)
        learned = sum(sum(sequence.learned) for sequence in seen)
        console.rule(
            f"{task}: share {settings.mixture[task]:.0%}, {tokens / len(seen):.0f} tokens a sequence, "
            f"{learned / tokens:.0%} learned, {len(seen) - len(counts)} duplicates in {len(seen)}"
        )
        for sequence in seen[:examples]:
            console.print(render(sequence, tokenizer))


def render(sequence: Sequence, tokenizer: Tokenizer) -> Text:
    """A sequence as text: learned tokens bold, read ones dim, symbols in brackets."""
    text = Text()
    for token, learned in zip(sequence.tokens, sequence.learned, strict=True):
        symbol = token < 19
        shown = f" [{tokenizer.piece(token)}] " if symbol else tokenizer.piece(token).replace("▁", " ")
        text.append(shown, style=("bold green" if learned else "dim") + (" reverse" if symbol else ""))
    return text
