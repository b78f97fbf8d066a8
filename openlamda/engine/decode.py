"""The jitted computations of the local engine: extending a cached prefix by a tree, drawing many continuations of it,
and extending each of these by a small tree.

A prefix is read once, whatever is drawn from it or scored after it: its keys and values are shared, one softmax goes
over both. Axes: C candidates, N nodes of a tree, T new tokens, S prefix, L layers, D model, H heads, K head size,
V vocabulary.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from openlamda.model import transformer
from openlamda.model.attention import HIDDEN, attend, bias_of_distance
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.quantized import compute_dtype


class Cache(NamedTuple):
    """Keys and values of a prefix, padded to S; the first `length` positions count."""

    keys_LHSK: jax.Array
    values_LHSK: jax.Array
    length: jax.Array  # int32[]


def empty_cache(params: Params, config: ModelConfig) -> Cache:
    """The cache before anything was read."""
    nothing = jnp.zeros((config.num_layers, config.num_heads, 0, config.d_head), compute_dtype(params))
    return Cache(nothing, nothing, jnp.int32(0))


def _prefix_bias(params: Params, layer: Params, cache: Cache, position_T: jax.Array, config: ModelConfig) -> jax.Array:
    """Bias [H, T, S] from new positions to the prefix, hidden where it is padding."""
    place_S = jnp.arange(cache.keys_LHSK.shape[2])
    bias_HTS = bias_of_distance(transformer.layer_bias(params, layer), position_T, place_S, config)
    return jnp.where(place_S < cache.length, bias_HTS, HIDDEN)


@partial(jax.jit, static_argnames="config")
def extend(
    params: Params, cache: Cache, tokens_N: jax.Array, depth_N: jax.Array, visible_NN: jax.Array, *, config: ModelConfig
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Read a tree of tokens after a prefix: hidden states [N, D] and the tree's own keys and values [L, H, N, K].

    Node i stands at position length + depth_N[i] and sees the prefix and the nodes where visible_NN[i] is true:
    itself and its ancestors. A chain is a tree, so this reads prefixes, too.
    """
    position_N = cache.length + depth_N

    def block(x_BND: jax.Array, inputs):
        layer, prefix_keys_HSK, prefix_values_HSK = inputs
        query_BHNK, key_BHNK, value_BHNK = transformer.project(x_BND, layer)
        table_HR = transformer.layer_bias(params, layer)
        own_HNN = bias_of_distance(table_HR, position_N, position_N, config)
        bias = (_prefix_bias(params, layer, cache, position_N, config), jnp.where(visible_NN, own_HNN, HIDDEN))
        keys = jnp.concatenate([prefix_keys_HSK[None], key_BHNK], axis=2)
        values = jnp.concatenate([prefix_values_HSK[None], value_BHNK], axis=2)
        mixed_BHNK = attend(query_BHNK, keys, values, jnp.concatenate(bias, axis=-1)[None])
        return transformer.close_block(x_BND, mixed_BHNK, layer, config), (key_BHNK[0], value_BHNK[0])

    inputs = (transformer.layers(params), cache.keys_LHSK, cache.values_LHSK)
    x_BND, (keys_LHNK, values_LHNK) = jax.lax.scan(block, transformer.embedded(params, tokens_N)[None], inputs)
    return transformer.rms_norm(x_BND, params["norm_final"])[0], keys_LHNK, values_LHNK


@jax.jit
def logprobs_of(params: Params, hidden_ND: jax.Array, node_P: jax.Array, token_P: jax.Array) -> jax.Array:
    """Natural logprob [P] of token_P[i] as the next one after node_P[i]."""
    logprobs_NV = jax.nn.log_softmax(transformer.logits(params, hidden_ND))
    return logprobs_NV[node_P, token_P]


@jax.jit
def gaps_of(params: Params, hidden_XD: jax.Array, yes: jax.Array, no: jax.Array) -> jax.Array:
    """Logit of token `yes` less that of `no` as the next token, [...] for hidden states [..., D]."""
    yes_D, no_D = (transformer.embedded(params, token).astype(jnp.float32) for token in (yes, no))
    apart_D = (yes_D - no_D) * hidden_XD.shape[-1] ** -0.5
    return jnp.einsum("...d,d->...", hidden_XD, apart_D)


