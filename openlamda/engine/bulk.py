"""Ratings of very many texts, packed as trees into rows (packing.py): a token sees its ancestors alone.

Each row is a computation of its own by the same compiled code, so its bits are the same in any company. Several are
under way at once, since some of XLA's operations keep only one core of a CPU busy. Knows ids, nothing of dialogs.
Axes: R rows, T tokens of a row, t some queries, s some keys, X places of texts, Q questions, E X times Q, B 1, D model,
H heads, K head size.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from operator import or_

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine.base import TextTree, Tokens
from openlamda.engine.compiled import compiled
from openlamda.engine.layered import Layered
from openlamda.engine.packing import Rows, pack
from openlamda.engine.reading import bias_of, gaps_of, seen_by
from openlamda.engine.tiles import attend_blocks, attend_once, attend_tiles, pairs_of
from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

AT_ONCE = (os.cpu_count() or 1) + 1  # rows at most; one more than cores, so that none is idle


def rate_all(
    weights: Layered,
    config: ModelConfig,
    trees: Sequence[TextTree],
    questions: Sequence[Tokens],
    yes: int,
    no: int,
    batch_rows: int,
) -> np.ndarray:
    """Logit of `yes` less that of `no` after each branch of each tree and each question, float32 [branches, questions].

    The same for any `batch_rows`, bit for bit. ValueError for what `pack` refuses.
    """
    places, rows = pack(trees, questions)
    rate = partial(rate_row, weights, np.int32(yes), np.int32(no), config=config)
    with ThreadPoolExecutor(min(batch_rows, AT_ONCE)) as threads:
        gaps_RXQ = list(threads.map(lambda *cells: np.asarray(rate(Rows(*cells))), *rows))
    if not gaps_RXQ:
        return np.zeros((0, len(questions)), np.float32)
    return np.stack(gaps_RXQ)[places[:, 0], places[:, 1]]


@compiled(static=("config",))
def rate_row(weights: Layered, yes: jax.Array, no: jax.Array, row: Rows, *, config: ModelConfig) -> jax.Array:
    """The gap after each question of the texts at each place of a row [X, Q]."""
    last, end_E = weights.layers[-1], row.end_RXQ.reshape(-1)
    on_cpu = jax.default_backend() == "cpu"
    low = on_cpu and last["query"].dtype == jnp.bfloat16
    bucket_TT = buckets_of(row, config)
    pairs = pairs_of(spans(row))

    def factors(x_BTD: jax.Array, layer: Params) -> tuple[jax.Array, jax.Array, jax.Array]:
        query, key, value = (part[0] for part in transformer.project(x_BTD, layer))
        dtype = jnp.bfloat16 if low else query.dtype
        return query.astype(dtype), key.astype(dtype), value.astype(dtype)

    def block(x_BTD: jax.Array, layer: Params) -> jax.Array:
        query, key, value = factors(x_BTD, layer)
        bias = partial(bias_of, layer)
        if on_cpu:
            mixed_HTK = attend_tiles(query, key, value, bias, bucket_TT, pairs)
        else:
            mixed_HTK = attend_blocks(query, key, value, bias, bucket_TT)
        return transformer.close_block(x_BTD, mixed_HTK.astype(x_BTD.dtype)[None], layer, config)

    x_BTD = transformer.embedded(weights.top, row.tokens_RT)[None]
    for layer in weights.layers[:-1]:
        x_BTD = block(x_BTD, layer)
    asked_BED = x_BTD[:, end_E]  # nothing follows the last layer that would read the other tokens again
    (query, _, _), (_, key, value) = factors(asked_BED, last), factors(x_BTD, last)
    mixed_HEK = attend_once(query, key, value, bias_of(last, bucket_TT[end_E]))
    x_BED = transformer.close_block(asked_BED, mixed_HEK.astype(x_BTD.dtype)[None], last, config)
    hidden_XQD = transformer.rms_norm(x_BED, weights.top["norm_final"]).reshape(*row.end_RXQ.shape, -1)
    return gaps_of(weights.top, hidden_XQD, yes, no)


def buckets_of(row: Rows, config: ModelConfig) -> jax.Array:
    """Of each token's distance to each other one, as `seen_by` has them [T, T]."""
    place_T, depth_T = jnp.arange(len(row.tokens_RT)), jnp.asarray(row.depth_RT)
    seen = ((start_T[:, None] <= place_T) & (place_T < end_T[:, None]) for start_T, end_T in spans(row))
    return seen_by(depth_T, depth_T, reduce(or_, seen), config)


def spans(row: Rows) -> list[tuple[jax.Array, jax.Array]]:
    """What each token sees: the first places [T] of three spans, and those after their last ones."""
    after_T = jnp.arange(1, len(row.own_RT) + 1)
    bounds = (row.own_RT, after_T), (row.branch_RT, row.branch_end_RT), (row.trunk_RT, row.trunk_end_RT)
    return [(jnp.asarray(start_T), jnp.asarray(end_T)) for start_T, end_T in bounds]
