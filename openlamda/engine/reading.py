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
from openlamda.engine.layered import Layered, unturned
from openlamda.engine.prefixes import BLOCK
from openlamda.model import transformer
from openlamda.model.attention import HIDDEN, distance_buckets
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.products import times_each

Array = jax.Array | np.ndarray
KeysValues = tuple[jax.Array, jax.Array]
SIZES = (128, 256, 512, 1024, 2048, 4096, 8192, 16384)  # of prefixes
Buckets = tuple[jax.Array, jax.Array]  # of distances, as `seen_by` gives them: to a prefix, and to what follows it


class Cache(NamedTuple):
    """Keys and values [H, S, K] of a prefix for each layer, padded to S; the first `length` positions count."""

    layers: tuple[KeysValues, ...]
    length: jax.Array  # int32[]

    @property
    def size(self) -> int:
        """S."""
        return self.layers[0][0].shape[1]


def read(
    weights: Layered, before: Cache, tokens_N: Array, count: ArrayLike, *, size: int, config: ModelConfig
) -> tuple[Cache, jax.Array, list[jax.Array]]:
    """The cache, padded to `size`, of a known one and the first `count` of some more tokens; the hidden state [1, D]
    after the last of these; and blocks [L, 2, H, BLOCK, K] from the first that was not whole on, as many as they may
    fill.
    """
    return grown(weights.top, before, *through_chain(weights, before, tokens_N, config), count, size=size)


@compiled(static=("size",))
def grown(
    top: Params, before: Cache, x_BND: jax.Array, layers: Sequence[KeysValues], count: jax.Array, *, size: int
) -> tuple[Cache, jax.Array, list[jax.Array]]:
    """What `read` gives, of what the layers made of its tokens."""
    N, first = x_BND.shape[1], before.length // BLOCK * BLOCK

    def append(old_HSK: jax.Array, new_HNK: jax.Array) -> jax.Array:
        H, S, K = old_HSK.shape
        room = jnp.zeros((H, max(size, S) + N, K), new_HNK.dtype).at[:, :S].set(old_HSK)
        return jax.lax.dynamic_update_slice(room, new_HNK, (0, before.length, 0))

    rooms = jax.tree.map(append, before.layers, tuple(layers))
    cache = Cache(jax.tree.map(lambda room: room[:, :size], rooms), before.length + count)
    last_1D = transformer.rms_norm(x_BND[0, jnp.maximum(count - 1, 0)][None], top["norm_final"])
    of_blocks = jax.tree.map(lambda room: jax.lax.dynamic_slice_in_dim(room, first, N, axis=1), rooms)
    whole = jnp.stack([jnp.stack(layer) for layer in of_blocks])
    return cache, last_1D, [whole[:, :, :, start : start + BLOCK] for start in range(0, N - BLOCK + 1, BLOCK)]


@compiled()
def join_blocks(blocks: Sequence[jax.Array], length: Array) -> Cache:
    """The cache of blocks that follow one another, at least one, of which the first `length` tokens count."""
    whole = jnp.concatenate(blocks, axis=3)
    return Cache(tuple((layer[0], layer[1]) for layer in whole), jnp.asarray(length))


def no_cache(config: ModelConfig, dtype: str, size: int) -> Cache:
    """The cache of nothing, padded to `size`."""
    nothing = jax.device_put(np.zeros((config.num_heads, size, config.d_head), dtype))
    return Cache(((nothing, nothing),) * config.num_layers, jax.device_put(np.int32(0)))


def extend(
    weights: Layered, cache: Cache, tokens_N: Array, depth_N: Array, visible_NN: Array, *, config: ModelConfig
) -> tuple[jax.Array, list[KeysValues]]:
    """Read a tree of tokens after a prefix: hidden states [N, D] and the tree's own keys and values [H, N, K].

    Node i stands at position length + depth_N[i] and sees the prefix and the nodes where visible_NN[i] is true:
    itself and its ancestors. A chain is a tree, so this reads prefixes, too.
    """
    x_BND, layers, _ = through(weights, cache, tokens_N, depth_N, visible_NN, config)
    return normed(weights.top, x_BND), layers


def gaps_after(
    weights: Layered,
    cache: Cache,
    tokens_N: Array,
    depth_N: Array,
    visible_NN: Array,
    node_M: Array,
    yes: ArrayLike,
    no: ArrayLike,
    *,
    config: ModelConfig,
) -> np.ndarray:
    """The gap [M] after some nodes of a tree that `extend` would read."""
    if 2 * len(node_M) > len(tokens_N):  # to spare so few nodes a last layer is not worth a function of its own
        x_BND, _, _ = through(weights, cache, tokens_N, depth_N, visible_NN, config)
        return np.asarray(gaps_of_rows(weights.top, x_BND, yes, no))[node_M]
    *kept, last = weights.kept
    below = weights._replace(kept=tuple(kept))
    x_BND, _, seen = through(below, cache, tokens_N, depth_N, visible_NN, config)
    return np.asarray(last_of_tree(weights.top, last, x_BND, cache.layers[-1], seen, node_M, yes, no, config=config))


