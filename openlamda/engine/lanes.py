"""Lanes of the local engine: which groups of candidates are drawn together, and what comes of them.

On a CPU each core runs a lane, of one group, or of several where many wait; a step takes as long as it has rows, so a
lane narrows to the candidates that are left. Elsewhere a step reads all weights from memory whoever is drawn, so groups
share a lane.
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
from openlamda.engine.padding import padded_size
from openlamda.engine.reading import Cache, KeysValues
from openlamda.engine.sampling import Rules
from openlamda.engine.scheduler import Work
from openlamda.model.config import ModelConfig

CANDIDATES = (4, 8, 16)  # of a group; it becomes one of 4 when so few are left
GROUPS = (1, 2, 4)  # of a lane whose groups have become so small
STEPS_KEPT = (16, 80, 320, 1280)
KEPT = 6  # lanes that are not in use


@dataclass(frozen=True)
class Draw:
    """A request: n candidates, numbered from `first` on, after `prefix`; `cache` holds all of it but the last token."""

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

    def lane(self, lanes: "Lanes", places: int) -> "Lane":
        """A lane for so many of its like."""
        return Lane(lanes, self.shape, places)


class Drawn(NamedTuple):
    """Candidates, and the keys and values [H, P, T, K] of the prefix's last token and all that they said after it."""

    candidates: list[Candidate]
    own: tuple[KeysValues, ...]


def group_of(
    cache: Cache, prefix: Tokens, sampling: Sampling, seed: int, number_P: np.ndarray, vocab_size: int
) -> Group:
    """The candidates of a seed with these numbers after `prefix`, of which `cache` holds all but the last token."""
    text = np.zeros(cache.size + 1, np.int32)
    text[: len(prefix)] = prefix
    limits = np.array((sampling.max_tokens, sampling.block_ngram, sampling.context_block_ngram), np.int32)
    rules = Rules.of([sampling] * len(number_P), vocab_size)
    return drawing.make_group(cache, text, np.uint32(seed % 2**32), number_P, rules, limits)


class AnyLane(scheduler.Lane, Protocol):
    """A lane of draws, or of searches (search_lane.py): works of one shape."""

    shape: tuple[int | str, ...]
    places: int


class Lanes:
    """The lanes of one model that are not in use. `groups`: how many groups share a lane, at most."""

    def __init__(
        self,
        weights: Layered,
        config: ModelConfig,
        dtype: str,
        groups: int,
        turns: AbstractContextManager,
        kept: int = KEPT,
    ):
        self.weights, self.config, self.dtype, self.groups, self.turns = weights, config, dtype, groups, turns
        self.narrows = jax.default_backend() == "cpu"
        self._idle: deque[AnyLane] = deque(maxlen=kept)

    def take(self, work: Work, waiting: Sequence[Work]) -> AnyLane:
        """An empty lane that fits the work, and of those that wait as many as can be drawn with it."""
        shape = work.request.shape
        alike = 1 + sum(other.request.shape == shape for other in waiting)
        places = 1 if isinstance(shape[0], str) or (self.narrows and 2 * alike <= self.groups) else self.groups
        for lane in list(self._idle):
            if (lane.shape, lane.places) == (shape, places):
                with suppress(ValueError):  # another thread may have taken it
                    self._idle.remove(lane)
                    return lane
        return work.request.lane(self, places)

    def give_back(self, lane: AnyLane) -> None:
        """Keep a lane for the next group of its shape, in place of the one that was given back first."""
        self._idle.append(lane)