class Drawn(NamedTuple):
    """What was drawn: tokens [C, T] (0 after the end), their count, logprob with the stop token, whether it stopped.

    Keys and values are those of the prefix's last token and of the drawn ones after it, the last of these not always.
    """

    tokens_CT: jax.Array
    length_C: jax.Array
    logprob_C: jax.Array
    stopped_C: jax.Array
    keys_LCHTK: jax.Array
    values_LCHTK: jax.Array


@partial(jax.jit, static_argnames=("config", "n", "max_tokens", "top_k"))
def draw(
    params: Params,
    cache: Cache,
    last_token: jax.Array,
    seed: jax.Array,
    temperature: jax.Array,
    banned_V: jax.Array,
    stop_V: jax.Array,
    *,
    config: ModelConfig,
    n: int,
    max_tokens: int,
    top_k: int,
) -> Drawn:
    """Draw n continuations of the cached prefix followed by `last_token`, until all have stopped.

    Candidate i at step t uses the key (seed, i, t) alone, so it is the same in any company. Reported logprobs are the
    model's own: without temperature, top-k or bans.
    """
    L, H, _, K = cache.keys_LHSK.shape
    keys_C = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(n))
    place_T = jnp.arange(max_tokens)

    def read(tokens_C: jax.Array, t: jax.Array, own: tuple[jax.Array, jax.Array]):
        position = (cache.length + t)[None]

        def block(x_CTD: jax.Array, inputs):
            layer, prefix_keys_HSK, prefix_values_HSK, keys_CHTK, values_CHTK = inputs
            query_CHTK, key_CHTK, value_CHTK = transformer.project(x_CTD, layer)
            keys_CHTK = jax.lax.dynamic_update_slice(keys_CHTK, key_CHTK, (0, 0, t, 0))
            values_CHTK = jax.lax.dynamic_update_slice(values_CHTK, value_CHTK, (0, 0, t, 0))
            table_HR = transformer.layer_bias(params, layer)
            own_HTS = bias_of_distance(table_HR, position, cache.length + place_T, config)
            to_own = jnp.einsum("chtk,chsk->chts", query_CHTK, keys_CHTK) + jnp.where(place_T <= t, own_HTS, HIDDEN)
            to_prefix = jnp.einsum("chtk,hsk->chts", query_CHTK, prefix_keys_HSK)
            to_prefix += _prefix_bias(params, layer, cache, position, config)
            weights = jax.nn.softmax(jnp.concatenate([to_prefix, to_own], axis=-1))
            S = prefix_keys_HSK.shape[1]
            mixed_CHTK = jnp.einsum("chts,hsk->chtk", weights[..., :S], prefix_values_HSK)
            mixed_CHTK += jnp.einsum("chts,chsk->chtk", weights[..., S:], values_CHTK)
            return transformer.close_block(x_CTD, mixed_CHTK, layer, config), (keys_CHTK, values_CHTK)

        inputs = (transformer.layers(params), cache.keys_LHSK, cache.values_LHSK, *own)
        x_CTD, own = jax.lax.scan(block, transformer.embedded(params, tokens_C)[:, None], inputs)
        hidden_CD = transformer.rms_norm(x_CTD, params["norm_final"])[:, 0]
        return transformer.logits(params, hidden_CD), own

    def step(carry):
        t, last_C, own, tokens_CT, length_C, logprob_C, stopped_C = carry
        logits_CV, own = read(last_C, t, own)
        key_C = jax.vmap(jax.random.fold_in, (0, None))(keys_C, t)
        allowed_CV = jnp.where(banned_V, -jnp.inf, logits_CV)
        token_C = jnp.where(temperature > 0, _top_k(allowed_CV, key_C, temperature, top_k), jnp.argmax(allowed_CV, -1))
        logprob = jnp.take_along_axis(jax.nn.log_softmax(logits_CV), token_C[:, None], -1)[:, 0]
        logprob_C = jnp.where(stopped_C, logprob_C, logprob_C + logprob)
        stopped_C |= stop_V[token_C]
        tokens_CT = tokens_CT.at[:, t].set(jnp.where(stopped_C, 0, token_C))
        return t + 1, token_C, own, tokens_CT, length_C + ~stopped_C, logprob_C, stopped_C

    cold = jnp.zeros((L, n, H, max_tokens, K), cache.keys_LHSK.dtype)
    start = (
        jnp.int32(0),
        jnp.full(n, last_token),
        (cold, cold),
        jnp.zeros((n, max_tokens), jnp.int32),
        jnp.zeros(n, jnp.int32),
        jnp.zeros(n),
        jnp.zeros(n, bool),
    )
    end = jax.lax.while_loop(lambda carry: (carry[0] < max_tokens) & ~jnp.all(carry[-1]), step, start)
    return Drawn(end[3], end[4], end[5], end[6], *end[2])


