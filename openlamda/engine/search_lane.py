"""A lane for beam searches, one at a time, under the same scheduler as draws (lanes.py)."""

import weakref
from dataclasses import dataclass

import numpy as np

from openlamda.engine import searching
from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.drawing import Group, repeat
from openlamda.engine.lanes import STEPS_KEPT, Lanes, group_of
from openlamda.engine.padding import padded_size
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
        self._all = weakref.proxy(lanes)
        _, self._B, _, self._T = shape
        self._work: Work | None = None
        self._group: Group | None = None
        self._state: searching.State | None = None

    def fits(self, work: Work) -> bool:
        """Whether nothing is searched and the work is a search of this shape."""
        return self._work is None and self.shape == work.request.shape

    def join(self, work: Work) -> None:
        """Begin a search with the next step."""
        search: Search = work.request
        config, B = self._all.config, self._B
        seed = first = draws = 0
        group = group_of(
            search.cache, search.prefix, search.sampling, seed, first, B, draws, vocab_size=config.vocab_size
        )
        self._group = repeat(group, G=1)
        last, mesh = np.int32(search.prefix[-1]), self._all.weights.mesh
        self._state = searching.begin(last, config=config, B=B, T=self._T, dtype=self._all.dtype, mesh=mesh)
        self._work = work

    def step(self) -> list[tuple[Work, list[Candidate]]]:
        """Read up to drawing.STEPS tokens of each beam; the search and its hypotheses where it has ended."""
        assert self._work is not None and self._group is not None and self._state is not None
        work, sampling = self._work, self._work.request.sampling
        with self._all.turns:
            state, over = searching.advance(
                self._all.weights,
                self._group,
                self._state,
                np.float32(sampling.length_penalty),
                np.int32(work.request.n),
                config=self._all.config,
                blocking=bool(sampling.block_ngram or sampling.context_block_ngram),
            )
            self._state, ended = state, bool(over)
        if not ended:
            return []
        best = zip(*map(np.asarray, searching.found(state.beams)), strict=True)
        candidates = [
            Candidate(tuple(tokens[:count].tolist()), float(logprob), bool(stopped))
            for tokens, count, logprob, stopped in best
            if count >= 0
        ]
        self.drop(work)
        return [(work, candidates[: work.request.n])]

    def drop(self, work: Work) -> None:
        """Forget a work."""
        self._work = self._group = self._state = None
