"""What a first draw needs and what usually follows it, compiled beside each other while its prefix is read: else a
first start would wait for one function after the other.

The same calls as the engine makes, in which shapes stand for arrays (compiled.py). Axes: S prefix, P candidates, N
nodes, D model.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from openlamda.engine import drawing
from openlamda.engine.base import Sampling
from openlamda.engine.drawing import Group, Lane
from openlamda.engine.guess_lane import READ
from openlamda.engine.guessing import verify
from openlamda.engine.lanes import SAID, Draw, Lanes, group_of
from openlamda.engine.reading import Cache, gaps_after_each, gaps_of_rows, grown, logprobs_of, through
from openlamda.engine.sampling import Rules

THREAD = "openlamda-ahead"  # its name
Work = Callable[[], object]


def array(*shape: int, dtype: DTypeLike = jnp.int32) -> Any:
    """What stands for an array."""
    return jax.ShapeDtypeStruct(shape, dtype)


def request(lanes: Lanes, S: int, P: int, sampling: Sampling) -> Draw:
    """A request for P candidates after a prefix that is padded to S, as it will be."""
    one = array(lanes.config.num_heads, S, lanes.config.d_head, dtype=lanes.dtype)
    return Draw(Cache(((one, one),) * lanes.config.num_layers, array()), (0,), P, 0, sampling, 0)


def content(lanes: Lanes, draw: Draw) -> tuple[Group, Lane]:
    """What a lane will hold that draws it."""
    (P, _, T), G, config = draw.shape, lanes.groups, lanes.config
    group = group_of(draw.cache, draw.prefix, draw.sampling, draw.seed, draw.first, P, T, config.vocab_size)
    empty = partial(drawing.empty, config=config, G=G, P=P, T=T, dtype=lanes.dtype)
    return jax.eval_shape(partial(drawing.repeat, G=G), group), jax.eval_shape(empty)


def to_draw(lanes: Lanes, draw: Draw) -> None:
    """Make what draws its tokens, which takes longest of all."""
    blocking = bool(draw.sampling.block_ngram or draw.sampling.context_block_ngram)
    drawing.advance(lanes.weights, *content(lanes, draw), np.int32(0), config=lanes.config, blocking=blocking)


def after_draw(lanes: Lanes, draw: Draw, questions: int, nodes: int) -> list[Work]:
    """The making of each thing that follows a draw, in the order of need: `questions` after each candidate, which said
    less than SAID tokens; the logprobs of single tokens; a greedy query; questions after a text, a tree of so many
    `nodes`.
    """
    weights, config, cache, number, N = lanes.weights, lanes.config, draw.cache, array(), nodes
    top, (P, S, _) = weights.top, draw.shape

    def rate() -> None:
        own = drawing.leave(content(lanes, draw)[1], number, size=SAID[0])
        tree = array(P, questions), array(questions), array(questions, questions, dtype=bool)
        gaps_after_each(weights, cache, own, array(P), *tree, number, number, config=config)

    def query() -> None:
        rules = Rules.of([draw.sampling], config.vocab_size)
        _, _, read_now = verify(weights, cache, number, array(READ), rules, config=config)
        grown(top, cache, *read_now, number, size=S)

    def ask() -> None:
        x_BND, _, _ = through(weights, cache, array(N), array(N), array(N, N, dtype=bool), config)
        gaps_of_rows(top, x_BND, number, number)

    return [
        rate,
        lambda: logprobs_of(top, array(1, config.d_model, dtype=lanes.dtype), array(N), array(N)),
        query,
        ask,
    ]


def beside(works: Sequence[Work]) -> None:
    """Do one after another in a thread of its own, as long as the process goes on."""

    def run() -> None:
        for work in works:
            if threading.main_thread().is_alive():  # else the process ends, which must not meet XLA at work
                with suppress(Exception):  # whoever needs it makes it again, and tells
                    work()

    threading.Thread(target=run, name=THREAD).start()
