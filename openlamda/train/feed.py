"""What a run reads: batches of its mixture of tasks from a given step on, and those it is only measured by."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from openlamda.text.tokenizer import Tokenizer
from openlamda.train.batches import pack
from openlamda.train.recipe import Recipe
from openlamda.train.step import Batch
from openlamda.train.tasks import mixed, sources


def batches(recipe: Recipe, tokenizer: Tokenizer, names: list[str], first: int) -> Iterator[tuple[Batch, dict]]:
    """The run's batches after step `first`, each with the tokens of every task; the same recipe gives the same ones."""
    return islice(_packed(recipe, recipe.mixture, tokenizer, names, recipe.seed), first, recipe.steps)


def copies(recipe: Recipe, tokenizer: Tokenizer, names: list[str]) -> Batch:
    """A batch of repeated texts that the run is not trained on: how well it copies is a curve of its own."""
    return next(_packed(recipe, {"copy": 1.0}, tokenizer, names, recipe.seed + 1))[0]


def validation(recipe: Recipe, tokenizer: Tokenizer, names: list[str]) -> list[Batch]:
    """Batches of held-back rows, and of made rows by another seed."""
    if not recipe.validate_batches:
        return []
    packed = _packed(recipe, recipe.mixture, tokenizer, names, recipe.seed + 1, held=True)
    return [batch for batch, _ in islice(packed, recipe.validate_batches)]


def _packed(
    recipe: Recipe, mixture: dict[str, float], tokenizer: Tokenizer, names: list[str], seed: int, held: bool = False
) -> Iterator[tuple[Batch, dict[str, int]]]:
    made = sources(mixture, Path(recipe.data).expanduser(), tokenizer, recipe.row_tokens, seed, names, held=held)
    return pack(mixed(made, mixture), recipe.batch_rows, recipe.row_tokens, recipe.rating_weight)
