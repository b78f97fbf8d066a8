"""What usually follows a draw, compiled while that is: questions after each candidate, a greedy query, a question after
a text. So a first start on a machine waits for fewer functions.

Knows shapes alone. Axes: S prefix, C candidates, T tokens kept of them, N nodes, D model.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import jax
import numpy as np
from jax.typing import DTypeLike

from openlamda.engine.base import Sampling
from openlamda.engine.guess_lane import READ, Greedy
from openlamda.engine.guessing import layer_of_guesses, likeliest_after
from openlamda.engine.layered import Layered
from openlamda.engine.reading import Cache, gaps_of_rows, layer_after_each, layer_of_tree
from openlamda.engine.sampling import Rules
from openlamda.model.config import ModelConfig

THREAD = "openlamda-ahead"  # its name


def after_draw(
    weights: Layered, config: ModelConfig, cache: Cache, sampling: Sampling, C: int, T: int, questions: int, nodes: int
) -> list[Callable[[], None]]:
    """The making of each function that follows a draw of C candidates after a prefix, in the order of need: so many
    `questions` after each of them, which said less than T tokens, and a tree of so many `nodes`.
    """
    dtype = cache.layers[0][0].dtype

    def array(*shape: int, dtype: DTypeLike = "int32") -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    def rows(count: int) -> jax.ShapeDtypeStruct:
        return array(1, count, config.d_model, dtype=dtype)

    def kept(*places: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
        one = array(config.num_heads, *places, config.d_head, dtype=dtype)
        return one, one

    def seen(*shapes: tuple[int, ...]) -> tuple[jax.ShapeDtypeStruct, ...]:
        return tuple(array(*shape, dtype=np.min_scalar_type(config.num_buckets)) for shape in shapes)

    top, layer, prefix, number = weights.top, weights.kept[0], cache.layers[0], array()
    guessed, rules = Greedy(cache, (), sampling).shape[2], Rules.of([sampling], config.vocab_size)
    X, N, S = C * questions, nodes, cache.size
    each = array(X), *seen((T + questions, S), (C, questions, T), (1, questions, questions))
    guesses, tree = seen((READ, S), (READ, guessed)), seen((N, S), (N, N))
    given = kept(guessed), guesses, number
    return [
        partial(layer_after_each.prepare, layer, rows(X), prefix, kept(C, T), each, config=config),
        partial(gaps_of_rows.prepare, top, rows(X), number, number),
        partial(layer_of_guesses.prepare, layer, rows(READ), prefix, *given, config=config),
        partial(likeliest_after.prepare, top, rows(READ), number, rules),
        partial(layer_of_tree.prepare, layer, rows(N), prefix, tree, config=config),
        partial(gaps_of_rows.prepare, top, rows(N), number, number),
    ]


def beside(works: list[Callable[[], None]]) -> None:
    """Do one after another in a thread of its own, as long as the process goes on."""

    def run() -> None:
        for work in works:
            if threading.main_thread().is_alive():  # else the process ends, which must not meet XLA at work
                with suppress(Exception):  # whoever needs it makes it again, and tells
                    work()

    threading.Thread(target=run, name=THREAD).start()