@partial(jax.jit, static_argnames="config")
def extend_each(
    params: Params,
    cache: Cache,
    own: tuple[jax.Array, jax.Array],
    length_C: jax.Array,
    tokens_CN: jax.Array,
    depth_N: jax.Array,
    visible_NN: jax.Array,
    *,
    config: ModelConfig,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Read a tree of tokens after each of C continuations of the prefix, as `extend` does after the prefix itself.

    `own`: keys and values [L, C, H, T, K] of the continuations, of which the first length_C[c] positions count. The
    trees are alike but for their tokens. Returns hidden states [C, N, D] and their keys and values [L, C, H, N, K].
    """
    place_S, place_T = jnp.arange(cache.keys_LHSK.shape[2]), jnp.arange(own[0].shape[3])
    after_C = length_C if len(place_T) else jnp.zeros(1, jnp.int32)  # of nothing, the bias is the same for all
    position_CN = (cache.length + after_C)[:, None] + depth_N
    read_C11T = (place_T < length_C[:, None])[:, None, None]

    def block(x_CND: jax.Array, inputs):
        layer, prefix_keys_HSK, prefix_values_HSK, keys_CHTK, values_CHTK = inputs
        query_CHNK, key_CHNK, value_CHNK = transformer.project(x_CND, layer)
        table_HR = transformer.layer_bias(params, layer)
        to_prefix = jnp.einsum("chnk,hsk->chns", query_CHNK, prefix_keys_HSK)
        to_prefix += jnp.where(
            place_S < cache.length, bias_of_distance(table_HR, position_CN, place_S[None], config), HIDDEN
        )
        to_drawn = jnp.einsum("chnk,chtk->chnt", query_CHNK, keys_CHTK)
        drawn_bias = bias_of_distance(table_HR, position_CN, (cache.length + place_T)[None], config)
        to_drawn += jnp.where(read_C11T, drawn_bias, HIDDEN)
        to_own = jnp.einsum("chnk,chmk->chnm", query_CHNK, key_CHNK)
        to_own += jnp.where(visible_NN, bias_of_distance(table_HR, depth_N, depth_N, config), HIDDEN)
        weights = jax.nn.softmax(jnp.concatenate([to_prefix, to_drawn, to_own], axis=-1))
        of_prefix, of_drawn, of_own = jnp.split(weights, (len(place_S), len(place_S) + len(place_T)), -1)
        mixed_CHNK = jnp.einsum("chns,hsk->chnk", of_prefix, prefix_values_HSK)
        mixed_CHNK += jnp.einsum("chnt,chtk->chnk", of_drawn, values_CHTK)
        mixed_CHNK += jnp.einsum("chnm,chmk->chnk", of_own, value_CHNK)
        return transformer.close_block(x_CND, mixed_CHNK, layer, config), (key_CHNK, value_CHNK)

    inputs = (transformer.layers(params), cache.keys_LHSK, cache.values_LHSK, *own)
    x_CND, (keys_LCHNK, values_LCHNK) = jax.lax.scan(block, transformer.embedded(params, tokens_CN), inputs)
    return transformer.rms_norm(x_CND, params["norm_final"]), keys_LCHNK, values_LCHNK


def _top_k(logits_CV: jax.Array, key_C: jax.Array, temperature: jax.Array, k: int) -> jax.Array:
    """One token [C] of each row's k likeliest, drawn at `temperature` (Gumbel trick)."""
    best_CK, index_CK = jax.lax.top_k(logits_CV, k)
    noise_CK = jax.vmap(lambda key: jax.random.gumbel(key, (k,)))(key_C)
    choice_C = jnp.argmax(best_CK / jnp.maximum(temperature, 1e-6) + noise_CK, axis=-1)
    return jnp.take_along_axis(index_CK, choice_C[:, None], -1)[:, 0]
