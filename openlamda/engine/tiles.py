"""Attention of a packed row (packing.py) to itself: of all pairs of tiles, queries of one and keys of another, those
alone in which a token sees anything. Most tokens of a row do not see each other.

Axes: T tokens of a row, I tiles of queries, J tiles of keys, P pairs of tiles, t queries of a tile, s keys of a tile,
H heads, K head size.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import or_
from typing import NamedTuple

import jax
import jax.numpy as jnp

from openlamda.model.attention import HIDDEN

TILE = 64
BLOCK = 128  # queries that are attended from at once, where there are no tiles


class Pairs(NamedTuple):
    """The first tokens of pairs of tiles [P]; the first `seen` are seen, one tile of queries after the other."""

    queries_P: jax.Array
    keys_P: jax.Array
    seen: jax.Array


def pairs_of(spans: Sequence[tuple[jax.Array, jax.Array]]) -> Pairs:
    """The pairs of tiles in which any query sees any key; of a query's spans the first places [T], and those after the
    last ones.
    """
    first_J = jnp.arange(0, len(spans[0][0]), TILE)
    meets = ((start_T[:, None] < first_J + TILE) & (end_T[:, None] > first_J) for start_T, end_T in spans)
    seen_TJ = reduce(or_, meets)
    seen_IJ = seen_TJ.reshape(len(first_J), TILE, len(first_J)).any(1)
    most = len(first_J) * (len(first_J) + 1) // 2  # nothing sees what comes later
    queries_P, keys_P = jnp.nonzero(seen_IJ, size=most)
    return Pairs(TILE * queries_P, TILE * keys_P, seen_IJ.sum())


def attend_tiles(
    query_HTK: jax.Array,
    key_HTK: jax.Array,
    value_HTK: jax.Array,
    bias_of: Callable[[jax.Array], jax.Array],
    bucket_TT: jax.Array,
    pairs: Pairs,
) -> jax.Array:
    """Softmax attention [H, T, K] float32. `bias_of` the buckets [t, s] of some queries and keys is their bias
    [H, t, s], HIDDEN where a key may not be seen. What was summed up of a query's earlier keys is scaled as its highest
    logit rises (Milakov and Gimelshein 2018, arXiv 1805.02867).
    """
    H, T, K = query_HTK.shape
    cut, put = jax.lax.dynamic_slice_in_dim, jax.lax.dynamic_update_slice_in_dim

    def add(p: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        at, key_at = pairs.queries_P[p], pairs.keys_P[p]
        query_HtK = cut(query_HTK, at, TILE, axis=1)
        key_HsK, value_HsK = (cut(x, key_at, TILE, axis=1) for x in (key_HTK, value_HTK))
        before_Ht, total_Ht, mixed_HtK = (cut(x, at, TILE, axis=1) for x in sums)
        bucket_ts = jax.lax.dynamic_slice(bucket_TT, (at, key_at), (TILE, TILE))
        logits_Hts = times(query_HtK, key_HsK.swapaxes(1, 2)) + bias_of(bucket_ts)
        most_Ht = jnp.maximum(before_Ht, logits_Hts.max(-1))
        weights_Hts, scale_Ht = jnp.exp(logits_Hts - most_Ht[..., None]), jnp.exp(before_Ht - most_Ht)
        total_Ht = total_Ht * scale_Ht + weights_Hts.sum(-1)
        mixed_HtK = mixed_HtK * scale_Ht[..., None] + times(weights_Hts.astype(value_HsK.dtype), value_HsK)
        found = most_Ht, total_Ht, mixed_HtK
        return tuple(put(x, part, at, axis=1) for x, part in zip(sums, found, strict=True))

    none = jnp.full((H, T), HIDDEN), jnp.zeros((H, T)), jnp.zeros((H, T, K))
    _, total_HT, mixed_HTK = jax.lax.fori_loop(0, pairs.seen, add, none)
    return mixed_HTK / total_HT[..., None]


def attend_blocks(
    query_HTK: jax.Array,
    key_HTK: jax.Array,
    value_HTK: jax.Array,
    bias_of: Callable[[jax.Array], jax.Array],
    bucket_TT: jax.Array,
) -> jax.Array:
    """As `attend_tiles`, block after block of queries, each to all keys up to its own end: few large products, as other
    devices are quick at.
    """
    mixed, T = [], len(bucket_TT)
    for start in range(0, T, BLOCK):
        end = min(start + BLOCK, T)
        block = query_HTK[:, start:end], key_HTK[:, :end], value_HTK[:, :end]
        mixed.append(attend_once(*block, bias_of(bucket_TT[start:end, :end])))
    return jnp.concatenate(mixed, axis=1)


def attend_once(query_HtK: jax.Array, key_HsK: jax.Array, value_HsK: jax.Array, bias_Hts: jax.Array) -> jax.Array:
    """Softmax attention [H, t, K] float32 of all queries to all keys."""
    weights_Hts = jax.nn.softmax(times(query_HtK, key_HsK.swapaxes(1, 2)) + bias_Hts)
    return times(weights_Hts.astype(value_HsK.dtype), value_HsK)


def times(x: jax.Array, y: jax.Array) -> jax.Array:
    """Products [H, t, O] float32 of x [H, t, I] and y [H, I, O]. Of bfloat16 head after head on a CPU: so its
    instructions for bfloat16 serve, which XLA does not use for several products at once.
    """
    product = partial(jnp.matmul, preferred_element_type=jnp.float32)
    if x.dtype == jnp.float32 or jax.default_backend() != "cpu":
        return product(x, y)
    return jnp.stack([product(*pair) for pair in zip(x, y, strict=True)])