def gaps_after_each(
    weights: Layered,
    cache: Cache,
    own: Sequence[KeysValues],
    length_C: Array,
    tokens_CN: Array,
    depth_N: Array,
    visible_NN: Array,
    yes: ArrayLike,
    no: ArrayLike,
    *,
    config: ModelConfig,
) -> jax.Array:
    """Read a tree of tokens after each of C continuations of the prefix: the gap [C x N] after each node.

    `own`: keys and values [H, C, T, K] of the continuations for each layer, of which the first length_C[c] positions
    count. The trees are alike but for their tokens.
    """
    sizes = {"S": cache.size, "T": own[0][0].shape[2]}
    x_BXD, seen = begin_after_each(
        weights.top, cache.length, length_C, tokens_CN, depth_N, visible_NN, config=config, **sizes
    )
    for layer, prefix, said in zip(weights.kept, cache.layers, own, strict=True):
        x_BXD = layer_after_each(layer, x_BXD, prefix, said, seen, config=config)
    return gaps_of_rows(weights.top, x_BXD, yes, no)


def through_chain(
    weights: Layered, cache: Cache, tokens_N: Array, config: ModelConfig
) -> tuple[jax.Array, list[KeysValues]]:
    """As `through`, of tokens that follow one another."""
    (N,) = tokens_N.shape
    x_BND, layers, _ = through(weights, cache, tokens_N, np.arange(N, dtype=np.int32), np.tri(N, dtype=bool), config)
    return x_BND, layers


def through(
    weights: Layered, cache: Cache, tokens_N: Array, depth_N: Array, visible_NN: Array, config: ModelConfig
) -> tuple[jax.Array, list[KeysValues], Buckets]:
    """A tree's nodes [B, N, D] after the last layer, its keys and values, and what all layers see by.

    Every layer is the same computation, called for each: to compile all of them takes a start several times as long.
    """
    x_BND, seen = begin_tree(weights.top, cache.length, tokens_N, depth_N, visible_NN, config=config, S=cache.size)
    layers = []
    for layer, prefix in zip(weights.kept, cache.layers, strict=False):
        x_BND, read_now = layer_of_tree(layer, x_BND, prefix, seen, config=config)
        layers.append(read_now)
    return x_BND, layers, seen


@compiled(static=("config", "S"))
def begin_tree(
    top: Params,
    length: jax.Array,
    tokens_N: jax.Array,
    depth_N: jax.Array,
    visible_NN: jax.Array,
    *,
    config: ModelConfig,
    S: int,
) -> tuple[jax.Array, Buckets]:
    """Before the layers of `extend`: the embedding's rows [B, N, D], and what all layers see by (`seen_by`): buckets
    [N, S] of the prefix and [N, N] of the tree.
    """
    place_S = jnp.arange(S)
    to_prefix_NS = seen_by(length + depth_N, place_S, place_S < length, config)
    to_own_NN = seen_by(depth_N, depth_N, visible_NN, config)
    return transformer.embedded(top, tokens_N)[None], (to_prefix_NS, to_own_NN)


@compiled(static=("config",))
def layer_of_tree(
    layer: Params, x_BND: jax.Array, prefix: KeysValues, seen: Buckets, *, config: ModelConfig
) -> tuple[jax.Array, KeysValues]:
    """A layer of `extend`."""
    layer = unturned(layer)
    query_HNK, key_HNK, value_HNK = (part[0] for part in transformer.project(x_BND, layer))
    to_prefix, to_own = (bias_of(layer, bucket) for bucket in seen)
    mixed_HNK = attend_to(query_HNK, (*prefix, to_prefix), (key_HNK, value_HNK, to_own))
    return transformer.close_block(x_BND, mixed_HNK[None], layer, config), (key_HNK, value_HNK)


@compiled(static=("config",))
def last_of_tree(
    top: Params,
    layer: Params,
    x_BND: jax.Array,
    prefix: KeysValues,
    seen: Buckets,
    node_M: jax.Array,
    yes: jax.Array,
    no: jax.Array,
    *,
    config: ModelConfig,
) -> jax.Array:
    """The last layer of `gaps_after`: of the other nodes no more is made than those that are asked for read."""
    layer = unturned(layer)
    asked_BMD = x_BND[:, node_M]
    (query_BHMK, _, _), (_, key, value) = transformer.project(asked_BMD, layer), transformer.project(x_BND, layer)
    to_prefix, to_own = (bias_of(layer, bucket[node_M]) for bucket in seen)
    mixed_HMK = attend_to(query_BHMK[0], (*prefix, to_prefix), (key[0], value[0], to_own))
    x_BMD = transformer.close_block(asked_BMD, mixed_HMK[None], layer, config)
    return gaps_of(top, transformer.rms_norm(x_BMD[0], top["norm_final"]), yes, no)


