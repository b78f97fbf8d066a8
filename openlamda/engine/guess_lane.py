"""A lane for the likeliest continuations by guessing, one at a time, under the same scheduler as draws (lanes.py)."""

import weakref
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from openlamda.engine import guessing
from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.lanes import Lanes
from openlamda.engine.padding import padded_size
from openlamda.engine.prefixes import BLOCK
from openlamda.engine.reading import SIZES, Cache, grown
from openlamda.engine.sampling import Rules
from openlamda.engine.scheduler import Work

READ = 16  # tokens at once, of which all but the first are guesses


@dataclass(frozen=True)
class Greedy:
    """A request: the likeliest continuation of `prefix`, of which `cache` holds all but the last token."""

    cache: Cache
    prefix: Tokens
    sampling: Sampling

    shape = ("greedy",)

    def lane(self, lanes: Lanes) -> "GuessLane":
        """A lane for it and its like."""
        return GuessLane(lanes)


class Guessed(NamedTuple):
    """A candidate, and what was read of its prefix and of it: tokens, cache, the hidden state [1, D] after them, and
    the blocks (reading.py) that became whole.
    """

    candidate: Candidate
    read: Tokens
    cache: Cache
    last_1D: jax.Array
    blocks: list[jax.Array]


class GuessLane:
    """A continuation of a prefix; what was said is read as more of that."""

    shape: tuple[int | str, ...] = Greedy.shape

    def __init__(self, lanes: Lanes):
        self._all = weakref.proxy(lanes)
        self._work: Work | None = None
        self._cache: Cache | None = None
        self._said: list[int] = []
        self._blocks: list[jax.Array] = []
        self._logprob = 0.0

    def fits(self, work: Work) -> bool:
        """Whether nothing is drawn and the work is of this shape."""
        return self._work is None and self.shape == work.request.shape

    def join(self, work: Work) -> None:
        """Begin a work with the next step."""
        self._work, self._cache = work, work.request.cache
        self._said, self._blocks, self._logprob = [], [], 0.0
        self._rules = Rules.of([work.request.sampling], self._all.config.vocab_size)

    def step(self) -> list[tuple[Work, Guessed]]:
        """Read the last token and guesses; the work and what came of it where it has ended."""
        assert self._work is not None and self._cache is not None
        work, asked, weights = self._work, self._work.request, self._all.weights
        text = (*asked.prefix, *self._said)
        guesses = guessing.guess(text, READ - 1)
        tokens_N = np.zeros(READ, np.int32)
        tokens_N[: 1 + len(guesses)] = text[-1], *guesses
        before, known = len(self._said), len(text) - 1
        with self._all.turns:
            token_N, logprob_N, read = guessing.verify(
                weights, self._cache, np.int32(before), tokens_N, self._rules, config=self._all.config
            )
            likeliest = list(zip(np.asarray(token_N).tolist(), np.asarray(logprob_N).tolist(), strict=True))
        stopped = False
        for guess, (token, logprob) in zip((*guesses, None), likeliest, strict=False):
            self._logprob += logprob
            stopped = token in asked.sampling.stop
            if not stopped:
                self._said.append(token)
            if stopped or len(self._said) == asked.sampling.max_tokens or token != guess:
                break
        now = known + len(self._said) - before + stopped  # all but the last token where it goes on or is cut
        with self._all.turns:
            right, size = np.int32(now - known), padded_size(now, SIZES)
            cache, last_1D, added = grown(weights.top, self._cache, *read, right, size=size)
        self._cache = cache
        self._blocks += added[: now // BLOCK - known // BLOCK]
        if not stopped and len(self._said) < asked.sampling.max_tokens:
            return []
        candidate = Candidate(tuple(self._said), self._logprob, stopped)
        guessed = Guessed(candidate, (*asked.prefix, *self._said)[:now], cache, last_1D, self._blocks)
        self.drop(work)
        return [(work, guessed)]

    def drop(self, work: Work) -> None:
        """Forget a work."""
        self._work = self._cache = None
