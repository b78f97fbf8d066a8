"""Lanes of the local engine: which groups of candidates are drawn together, and what comes of them.

On a CPU a group has a lane of its own, and each core runs one: a step of a few candidates is too small to be shared by
cores. Elsewhere a step reads all weights from memory whoever is drawn, so groups share a lane.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import numpy as np

from openlamda.engine import drawing, scheduler
from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.drawing import Group
from openlamda.engine.layered import Layered
from openlamda.engine.reading import Cache, KeysValues
from openlamda.engine.sampling import Rules
from openlamda.engine.scheduler import Work
from openlamda.model.config import ModelConfig

CANDIDATES = (4, 8, 16)  # of a group; a group alone becomes one of 4 when so few are left
STEPS_KEPT = (16, 80, 320, 1280)
KEPT = 6  # lanes that are not in use


def padded_size(size: int, sizes: Sequence[int]) -> int:
    """The smallest compiled size that holds `size`."""
    for candidate in sizes:
        if size <= candidate:
            return candidate
    return -(-size // sizes[-1]) * sizes[-1]


@dataclass(frozen=True)
class Draw:
    """A request: n candidates, numbered from `first` on, after `prefix`, of which `cache` holds
    all but the last token.
    """

    cache: Cache
    prefix: Tokens
    n: int
    first: int
    sampling: Sampling
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """P, S and T of the lane that it needs."""
        P, T = padded_size(self.n, CANDIDATES), padded_size(self.sampling.max_tokens + 1, STEPS_KEPT)
        return P, self.cache.size, T

    def lane(self, lanes: "Lanes") -> "Lane":
        """A lane for it and its like."""
        return Lane(lanes, self.shape)


class Drawn(NamedTuple):
    """Candidates, and the keys and values [H, P, T, K] of the prefix's last token and all that they said after it."""

    candidates: list[Candidate]
    own: tuple[KeysValues, ...]


def group_of(cache: Cache, prefix: Tokens, sampling: Sampling, key_P: jax.Array, vocab_size: int) -> Group:
    """Candidates after `prefix`, as many as there are keys."""
    text_S = np.zeros(cache.size, np.int32)
    given = prefix[-len(text_S) :]
    text_S[: len(given)] = given
    return Group(
        prefix=cache.layers,
        length=cache.length,
        text_S=text_S,
        key_P=key_P,
        rules=Rules.of([sampling] * len(key_P), vocab_size),
        max_tokens=np.int32(sampling.max_tokens),
        block_ngram=np.int32(sampling.block_ngram),
        context_block_ngram=np.int32(sampling.context_block_ngram),
    )


class AnyLane(scheduler.Lane, Protocol):
    """A lane of draws, or of searches (search_lane.py): works of one shape."""

    shape: tuple[int | str, ...]


class Lanes:
    """The lanes of one model that are not in use. `groups`: how many groups share a lane."""

    def __init__(self, weights: Layered, config: ModelConfig, dtype: str, groups: int, turns: AbstractContextManager):
        self.weights, self.config, self.dtype, self.groups, self.turns = weights, config, dtype, groups, turns
        self._idle: deque[AnyLane] = deque(maxlen=KEPT)

    def take(self, work: Work) -> AnyLane:
        """An empty lane that fits the work."""
        for lane in list(self._idle):
            if lane.shape == work.request.shape:
                with suppress(ValueError):  # another thread may have taken it
                    self._idle.remove(lane)
                    return lane
        return work.request.lane(self)

    def give_back(self, lane: AnyLane) -> None:
        """Keep a lane for the next group of its shape, in place of the one that was given back first."""
        self._idle.append(lane)


