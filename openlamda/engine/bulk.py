"""Ratings of very many texts, packed as trees into rows (packing.py): a token sees its ancestors alone.

What a row gives does not depend on how many rows are computed together: two go side by side through the same compiled
code, always. Knows ids, nothing of dialogs. Axes: R rows, T tokens of a row, t of a block of queries, S keys, E last
tokens of a row's questions, X places of texts, Q questions, B 1, D model, H heads.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine.base import TextTree, Tokens
from openlamda.engine.decode import gaps_of
from openlamda.engine.packing import ROW_TEXTS, Rows, pack
from openlamda.model import transformer
from openlamda.model.attention import HIDDEN, attend, distance_buckets
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

BLOCK = 128  # queries that are attended from at once
SIDE_BY_SIDE = 2  # rows that do not wait for each other: many of XLA's operations keep only one core of a CPU busy


def rate_all(
    params: Params,
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
    places, rows = pack(trees, questions, SIDE_BY_SIDE)
    R = len(rows.tokens_RT)
    if not R:
        return np.zeros((0, len(questions)), np.float32)
    batch_rows = -(-batch_rows // SIDE_BY_SIDE) * SIDE_BY_SIDE
    rate = partial(rate_rows, params, yes=jnp.int32(yes), no=jnp.int32(no), config=config)
    gaps_RE: list[np.ndarray] = []
    for first in range(0, R, batch_rows):
        starts = range(first, min(first + batch_rows, R), SIDE_BY_SIDE)
        parts = [rate(Rows(*(cells[n : n + SIDE_BY_SIDE] for cells in rows))) for n in starts]  # not waited for
        gaps_RE += map(np.asarray, parts)
    gaps_RXQ = np.concatenate(gaps_RE).reshape(R, ROW_TEXTS, len(questions))
    return gaps_RXQ[places[:, 0], places[:, 1]]


@partial(jax.jit, static_argnames="config")
def rate_rows(params: Params, rows: Rows, yes: jax.Array, no: jax.Array, *, config: ModelConfig) -> jax.Array:
    """The gap after each last token of the questions [R, E], row by row: one compiled form whatever stands in them."""
    apart = (Rows(*(cells[r] for cells in rows)) for r in range(len(rows.tokens_RT)))
    return jnp.stack([gaps_of(params, _rate_row(params, row, config), yes, no) for row in apart])


def _rate_row(params: Params, row: Rows, config: ModelConfig) -> jax.Array:
    """Hidden states [E, D] of the questions' last tokens."""
    tokens_T, depth_T, run_T, branch_T, trunk_T, fork_T, end_E = map(jnp.asarray, row)
    T = len(tokens_T)
    distance_TT = depth_T[:, None] - depth_T
    sees_own_TT = ((run_T == run_T[:, None]) | (run_T == branch_T[:, None])) & (distance_TT >= 0)
    sees_trunk_TT = (run_T == trunk_T[:, None]) & (depth_T < fork_T[:, None])
    bucket_TT = jnp.asarray(distance_buckets(config))[jnp.clip(distance_TT, 0, config.max_distance)]
    bucket_TT = jnp.where(sees_own_TT | sees_trunk_TT, bucket_TT, config.num_buckets)
    bucket_TT = bucket_TT.astype(np.min_scalar_type(config.num_buckets))  # half the time of an int32

    def table(layer: Params) -> jax.Array:
        return jnp.pad(transformer.layer_bias(params, layer), ((0, 0), (0, 1)), constant_values=HIDDEN)

    def block(x_BTD: jax.Array, layer: Params):
        query, key, value = transformer.project(x_BTD, layer)
        mixed = []
        for start in range(0, T, BLOCK):
            end = min(start + BLOCK, T)
            bias_HtS = table(layer)[:, bucket_TT[start:end, :end]]
            mixed.append(attend(query[:, :, start:end], key[:, :, :end], value[:, :, :end], bias_HtS))
        return transformer.close_block(x_BTD, jnp.concatenate(mixed, axis=2), layer, config), None

    layers = transformer.layers(params)
    body, last = (jax.tree.map(lambda x, part=part: x[part], layers) for part in (slice(-1), -1))
    x_BTD, _ = jax.lax.scan(
        block, params["embed"][tokens_T][None], body, unroll=config.num_layers <= transformer.UNROLLED
    )
    query, key, value = transformer.project(x_BTD, last)  # nothing follows that would read the other tokens again
    mixed = attend(query[:, :, end_E], key, value, table(last)[:, bucket_TT[end_E]])
    x_BED = transformer.close_block(x_BTD[:, end_E], mixed, last, config)
    return transformer.rms_norm(x_BED, params["norm_final"])[0]
