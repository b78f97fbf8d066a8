"""Lanes of the local engine: which groups of candidates are drawn together, and what comes of them.

On a CPU a group has a lane of its own, and each core runs one: a step of a few candidates is too small to be shared by
cores. Elsewhere a step reads all weights from memory whoever is drawn, so groups share a lane.
"""

import os
import weakref
from collections import Counter, deque
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from openlamda.engine import drawing, scheduler
from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.drawing import Group
from openlamda.engine.layered import Layered
from openlamda.engine.padding import padded_size
from openlamda.engine.reading import Cache, KeysValues
from openlamda.engine.sampling import Rules, uniforms
from openlamda.engine.scheduler import Work
from openlamda.model.config import ModelConfig
from openlamda.model.weights import multiplies_bfloat16

CANDIDATES = (4, 8, 16)  # of a group; a group alone becomes one of 4 when so few are left
STEPS_KEPT = (16, 80, 320, 1280)
SAID = (32,)  # places of a drawn group's candidates that are kept, or all
KEPT = 6  # lanes that are not in use
OFTEN = 6  # times that a size was wanted beside a larger one, before it pays to compile it


def usual_lanes(mesh: Mesh | None = None) -> tuple[int, int]:
    """How many groups are drawn in one step, and how many computations are under way: on a CPU one, and as many as
    cores with AMX, half as many without, since a product of float32 keeps two busy; elsewhere 16 and two. One, where it
    is split over devices.
    """
    if jax.default_backend() != "cpu":
        return 16, 1 if mesh else 2
    return 1, 1 if mesh else cores() if multiplies_bfloat16() else max(1, cores() // 2)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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

    def lane(self, lanes: "Lanes") -> "Lane":
        """A lane for it and its like."""
        return Lane(lanes, self.shape)


class Drawn(NamedTuple):
    """Candidates, and the keys and values [H, P, T, K] of the prefix's last token and all that they said after it."""

    candidates: list[Candidate]
    own: tuple[KeysValues, ...]


def group_of(
    cache: Cache, prefix: Tokens, sampling: Sampling, seed: int, first: int, P: int, draws: int, vocab_size: int
) -> Group:
    """P candidates of a seed, numbered from `first` on, after `prefix`, of which `cache` holds all but the last token;
    each draws at most `draws` tokens.
    """
    text = np.zeros(cache.size + 1, np.int32)
    text[: len(prefix)] = prefix
    limits = np.array((sampling.max_tokens, sampling.block_ngram, sampling.context_block_ngram), np.int32)
    rules = Rules.of([sampling] * P, vocab_size)
    uniform_PTU = jnp.asarray(uniforms(seed, first, P, draws))
    return Group(cache.layers, cache.length, jnp.asarray(text), uniform_PTU, rules, *limits)


class AnyLane(scheduler.Lane, Protocol):
    """A lane of draws, or of searches (search_lane.py): works of one shape."""

    shape: tuple[int | str, ...]


class Lanes:
    """The lanes of one model that are not in use. `groups`: how many groups share a lane."""

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
        self._idle: deque[AnyLane] = deque(maxlen=kept)
        self._wanted: Counter[tuple[int, ...]] = Counter()

    def take(self, work: Work) -> AnyLane:
        """An empty lane that fits the work; one for more candidates, if there is one, while its own would not pay."""
        shape, idle = work.request.shape, list(self._idle)
        fitting = [lane for lane in idle if lane.shape == shape]
        if not fitting and isinstance(work.request, Draw):
            larger = [lane for lane in idle if isinstance(lane, Lane) and lane.holds(*shape)]
            if larger and not self.pays(shape, wanted=True):
                fitting = larger
        for lane in fitting:
            with suppress(ValueError):  # another thread may have taken it
                self._idle.remove(lane)
                return lane
        return work.request.lane(self)

    def pays(self, shape: tuple[int, ...], *, wanted: bool = False) -> bool:
        """Whether it pays to compile a shape in whose place a larger one can serve; `wanted`: it is wanted once more.
        To compile one takes seconds, and saves milliseconds at a time.
        """
        self._wanted[shape] += wanted
        return self._wanted[shape] >= OFTEN

    def give_back(self, lane: AnyLane) -> None:
        """Keep a lane for the next group of its shape, in place of the one that was given back first."""
        self._idle.append(lane)


class Lane:
    """Groups of P candidates, prefixes of S tokens, T steps kept."""

    def __init__(self, lanes: Lanes, shape: tuple[int, int, int]):
        self.shape: tuple[int | str, ...] = shape
        self._all = weakref.proxy(lanes)  # which keeps idle ones: a cycle would hold the weights
        self._P, self._S, self._T = shape
        self._works: list[Work | None] = [None] * lanes.groups
        self._stages: list[_Stage] = []  # the whole lane, and of a group alone those that are left, fewer and fewer

    def fits(self, work: Work) -> bool:
        """Whether there is room for a work."""
        return None in self._works and self.shape == work.request.shape

    def holds(self, P: int, S: int, T: int) -> bool:
        """Whether there is room for a work of so many candidates or fewer."""
        return self._P >= P and (self._S, self._T) == (S, T)

    def join(self, work: Work) -> None:
        """Draw the candidates of a work, from the next step on."""
        draw: Draw = work.request
        place = self._works.index(None)
        vocab_size = self._all.config.vocab_size
        group = group_of(draw.cache, draw.prefix, draw.sampling, draw.seed, draw.first, self._P, self._T, vocab_size)
        if self._stages:
            (stage,) = self._stages
            groups, lane = stage.groups, stage.lane
        else:
            groups = None
            G, mesh = len(self._works), self._all.weights.mesh
            lane = drawing.empty_lane(
                config=self._all.config, G=G, P=self._P, T=self._T, dtype=self._all.dtype, mesh=mesh
            )
        others = groups if len(self._works) > 1 else None
        last, wanted = np.int32(draw.prefix[-1]), np.int32(draw.n)
        groups, lane = drawing.join(others, lane, np.int32(place), group, last, wanted)
        self._stages = [_Stage(groups, lane)]
        self._works[place] = work

    def step(self) -> list[tuple[Work, Drawn]]:
        """Draw up to drawing.STEPS tokens of each candidate; the works all of whose candidates have ended."""
        stage = self._stages[-1]
        samplings = [work.request.sampling for work in self._works if work is not None]
        blocking = any(sampling.block_ngram or sampling.context_block_ngram for sampling in samplings)
        alone, P = len(self._works) == 1, stage.lane.last_GP.shape[1]
        smaller = [size for size in CANDIDATES if alone and size < P and self._all.pays((size, self._S, self._T))]
        few = np.int32(max(smaller, default=0))  # a group alone goes on in a smaller lane as soon as one holds it
        options = {"config": self._all.config, "blocking": blocking}
        with self._all.turns:
            stage.lane = drawing.advance(self._all.weights, stage.groups, stage.lane, few, **options)
            drawing_GP = np.asarray(stage.lane.drawing_GP)
        ended = []
        for place, work in enumerate(self._works):
            if work is not None and not drawing_GP[place].any():
                ended.append((work, self._result(place, work.request)))
                self._leave(place)
        if not ended and alone:
            self._narrow(stage, drawing_GP[0])
        return ended

    def drop(self, work: Work) -> None:
        """Forget a work."""
        place = self._works.index(work)
        self._leave(place)
        (stage,) = self._stages
        stage.lane = stage.lane._replace(drawing_GP=stage.lane.drawing_GP.at[place].set(False))

    def _leave(self, place: int) -> None:
        self._works[place] = None
        del self._stages[1:]

    def _narrow(self, stage: "_Stage", drawing_P: np.ndarray) -> None:
        """Go on with those that are left, where a smaller lane holds them."""
        sizes = [size for size in CANDIDATES if drawing_P.sum() <= size < len(drawing_P)]
        size = next((size for size in sizes if self._all.pays((size, self._S, self._T), wanted=True)), None)
        if size is not None:
            kept_P = np.argsort(~drawing_P, kind="stable")[:size].astype(np.int32)
            groups, lane = drawing.fewer(stage.groups, stage.lane, kept_P)
            self._stages.append(_Stage(groups, lane, kept_P))

    def _result(self, place: int, draw: Draw) -> Drawn:
        said = _said(self._stages[-1].lane, place)
        for before, stage in zip(self._stages[-2::-1], self._stages[:0:-1], strict=True):
            whole = _said(before.lane, place)
            for all_P, few_P in zip(whole, said, strict=True):
                all_P[stage.kept_P] = few_P
            said = whole
        tokens, count, logprob, stopped = said
        size = padded_size(1 + int(count[: draw.n].max()), (*SAID, self._T))
        own = drawing.leave(self._stages[-1].lane, np.int32(place), size=size)
        for before, stage in zip(self._stages[-2::-1], self._stages[:0:-1], strict=True):
            own = drawing.put_back(drawing.leave(before.lane, np.int32(place), size=size), own, stage.kept_P)
        candidates = [
            Candidate(tuple(tokens[i, : count[i]].tolist()), float(logprob[i]), bool(stopped[i])) for i in range(draw.n)
        ]
        return Drawn(candidates, own)


@dataclass
class _Stage:
    """Candidates that are drawn together, and of a later stage their places in the one before."""

    groups: Group
    lane: drawing.Lane
    kept_P: np.ndarray | None = None


def _said(lane: drawing.Lane, place: int) -> tuple[np.ndarray, ...]:
    """Tokens [P, T], their counts, logprobs and whether they were stopped, of one group's candidates."""
    arrays = (lane.tokens_GPT, lane.count_GP, lane.logprob_GP, lane.stopped_GP)
    return tuple(np.array(np.asarray(array)[place]) for array in arrays)
