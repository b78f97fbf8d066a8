"""What the model makes of given tokens: a prefix read after a cached one, a tree of tokens after it, and a tree after
each of several continuations.

A prefix is read once, whatever follows it: its keys and values are shared, one softmax goes over both. Axes: C
continuations, N nodes of a tree, T tokens of a continuation, S prefix, D model, H heads, K head size, V vocabulary,
X any, B 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from openlamda.engine.compiled import compiled
from openlamda.engine.layered import Layered
from openlamda.engine.prefixes import BLOCK
from openlamda.model import transformer
from openlamda.model.attention import HIDDEN, bias_of_distance
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.products import times_each

Array = jax.Array | np.ndarray
KeysValues = tuple[jax.Array, jax.Array]


class Cache(NamedTuple):
    """Keys and values [H, S, K] of a prefix for each layer, padded to S; the first `length` positions count."""

    layers: tuple[KeysValues, ...]
    length: jax.Array  # int32[]

    @property
    def size(self) -> int:
        """S."""
        return self.layers[0][0].shape[1]


@compiled(static=("size", "config", "dtype"))
def read(
    weights: Layered,
    known: Cache | Sequence[jax.Array],
    length: ArrayLike,
    tokens_N: ArrayLike,
    count: ArrayLike,
    *,
    size: int,
    config: ModelConfig,
    dtype: str,
) -> tuple[Cache, jax.Array, list[jax.Array]]:
    """The cache, padded to `size`, of what is known of a prefix and the first `count` of some more tokens; the hidden
    state [D] after the last of these; and the whole blocks [L, 2, H, BLOCK, K] of them.

    Known is a cache, or blocks that follow one another; the first `length` tokens of it count.
    """
    before = known if isinstance(known, Cache) else _join_blocks(known, jnp.asarray(length), config, dtype)
    tokens_N = jnp.asarray(tokens_N)
    N = len(tokens_N)
    hidden_ND, layers = extend(weights, before, tokens_N, jnp.arange(N), jnp.tri(N, dtype=bool), config=config)

    def append(old_HSK: jax.Array, new_HNK: jax.Array) -> jax.Array:
        H, S, K = old_HSK.shape
        room = jnp.zeros((H, max(size, S) + N, K), old_HSK.dtype).at[:, :S].set(old_HSK)
        return jax.lax.dynamic_update_slice(room, new_HNK, (0, before.length, 0))[:, :size]

    cache = Cache(jax.tree.map(append, before.layers, layers), before.length + count)
    last_D = hidden_ND[jnp.maximum(count - 1, 0)]
    whole = jnp.stack([jnp.stack(layer) for layer in layers])
    return cache, last_D, [whole[:, :, :, start : start + BLOCK] for start in range(0, N - BLOCK + 1, BLOCK)]


@compiled(static=("config", "dtype"))
def join_blocks(blocks: Sequence[jax.Array], length: ArrayLike, *, config: ModelConfig, dtype: str) -> Cache:
    """The cache of blocks that follow one another, of which the first `length` tokens count."""
    return _join_blocks(blocks, jnp.asarray(length), config, dtype)


def _join_blocks(blocks: Sequence[jax.Array], length: jax.Array, config: ModelConfig, dtype: str) -> Cache:
    if not blocks:
        nothing = jnp.zeros((config.num_heads, 0, config.d_head), dtype)
        return Cache(((nothing, nothing),) * config.num_layers, length)
    whole = jnp.concatenate(blocks, axis=3)
    return Cache(tuple((layer[0], layer[1]) for layer in whole), length)


@compiled(static=("config",))
def extend(
    weights: Layered,
    cache: Cache,
    tokens_N: jax.Array,
    depth_N: jax.Array,
    visible_NN: jax.Array,
    *,
    config: ModelConfig,
) -> tuple[jax.Array, tuple[KeysValues, ...]]:
    """Read a tree of tokens after a prefix: hidden states [N, D] and the tree's own keys and values [H, N, K].

    Node i stands at position length + depth_N[i] and sees the prefix and the nodes where visible_NN[i] is true:
    itself and its ancestors. A chain is a tree, so this reads prefixes, too.
    """
    place_S = jnp.arange(cache.size)

    @jax.jit  # traced once for all layers
    def block(x_BND: jax.Array, layer: Params, prefix: KeysValues) -> tuple[jax.Array, KeysValues]:
        query_HNK, key_HNK, value_HNK = (part[0] for part in transformer.project(x_BND, layer))
        table_HR = layer["relative_bias"]
        to_prefix = bias_seen(table_HR, cache.length + depth_N, place_S, place_S < cache.length, config)
        to_own = bias_seen(table_HR, depth_N, depth_N, visible_NN, config)
        mixed_HNK = attend_to(query_HNK, (*prefix, to_prefix), (key_HNK, value_HNK, to_own))
        return transformer.close_block(x_BND, mixed_HNK[None], layer, config), (key_HNK, value_HNK)

    x_BND = transformer.embedded(weights.top, tokens_N)[None]
    kept = []
    for layer, prefix in zip(weights.layers, cache.layers, strict=True):
        x_BND, read_now = block(x_BND, layer, prefix)
        kept.append(read_now)
    return transformer.rms_norm(x_BND[0], weights.top["norm_final"]), tuple(kept)


@compiled(static=("config",))
def gaps_after(
    weights: Layered,
    cache: Cache,
    tokens_N: jax.Array,
    depth_N: jax.Array,
    visible_NN: jax.Array,
    yes: Array,
    no: Array,
    *,
    config: ModelConfig,
) -> jax.Array:
    """The gap [N] after each node of a tree that `extend` would read."""
    hidden_ND, _ = extend(weights, cache, tokens_N, depth_N, visible_NN, config=config)
    return gaps_of(weights.top, hidden_ND, yes, no)


@compiled(static=("config",))
def gaps_after_each(
    weights: Layered,
    cache: Cache,
    own: tuple[KeysValues, ...],
    length_C: jax.Array,
    tokens_CN: jax.Array,
    depth_N: jax.Array,
    visible_NN: jax.Array,
    yes: Array,
    no: Array,
    *,
    config: ModelConfig,
) -> jax.Array:
    """Read a tree of tokens after each of C continuations of the prefix: the gap [C, N] after each node.

    `own`: keys and values [H, C, T, K] of the continuations for each layer, of which the first length_C[c] positions
    count. The trees are alike but for their tokens.
    """
    (C, N), T = tokens_CN.shape, own[0][0].shape[2]
    place_S, place_T = jnp.arange(cache.size), jnp.arange(T)
    after_CN = length_C[:, None] + depth_N

    @jax.jit  # traced once for all layers
    def block(x_BXD: jax.Array, layer: Params, prefix: KeysValues, said: KeysValues) -> jax.Array:
        query_HXK, key_HXK, value_HXK = (part[0] for part in transformer.project(x_BXD, layer))
        key, value = (part.reshape(len(part), C, N, -1) for part in (key_HXK, value_HXK))
        table_HR = layer["relative_bias"]
        to_prefix = bias_seen(
            table_HR, cache.length + jnp.arange(T + N), place_S, place_S < cache.length, config
        )  # of all places that a node may have: rows are quicker to take than single biases
        to_prefix = to_prefix[:, after_CN.reshape(-1)]
        to_said = bias_seen(table_HR, after_CN, place_T, (place_T < length_C[:, None])[:, None], config)
        to_own = bias_seen(table_HR, depth_N, depth_N, visible_NN, config)[:, None]
        parts = ((*prefix, to_prefix), (*said, to_said), (key, value, to_own))
        return transformer.close_block(x_BXD, attend_to(query_HXK, *parts)[None], layer, config)

    x_BXD = transformer.embedded(weights.top, tokens_CN.reshape(-1))[None]
    for layer, prefix, said in zip(weights.layers, cache.layers, own, strict=True):
        x_BXD = block(x_BXD, layer, prefix, said)
    hidden_XD = transformer.rms_norm(x_BXD[0], weights.top["norm_final"])
    return gaps_of(weights.top, hidden_XD, yes, no).reshape(C, N)


def bias_seen(
    table_HR: jax.Array, query_position: jax.Array, key_position: jax.Array, seen: jax.Array, config: ModelConfig
) -> jax.Array:
    """The relative bias [H, ..., queries, keys], HIDDEN where a key is not seen."""
    bias = jnp.moveaxis(bias_of_distance(table_HR, query_position, key_position, config), -3, 0)
    return jnp.where(seen, bias, HIDDEN)


def attend_to(query_HXK: jax.Array, *parts: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
    """Softmax attention [H, X, K] over the keys of all parts together.

    A part is keys, values and bias: [H, S, K] and [H, X, S] where all queries see the same keys, [H, C, S, K] and
    [H, C, N, S] where X is C x N and the N queries of each continuation see its own.
    """
    H, X, K = query_HXK.shape
    parts = tuple(part for part in parts if part[0].shape[-2])
    logits = []
    for keys, _, bias in parts:
        query = query_HXK.reshape(H, *keys.shape[1:-2], -1, K)
        logits.append((times_each(query, keys) + bias).reshape(H, X, -1))
    most_HX1 = jnp.stack([part.max(-1) for part in logits]).max(0)[..., None]
    total_HX1, mixed_HXK = jnp.zeros_like(most_HX1), jnp.zeros((H, X, K), parts[0][1].dtype)
    for logits_HXS, (keys, values, _) in zip(logits, parts, strict=True):
        weights_HXS = jnp.exp(logits_HXS - most_HX1)
        total_HX1 += weights_HXS.sum(-1, keepdims=True)
        weights = weights_HXS.astype(values.dtype).reshape(H, *keys.shape[1:-2], -1, keys.shape[-2])
        mixed_HXK += jnp.einsum("h...ts,h...sk->h...tk", weights, values).reshape(H, X, K)
    return (mixed_HXK / total_HX1).astype(query_HXK.dtype)


@compiled()
def logprobs_of(weights: Layered, hidden_ND: jax.Array, node_P: jax.Array, token_P: jax.Array) -> jax.Array:
    """Natural logprob [P] of token_P[i] as the next one after node_P[i]."""
    logits_NV = transformer.logits(weights.top, hidden_ND)
    return logits_NV[node_P, token_P] - jax.nn.logsumexp(logits_NV, -1)[node_P]


@compiled(static=("k",))
def likeliest_of(weights: Layered, hidden_ND: jax.Array, *, k: int) -> tuple[jax.Array, jax.Array]:
    """The k likeliest next tokens [N, k] after each node, the likeliest first, and their natural logprobs."""
    values_Nk, token_Nk = jax.lax.top_k(jax.nn.log_softmax(transformer.logits(weights.top, hidden_ND)), k)
    return token_Nk, values_Nk


def gaps_of(top: Params, hidden_XD: jax.Array, yes: Array, no: Array) -> jax.Array:
    """Logit of token `yes` less that of `no` as the next token, [...] for hidden states [..., D]."""
    yes_D, no_D = transformer.embedded(top, jnp.stack([yes, no])).astype(jnp.float32)  # split, one row would need all
    return jnp.einsum("...d,d->...", hidden_XD, (yes_D - no_D) * hidden_XD.shape[-1] ** -0.5)
