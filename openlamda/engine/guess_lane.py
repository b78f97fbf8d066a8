"""A lane for the likeliest continuations by guessing, one at a time, under the same scheduler as draws (lanes.py)."""

import weakref
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from openlamda.engine import guessing
from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.lanes import STEPS_KEPT, Lanes
from openlamda.engine.padding import padded_size
from openlamda.engine.reading import Cache
from openlamda.engine.sampling import Rules
from openlamda.engine.scheduler import Work

READ = 16  # tokens at once, of which all but the first are guesses


@dataclass(frozen=True)
class Greedy:
    """A request: the likeliest continuation of `prefix`, of which `cache` holds all but the last token."""

    cache: Cache
    prefix: Tokens
    sampling: Sampling

    @property
    def shape(self) -> tuple[str, int, int]:
        """S and T of the lane that it needs."""
        return "greedy", self.cache.size, padded_size(self.sampling.max_tokens + READ, STEPS_KEPT)

    def lane(self, lanes: Lanes) -> "GuessLane":
        """A lane for it and its like."""
        return GuessLane(lanes, self.shape)


class GuessLane:
    """A continuation of a prefix of S tokens, T tokens kept."""

    def __init__(self, lanes: Lanes, shape: tuple[str, int, int]):
        self.shape: tuple[int | str, ...] = shape
        self._all = weakref.proxy(lanes)
        size = lanes.config.num_heads, shape[2], lanes.config.d_head
        layers = range(lanes.config.num_layers)
        self._own = tuple((jnp.zeros(size, lanes.dtype), jnp.zeros(size, lanes.dtype)) for _ in layers)  # [H, T, K]
        self._work: Work | None = None
        self._said: list[int] = []
        self._logprob = 0.0

    def fits(self, work: Work) -> bool:
        """Whether nothing is drawn and the work is of this shape."""
        return self._work is None and self.shape == work.request.shape

    def join(self, work: Work) -> None:
        """Begin a work with the next step."""
        self._work, self._said, self._logprob = work, [], 0.0
        self._rules = Rules.of([work.request.sampling], self._all.config.vocab_size)

    def step(self) -> list[tuple[Work, Candidate]]:
        """Read the last token and guesses; the work and its candidate where it has ended."""
        assert self._work is not None
        work, asked, count = self._work, self._work.request, len(self._said)
        text = (*asked.prefix, *self._said)
        guesses = guessing.guess(text, READ - 1)
        tokens_N = np.zeros(READ, np.int32)
        tokens_N[: 1 + len(guesses)] = text[-1], *guesses
        with self._all.turns:
            token_N, logprob_N, self._own = guessing.verify(
                self._all.weights,
                asked.cache,
                self._own,
                np.int32(count),
                tokens_N,
                self._rules,
                config=self._all.config,
            )
            likeliest = zip(np.asarray(token_N).tolist(), np.asarray(logprob_N).tolist(), strict=True)
        for guessed, (token, logprob) in zip((*guesses, None), likeliest, strict=False):
            self._logprob += logprob
            stopped = token in asked.sampling.stop
            if not stopped:
                self._said.append(token)
            if stopped or len(self._said) == asked.sampling.max_tokens:
                candidate = Candidate(tuple(self._said), self._logprob, stopped)
                self.drop(work)
                return [(work, candidate)]
            if token != guessed:
                break
        return []

    def drop(self, work: Work) -> None:
        """Forget a work."""
        self._work = None