class Lane:
    """Groups of P candidates, prefixes of S tokens, T steps kept."""

    def __init__(self, lanes: Lanes, shape: tuple[int, int, int], places: int):
        self.shape: tuple[int | str, ...] = shape
        self.places = places
        self._all = lanes
        self._P, _, self._T = shape
        self._works: list[Work | None] = [None] * places
        self._stages: list[_Stage] = []  # the whole lane, then those candidates that are left, fewer and fewer

    def fits(self, work: Work) -> bool:
        """Whether there is room for a work."""
        return None in self._works and len(self._stages) < 2 and self.shape == work.request.shape

    def join(self, work: Work) -> None:
        """Draw the candidates of a work, from the next step on."""
        draw: Draw = work.request
        place = self._works.index(None)
        number_P = np.arange(draw.first, draw.first + self._P)
        vocab_size = self._all.config.vocab_size
        group = group_of(draw.cache, draw.prefix, draw.sampling, draw.seed, number_P, vocab_size)
        if not self._stages:
            G = self.places
            mesh = self._all.weights.mesh
            lane = drawing.empty_lane(self._all.config, G, self._P, self._T, self._all.dtype, mesh)
            all_GP = np.tile(np.arange(self._P), (G, 1))
            self._stages = [_Stage(drawing.repeat(group, G), lane, {n: n for n in range(G)}, all_GP)]
        (stage,) = self._stages
        last, wanted = np.int32(draw.prefix[-1]), np.int32(draw.n)
        stage.groups, stage.lane = drawing.join(stage.groups, stage.lane, np.int32(place), group, last, wanted)
        self._works[place] = work

    def step(self) -> list[tuple[Work, Drawn]]:
        """Draw up to drawing.STEPS tokens of each candidate; the works all of whose candidates have ended."""
        stage = self._stages[-1]
        samplings = [work.request.sampling for work in self._works if work is not None]
        blocking = any(sampling.block_ngram or sampling.context_block_ngram for sampling in samplings)
        P = stage.lane.last_GP.shape[1]
        few = np.int32(max((size for size in CANDIDATES if size < P), default=0) if self._all.narrows else 0)
        with self._all.turns:
            stage.lane = drawing.advance(
                self._all.weights, stage.groups, stage.lane, few, config=self._all.config, blocking=blocking
            )
            drawing_GP = np.asarray(stage.lane.drawing_GP)
        ended = []
        for place, n in stage.at.items():
            work = self._works[place]
            if work is not None and not drawing_GP[n].any():
                ended.append((work, self._result(place, work.request)))
                self._works[place] = None
        self._narrow(drawing_GP)
        return ended

    def drop(self, work: Work) -> None:
        """Forget a work."""
        place, stage = self._works.index(work), self._stages[-1]
        drawing_GP = stage.lane.drawing_GP.at[stage.at[place]].set(False)
        stage.lane = stage.lane._replace(drawing_GP=drawing_GP)
        self._works[place] = None
        self._narrow(np.asarray(drawing_GP))

    def _narrow(self, drawing_GP: np.ndarray) -> None:
        """Go on with those that are left, where a smaller lane holds them: fewer candidates of each group, and where
        these are the fewest, fewer groups. Nobody joins that one.
        """
        stage, (G, P) = self._stages[-1], drawing_GP.shape
        if not self._all.narrows:
            return
        if not any(self._works):
            del self._stages[1:]
            whole = self._stages[0]
            nobody_GP = np.zeros((self.places, self._P), bool)
            whole.lane = whole.lane._replace(step=np.zeros((), np.int32), drawing_GP=nobody_GP)
        else:
            size = min(P, padded_size(int(drawing_GP.sum(1).max()), CANDIDATES))
            places = [place for place in stage.at if self._works[place] is not None]
            count = min(G, padded_size(len(places), GROUPS)) if size == CANDIDATES[0] else G
            if (count, size) != (G, P):
                first = [stage.at[place] for place in places]
                kept_G = np.array([*first, *set(range(G)).difference(first)], np.int32)[:count]
                kept_GP = np.argsort(~drawing_GP[kept_G], axis=1, kind="stable")[:, :size].astype(np.int32)
                groups, lane = drawing.fewer(stage.groups, stage.lane, kept_G, kept_GP)
                self._stages.append(_Stage(groups, lane, {place: n for n, place in enumerate(places)}, kept_GP))

    def _result(self, place: int, draw: Draw) -> Drawn:
        *before, last = [(stage, stage.at[place]) for stage in self._stages]
        said = _said(last[0].lane, last[1])
        kept = [stage.kept_GP[n] for stage, n in (*before, last)[1:]]
        for (stage, n), kept_P in zip(before[::-1], kept[::-1], strict=True):
            whole = _said(stage.lane, n)
            for all_P, few_P in zip(whole, said, strict=True):
                all_P[kept_P] = few_P
            said = whole
        tokens, count, logprob, stopped = said
        size = padded_size(1 + int(count[: draw.n].max()), (32, self._T))
        own = drawing.leave(last[0].lane, np.int32(last[1]), size=size)
        for (stage, n), kept_P in zip(before[::-1], kept[::-1], strict=True):
            own = drawing.put_back(drawing.leave(stage.lane, np.int32(n), size=size), own, kept_P)
        candidates = [
            Candidate(tuple(tokens[i, : count[i]].tolist()), float(logprob[i]), bool(stopped[i])) for i in range(draw.n)
        ]
        return Drawn(candidates, own)


@dataclass
class _Stage:
    """Candidates that are drawn together. `at`: which group is that of a place of the lane; `kept_GP`: which ones of
    its candidates in the stage before these are.
    """

    groups: Group
    lane: drawing.Lane
    at: dict[int, int]
    kept_GP: np.ndarray


def _said(lane: drawing.Lane, place: int) -> tuple[np.ndarray, ...]:
    """Tokens [P, T], their counts, logprobs and whether they were stopped, of one group's candidates."""
    arrays = (lane.tokens_GPT, lane.count_GP, lane.logprob_GP, lane.stopped_GP)
    return tuple(np.array(np.asarray(array)[place]) for array in arrays)