class Lane:
    """Groups of P candidates, prefixes of S tokens, T steps kept."""

    def __init__(self, lanes: Lanes, shape: tuple[int, int, int]):
        self.shape: tuple[int | str, ...] = shape
        self._all = lanes
        self._P, _, self._T = shape
        self._works: list[Work | None] = [None] * lanes.groups
        self._groups: Group | None = None
        self._lane: drawing.Lane | None = None
        self._few: _Few | None = None

    def fits(self, work: Work) -> bool:
        """Whether there is room for a work."""
        return None in self._works and self.shape == work.request.shape

    def join(self, work: Work) -> None:
        """Draw the candidates of a work, from the next step on."""
        draw: Draw = work.request
        place = self._works.index(None)
        group = self._group(draw)
        if self._lane is None or self._groups is None:
            config, G = self._all.config, len(self._works)
            self._lane = drawing.empty_lane(config, G, self._P, self._T, self._all.dtype)
            self._groups = drawing.repeat(group, G)
        last, wanted = np.int32(draw.prefix[-1]), np.int32(draw.n)
        self._groups, self._lane = drawing.join(self._groups, self._lane, np.int32(place), group, last, wanted)
        self._works[place] = work

    def step(self) -> list[tuple[Work, Drawn]]:
        """Draw up to drawing.STEPS tokens of each candidate; the works all of whose candidates have ended."""
        assert self._lane is not None and self._groups is not None
        samplings = [work.request.sampling for work in self._works if work is not None]
        blocking = any(sampling.block_ngram or sampling.context_block_ngram for sampling in samplings)
        few = self._few
        groups, lane = (few.groups, few.lane) if few else (self._groups, self._lane)
        with self._all.turns:
            lane = drawing.advance(self._all.weights, groups, lane, config=self._all.config, blocking=blocking)
            drawing_GP = np.asarray(lane.drawing_GP)
        if few:
            few.lane = lane
        else:
            self._lane = lane
        ended = []
        for place, work in enumerate(self._works):
            if work is not None and not drawing_GP[place].any():
                ended.append((work, self._result(place, work.request)))
                self._works[place], self._few = None, None
        if not ended and few is None and len(self._works) == 1 and CANDIDATES[0] < self._P:
            (left,) = drawing_GP.nonzero()[1:]
            if len(left) <= CANDIDATES[0]:
                ended_too = np.flatnonzero(~drawing_GP[0])
                kept_P = np.concatenate([left, ended_too])[: CANDIDATES[0]].astype(np.int32)
                self._few = _Few(kept_P, *drawing.fewer(self._groups, self._lane, kept_P))
        return ended

    def drop(self, work: Work) -> None:
        """Forget a work."""
        place = self._works.index(work)
        self._works[place], self._few = None, None
        assert self._lane is not None
        self._lane = self._lane._replace(drawing_GP=self._lane.drawing_GP.at[place].set(False))

    def _group(self, draw: Draw) -> Group:
        numbers = np.arange(draw.first, draw.first + self._P)
        key_P = drawing.keys_of(np.uint32(draw.seed % 2**32), numbers)
        return group_of(draw.cache, draw.prefix, draw.sampling, key_P, self._all.config.vocab_size)

    def _result(self, place: int, draw: Draw) -> Drawn:
        assert self._lane is not None
        tokens, count, logprob, stopped = _said(self._lane, place)
        few = self._few
        if few is not None:
            for all_P, few_P in zip((tokens, count, logprob, stopped), _said(few.lane, place), strict=True):
                all_P[few.kept_P] = few_P
        size = padded_size(1 + int(count[: draw.n].max()), (32, self._T))
        own = drawing.leave(self._lane, np.int32(place), size=size)
        if few is not None:
            part = drawing.leave(few.lane, np.int32(place), size=size)
            own = drawing.put_back(own, part, few.kept_P)
        candidates = [
            Candidate(tuple(tokens[i, : count[i]].tolist()), float(logprob[i]), bool(stopped[i])) for i in range(draw.n)
        ]
        return Drawn(candidates, own)


@dataclass
class _Few:
    """The last candidates of a group, drawn apart from those that have ended."""

    kept_P: np.ndarray
    groups: Group
    lane: drawing.Lane


def _said(lane: drawing.Lane, place: int) -> tuple[np.ndarray, ...]:
    """Tokens [P, T], their counts, logprobs and whether they were stopped, of one group's candidates."""
    arrays = (lane.tokens_GPT, lane.count_GP, lane.logprob_GP, lane.stopped_GP)
    return tuple(np.array(np.asarray(array)[place]) for array in arrays)