@compiled(static=("config", "S", "T"))
def begin_after_each(
    top: Params,
    length: jax.Array,
    length_C: jax.Array,
    tokens_CN: jax.Array,
    depth_N: jax.Array,
    visible_NN: jax.Array,
    *,
    config: ModelConfig,
    S: int,
    T: int,
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Before the layers of `gaps_after_each`: the embedding's rows [B, X, D], after how many tokens [X] each stands,
    and buckets [T + N, S] of the prefix after so many, [C, N, T] of what was said, and [1, N, N] of the tree.
    """
    place_S, place_T, after_CN = jnp.arange(S), jnp.arange(T), length_C[:, None] + depth_N
    to_prefix = seen_by(length + jnp.arange(T + len(depth_N)), place_S, place_S < length, config)
    to_said_CNT = seen_by(after_CN, place_T, (place_T < length_C[:, None])[:, None], config)
    to_own_NN = seen_by(depth_N, depth_N, visible_NN, config)
    seen = after_CN.reshape(-1), to_prefix, to_said_CNT, to_own_NN[None]
    return transformer.embedded(top, tokens_CN.reshape(-1))[None], seen


@compiled(static=("config",))
def layer_after_each(
    layer: Params,
    x_BXD: jax.Array,
    prefix: KeysValues,
    said: KeysValues,
    seen: tuple[jax.Array, ...],
    *,
    config: ModelConfig,
) -> jax.Array:
    """A layer of `gaps_after_each`."""
    layer, (_, C, _, _), (after_X, *buckets) = unturned(layer), said[0].shape, seen
    query_HXK, key_HXK, value_HXK = (part[0] for part in transformer.project(x_BXD, layer))
    key, value = (part.reshape(len(part), C, -1, part.shape[-1]) for part in (key_HXK, value_HXK))
    to_prefix, to_said, to_own = (bias_of(layer, bucket) for bucket in buckets)
    to_prefix = to_prefix[:, after_X]  # rows are quicker to take than single biases
    mixed_HXK = attend_to(query_HXK, (*prefix, to_prefix), (*said, to_said), (key, value, to_own))
    return transformer.close_block(x_BXD, mixed_HXK[None], layer, config)


@compiled()
def normed(top: Params, x_BND: jax.Array) -> jax.Array:
    """Hidden states [N, D]."""
    return transformer.rms_norm(x_BND[0], top["norm_final"])


@compiled()
def gaps_of_rows(top: Params, x_BXD: jax.Array, yes: jax.Array, no: jax.Array) -> jax.Array:
    """The gap [X] after each row."""
    return gaps_of(top, transformer.rms_norm(x_BXD[0], top["norm_final"]), yes, no)


def seen_by(query_position: jax.Array, key_position: jax.Array, seen: jax.Array, config: ModelConfig) -> jax.Array:
    """The bucket [..., queries, keys] of each key's distance, and one more that stands for those that are not seen."""
    distance = jnp.clip(query_position[..., :, None] - key_position, 0, config.max_distance)
    small = np.min_scalar_type(config.num_buckets)  # half the time of an int32
    return jnp.where(seen, jnp.asarray(distance_buckets(config), small)[distance], small.type(config.num_buckets))


def bias_of(layer: Params, bucket: jax.Array) -> jax.Array:
    """A layer's relative bias [H, ...] of each bucket [...] that `seen_by` gave, HIDDEN where a key is not seen."""
    table_HR = jnp.pad(layer["relative_bias"], ((0, 0), (0, 1)), constant_values=HIDDEN)
    return table_HR.at[:, bucket].get(mode="promise_in_bounds")


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
def logprobs_of(top: Params, hidden_ND: jax.Array, node_P: jax.Array, token_P: jax.Array) -> jax.Array:
    """Natural logprob [P] of token_P[i] as the next one after node_P[i]."""
    logits_NV = transformer.logits(top, hidden_ND)
    return logits_NV[node_P, token_P] - jax.nn.logsumexp(logits_NV, -1)[node_P]


@compiled(static=("k",))
def likeliest_of(top: Params, hidden_ND: jax.Array, *, k: int) -> tuple[jax.Array, jax.Array]:
    """The k likeliest next tokens [N, k] after each node, the likeliest first, and their natural logprobs."""
    values_Nk, token_Nk = jax.lax.top_k(jax.nn.log_softmax(transformer.logits(top, hidden_ND)), k)
    return token_Nk, values_Nk


def gaps_of(top: Params, hidden_XD: jax.Array, yes: Array, no: Array) -> jax.Array:
    """Logit of token `yes` less that of `no` as the next token, [...] for hidden states [..., D]."""
    yes_D, no_D = transformer.embedded(top, jnp.stack([yes, no])).astype(jnp.float32)  # split, one row would need all
    return jnp.einsum("...d,d->...", hidden_XD, (yes_D - no_D) * hidden_XD.shape[-1] ** -0.5)
