"""Ratings of very many texts, packed as trees into rows (packing.py): a token sees its ancestors alone.

Each row is a computation of its own by the same compiled code, so its bits are the same in any company. Rows do not
wait for each other, since some of XLA's operations keep only one core of a CPU busy. Knows ids, nothing of dialogs.
Axes: R rows, T tokens of a row, t of a block of queries, S keys, X places of texts, Q questions, E X times Q, B 1,
D model, H heads.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine.base import TextTree, Tokens
from openlamda.engine.compiled import compiled
from openlamda.engine.layered import Layered
from openlamda.engine.packing import Rows, pack
from openlamda.engine.reading import gaps_of
from openlamda.model import transformer
from openlamda.model.attention import HIDDEN, attend, distance_buckets
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

BLOCK = 128  # queries that are attended from at once


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
    gaps_RXQ: list[jax.Array] = []
    for n in range(len(rows.tokens_RT)):
        if n >= batch_rows:
            gaps_RXQ[n - batch_rows].block_until_ready()
        gaps_RXQ.append(rate(Rows(*(cells[n] for cells in rows))))  # not waited for
    if not gaps_RXQ:
        return np.zeros((0, len(questions)), np.float32)
    return np.stack([np.asarray(gaps_XQ) for gaps_XQ in gaps_RXQ])[places[:, 0], places[:, 1]]


@compiled(static=("config",))
def rate_row(weights: Layered, yes: jax.Array, no: jax.Array, row: Rows, *, config: ModelConfig) -> jax.Array:
    """The gap after each question of the texts at each place of a row [X, Q]."""
    tokens_T, depth_T, run_T, branch_T, trunk_T, fork_T, end_XQ = row
    last = weights.layers[-1]
    end_E = end_XQ.reshape(-1)
    T = len(tokens_T)
    distance_TT = depth_T[:, None] - depth_T
    sees_own_TT = ((run_T == run_T[:, None]) | (run_T == branch_T[:, None])) & (distance_TT >= 0)
    sees_trunk_TT = (run_T == trunk_T[:, None]) & (depth_T < fork_T[:, None])
    bucket_TT = jnp.asarray(distance_buckets(config))[jnp.clip(distance_TT, 0, config.max_distance)]
    bucket_TT = jnp.where(sees_own_TT | sees_trunk_TT, bucket_TT, config.num_buckets)
    bucket_TT = bucket_TT.astype(np.min_scalar_type(config.num_buckets))  # half the time of an int32

    low = last["query"].dtype == jnp.bfloat16 and jax.default_backend() == "cpu"
    attended = attend_by_head if low else attend

    def bias_of(layer: Params, bucket_tS: jax.Array) -> jax.Array:
        table_HR = jnp.pad(layer["relative_bias"], ((0, 0), (0, 1)), constant_values=HIDDEN)
        return table_HR.at[:, bucket_tS].get(mode="promise_in_bounds")

    def block(x_BTD: jax.Array, layer: Params) -> jax.Array:
        query, key, value = transformer.project(x_BTD, layer)
        mixed = []
        for start in range(0, T, BLOCK):
            end = min(start + BLOCK, T)
            bias_HtS = bias_of(layer, bucket_TT[start:end, :end])
            mixed_BHtK = attended(query[:, :, start:end], key[:, :, :end], value[:, :, :end], bias_HtS)
            mixed.append(mixed_BHtK.swapaxes(1, 2))  # as the product that follows reads them
        mixed_BHTK = jnp.concatenate(mixed, axis=1).swapaxes(1, 2)
        return transformer.close_block(x_BTD, mixed_BHTK, layer, config)

    x_BTD = transformer.embedded(weights.top, tokens_T)[None]
    for layer in weights.layers[:-1]:
        x_BTD = block(x_BTD, layer)
    asked_BED = x_BTD[:, end_E]  # nothing follows the last layer that would read the other tokens again
    (query, _, _), (_, key, value) = transformer.project(asked_BED, last), transformer.project(x_BTD, last)
    mixed = attended(query, key, value, bias_of(last, bucket_TT[end_E]))
    x_BED = transformer.close_block(asked_BED, mixed, last, config)
    hidden_XQD = transformer.rms_norm(x_BED, weights.top["norm_final"]).reshape(*end_XQ.shape, -1)
    return gaps_of(weights.top, hidden_XQD, yes, no)


def attend_by_head(query_BHtK: jax.Array, key_BHSK: jax.Array, value_BHSK: jax.Array, bias_HtS: jax.Array) -> jax.Array:
    """As `attend`, of factors rounded to bfloat16, head after head: so a CPU's instructions for bfloat16 serve, which
    XLA does not for several products at once.
    """
    mixed = []
    for query_tK, key_SK, value_SK, bias_tS in zip(
        *(x_BHTK[0].astype(jnp.bfloat16) for x_BHTK in (query_BHtK, key_BHSK, value_BHSK)), bias_HtS, strict=True
    ):
        logits_tS = jnp.einsum("tk,sk->ts", query_tK, key_SK, preferred_element_type=jnp.float32) + bias_tS
        weights_tS = jnp.exp(logits_tS - logits_tS.max(-1, keepdims=True))
        product_tK = jnp.dot(weights_tS.astype(jnp.bfloat16), value_SK, preferred_element_type=jnp.float32)
        mixed.append(product_tK / weights_tS.sum(-1, keepdims=True))
    return jnp.stack(mixed, axis=1)[None].swapaxes(1, 2).astype(query_BHtK.dtype)
