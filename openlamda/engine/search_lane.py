"""A lane for beam searches, one at a time, under the same scheduler as draws (lanes.py)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine import searching
from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.drawing import Group, keys_of
from openlamda.engine.lanes import STEPS_KEPT, Lanes, group_of, padded_size
from openlamda.engine.reading import Cache
from openlamda.engine.scheduler import Work


@dataclass(frozen=True)
class Search:
    """A request: the n best hypotheses after `prefix`, of which `cache` holds all but the last token."""

    cache: Cache
    prefix: Tokens
    n: int
    sampling: Sampling

    @property
    def shape(self) -> tuple[str, int, int, int]:
        """B, S and T of the lane that it needs."""
        return "search", self.sampling.beams, self.cache.size, padded_size(self.sampling.max_tokens, STEPS_KEPT)

    def lane(self, lanes: Lanes) -> "SearchLane":
        """A lane for it and its like."""
        return SearchLane(lanes, self.shape)


class SearchLane:
    """A search with B beams after a prefix of S tokens, T steps kept."""

    def __init__(self, lanes: Lanes, shape: tuple[str, int, int, int]):
        self.shape: tuple[int | str, ...] = shape
        self._all = lanes
        _, self._B, _, self._T = shape
        self._work: Work | None = None
        self._group: Group | None = None
        self._state: searching.State | None = None
        self._over: jax.Array | None = None  # of what is under way

    @property
    def idle(self) -> bool:
        """Whether nothing is searched."""
        return self._work is None and self._over is None

    @property
    def has_room(self) -> bool:
        """Whether a search can join now."""
        return self.idle

    def join(self, work: Work) -> None:
        """Begin a search with the next step."""
        search: Search = work.request
        config, B = self._all.config, self._B
        key_B = keys_of(jnp.uint32(0), jnp.arange(B))  # nothing is drawn with them
        group = group_of(search.cache, search.prefix, search.sampling, key_B, config.vocab_size)
        self._group = jax.tree.map(lambda one: one[None], group)
        self._state = searching.begin(config, B, self._T, self._all.dtype, jnp.int32(search.prefix[-1]))
        self._work = work

    def start(self) -> None:
        """Begin to read up to drawing.STEPS tokens of each beam."""
        assert self._work is not None and self._group is not None and self._state is not None
        search: Search = self._work.request
        sampling = search.sampling
        self._state, self._over = searching.advance(
            self._all.weights,
            self._group,
            self._state,
            jnp.float32(sampling.length_penalty),
            jnp.int32(search.n),
            config=self._all.config,
            blocking=bool(sampling.block_ngram or sampling.context_block_ngram),
        )

    def finish(self) -> list[tuple[Work, list[Candidate]]]:
        """Wait for what was begun; the search and its hypotheses where it has ended."""
        assert self._work is not None and self._state is not None
        over, self._over = bool(self._over), None
        if not over:
            return []
        work = self._work
        best = zip(*map(np.asarray, searching.found(self._state.beams)), strict=True)
        candidates = [
            Candidate(tuple(tokens[:count].tolist()), float(logprob), bool(ended))
            for tokens, count, logprob, ended in best
            if count >= 0
        ]
        self.drop(work)
        return [(work, candidates[: work.request.n])]

    def drop(self, work: Work) -> None:
        """Forget a work; a lane in which something went wrong is not used again."""
        if self._over is not None:
            self._all.forget(self)
        self._work = self._group = self._state = self._over = None
