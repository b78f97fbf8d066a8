"""What a run reads: batches of its mixture of tasks, or of token shards, and those that it is only measured by."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from openlamda.corpus.batches import Shards
from openlamda.errors import UserError
from openlamda.text.tokenizer import Tokenizer
from openlamda.train.batches import pack
from openlamda.train.loss import Batch
from openlamda.train.recipe import Recipe
from openlamda.train.sources import Beliefs, check_taught, mixed, rated_rows, sources
from openlamda.train.workers import in_turns

STREAMS = 1009  # between the seeds of two streams of one run; the seed after a run's own is of its validation
Counted = tuple[Batch, dict[str, int]]  # and the tokens that each task has in it


class Feed:
    """The batches of a run; the same recipe gives the same ones.

    Raises UserError for a recipe with both or neither of `mixture` and `shards`, and where these do not fit it.
    """

    def __init__(self, recipe: Recipe, tokenizer: Tokenizer, names: list[str]):
        if bool(recipe.mixture) == bool(recipe.shards):
            raise UserError("recipe: expected either a [mixture] of tasks or shards = DIRECTORY")
        check_taught(recipe.teacher, recipe.mixture)
        self._recipe, self._tokenizer, self._names = recipe, tokenizer, names
        self.rated = rated_rows(recipe)
        self._shards = None
        if recipe.shards:
            self._shards = Shards(Path(recipe.shards).expanduser(), tokenizer)
            if self._shards.row_tokens != recipe.row_tokens:
                raise UserError(f"{recipe.shards}: rows of {self._shards.row_tokens} tokens, row_tokens is another")

    def after(self, first: int) -> Iterator[Counted]:
        """The batches after step `first` to the last."""
        recipe = self._recipe
        if self._shards:
            return (self._of_shards(step) for step in range(first, recipe.steps))
        if recipe.feed_workers:
            made = in_turns(partial(_stream, recipe, self._tokenizer.model, self._names, self._taught()),
                            recipe.feed_workers, first)  # fmt: skip
            return islice(made, recipe.steps - first)
        return islice(self._packed(recipe.mixture, recipe.seed), first, recipe.steps)

    def copies(self) -> Batch | None:
        """A batch of repeated texts that the run is not trained on: how well it copies is a curve of its own."""
        return None if self._shards else next(self._packed({"copy": 1.0}, self._recipe.seed + 1))[0]

    def validation(self) -> list[Batch]:
        """Batches of held-back rows, and of made rows by another seed."""
        recipe = self._recipe
        if not recipe.validate_batches:
            return []
        if self._shards:
            kept = self._shards.validation(recipe.validate_batches * recipe.batch_rows)
            parts = [np.split(cells, recipe.validate_batches) for cells in kept]
            return [_learned(tokens, segments) for tokens, segments in zip(*parts, strict=True)]
        packed = self._packed(recipe.mixture, recipe.seed + 1, held=True)
        return [batch for batch, _ in islice(packed, recipe.validate_batches)]

    def _of_shards(self, step: int) -> Counted:
        assert self._shards
        batch = _learned(*self._shards.batch(step, self._recipe.batch_rows, seed=self._recipe.seed))
        return batch, {"shards": int(np.sum(batch.segments > 0))}

    def _taught(self) -> Beliefs:
        """What the teachers believe of the rows that they teach: found once, not by every worker."""
        recipe = self._recipe
        if not recipe.teacher:
            return {}
        shares = dict.fromkeys(recipe.teacher, 1 / len(recipe.teacher))
        made = sources(
            shares, Path(recipe.data).expanduser(), self._tokenizer, recipe.row_tokens, recipe.seed, self._names,
            rated=self.rated, taught=recipe.teacher,
        )  # fmt: skip
        return {task: [row.beliefs for row in source.rows] for task, source in made.items()}

    def stream(self, number: int, beliefs: Beliefs) -> Iterator[Counted]:
        """The endless batches of one of several streams of the mixture, each of another seed."""
        return self._packed(self._recipe.mixture, self._recipe.seed + STREAMS * number, beliefs=beliefs)

    def _packed(
        self, mixture: dict[str, float], seed: int, held: bool = False, beliefs: Beliefs | None = None
    ) -> Iterator[Counted]:
        recipe = self._recipe
        folder, alpha = Path(recipe.data).expanduser(), 0 if held else recipe.subword_regularisation
        made = sources(
            mixture,
            folder,
            self._tokenizer,
            recipe.row_tokens,
            seed,
            self._names,
            alpha,
            recipe.filtered,
            self.rated,
            {task: share for task, share in recipe.teacher.items() if task in mixture},
            held=held,
            beliefs=beliefs,
        )
        return pack(mixed(made, mixture), recipe.batch_rows, recipe.row_tokens, recipe.rating_weight)


def _learned(tokens: np.ndarray, segments: np.ndarray) -> Batch:
    """All of a document or dialog is learned but its first token, before which nothing stands."""
    weights = np.zeros(tokens.shape, np.float32)
    weights[:, 1:] = (segments[:, 1:] > 0) & (segments[:, 1:] == segments[:, :-1])
    return Batch(tokens, segments, weights)


def _stream(recipe: Recipe, model: bytes, names: list[str], beliefs: Beliefs, number: int) -> Iterator[Counted]:
    """As `Feed.stream`, from what a process can be given."""
    return Feed(recipe, Tokenizer(model), names).stream(number, beliefs)
