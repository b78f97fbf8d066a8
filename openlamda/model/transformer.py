"""The LaMDA decoder: T5 relative attention, pre-RMSNorm, gated GELU, tied embedding, no biases.

Takes token ids, weights and a mask, gives hidden states; plain functions over a dict of arrays. Knows nothing of tasks,
sampling or meshes. Axes: B batch, T query tokens, S key tokens, D model, H heads, K head size, F feed-forward,
V vocabulary, L layers, R buckets of relative distance.
"""

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

UNROLLED = 8  # up to so many layers are compiled one by one: a scan that saves activations costs a CPU half its time
LAYER_WEIGHTS = ("norm_attention", "query", "key", "value", "out", "norm_ff", "gate", "up", "down")


def distance_buckets(config: ModelConfig) -> np.ndarray:
    """Bucket of each distance 0 ... max_distance, int32[max_distance + 1]: half the buckets exact, then logarithmic,
    all of them for the past (T5, causal form). Computed in float64 once, so that no dtype moves a boundary.
    """
    exact = config.num_buckets // 2
    distance = np.arange(config.max_distance + 1)
    ratio = np.log(np.maximum(distance, exact) / exact) / np.log(config.max_distance / exact)
    logarithmic = np.minimum(exact + (ratio * (config.num_buckets - exact)).astype(np.int32), config.num_buckets - 1)
    return np.where(distance < exact, distance, logarithmic).astype(np.int32)


def bias_of_distance(table_HR: jax.Array, query_position: jax.Array, key_position: jax.Array, config: ModelConfig):
    """Attention bias of one layer, [..., H, T, S], for positions int32[..., T] and int32[..., S]; the future is 0."""
    distance = jnp.clip(query_position[..., :, None] - key_position[..., None, :], 0, config.max_distance)
    bucket = jnp.asarray(distance_buckets(config))[distance]
    return jnp.moveaxis(table_HR.T[bucket], -1, -3)


def rms_norm(x_BTD: jax.Array, scale_D: jax.Array) -> jax.Array:
    """x scaled to a mean square of 1 over D, in float32; no mean is taken away."""
    x32 = x_BTD.astype(jnp.float32)
    normed = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, -1, keepdims=True) + 1e-6)
    return (normed * scale_D).astype(x_BTD.dtype)


def attend(query_BHTK: jax.Array, key_BHSK: jax.Array, value_BHSK: jax.Array, bias_BHTS: jax.Array) -> jax.Array:
    """Softmax attention [B, H, T, K]; `bias_BHTS` is the relative bias, -inf-like where a key may not be seen.

    Logits and softmax are float32 and not divided by sqrt(K): the spread of `query` holds that (T5). Heads stand before
    tokens because a CPU multiplies such batches of matrices several times faster.
    """
    logits_BHTS = jnp.einsum("bhtk,bhsk->bhts", query_BHTK, key_BHSK, preferred_element_type=jnp.float32) + bias_BHTS
    weights_BHTS = jax.nn.softmax(logits_BHTS, axis=-1).astype(value_BHSK.dtype)
    return jnp.einsum("bhts,bhsk->bhtk", weights_BHTS, value_BHSK)


def project(x_BTD: jax.Array, layer: Params) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Query, key and value [B, H, T, K] of a layer's input."""
    normed_BTD = rms_norm(x_BTD, layer["norm_attention"])
    query, key, value = (jnp.einsum("btd,dhk->bhtk", normed_BTD, layer[name]) for name in ("query", "key", "value"))
    return query, key, value


def close_block(x_BTD: jax.Array, mixed_BHTK: jax.Array, layer: Params) -> jax.Array:
    """The rest of a block after attention: output projection, then the gated feed-forward, each added to x."""
    x_BTD = x_BTD + jnp.einsum("bhtk,hkd->btd", mixed_BHTK, layer["out"])
    normed_BTD = rms_norm(x_BTD, layer["norm_ff"])
    gate_BTF = jax.nn.gelu(normed_BTD @ layer["gate"], approximate=True)
    return x_BTD + (gate_BTF * (normed_BTD @ layer["up"])) @ layer["down"]


def layers(params: Params) -> Params:
    """The weights of all layers, stacked [L, ...], as `jax.lax.scan` takes them; a shared bias stays out."""
    stacked = {name: params[name] for name in LAYER_WEIGHTS}
    if params["relative_bias"].shape[0] == params["query"].shape[0]:
        stacked["relative_bias"] = params["relative_bias"]
    return stacked


def layer_bias(params: Params, layer: Params) -> jax.Array:
    """The bias table [H, R] of one layer, its own or the shared one."""
    return layer.get("relative_bias", params["relative_bias"][0])


def forward(params: Params, tokens_BT: jax.Array, segments_BT: jax.Array, config: ModelConfig) -> jax.Array:
    """Hidden states [B, T, D] after the final norm. Attention is causal and stays inside a segment."""
    T = tokens_BT.shape[1]
    position_T = jnp.arange(T)
    causal_TS = position_T[:, None] >= position_T[None, :]
    visible_BTS = causal_TS & (segments_BT[:, :, None] == segments_BT[:, None, :])
    mask_B1TS = jnp.where(visible_BTS, 0.0, -1e30)[:, None]

    def block(x_BTD: jax.Array, layer: Params) -> tuple[jax.Array, None]:
        bias_HTS = bias_of_distance(layer_bias(params, layer), position_T, position_T, config)
        query, key, value = project(x_BTD, layer)
        return close_block(x_BTD, attend(query, key, value, bias_HTS + mask_B1TS), layer), None

    unroll = config.num_layers <= UNROLLED
    x_BTD, _ = jax.lax.scan(block, params["embed"][tokens_BT], layers(params), unroll=unroll)
    return rms_norm(x_BTD, params["norm_final"])


def logits(params: Params, hidden_BTD: jax.Array) -> jax.Array:
    """Next-token logits [B, T, V], float32, by the tied embedding scaled with D^-1/2."""
    scale = params["embed"].shape[1] ** -0.5
    return jnp.einsum("...d,vd->...v", hidden_BTD * scale, params["embed"], preferred_element_type=jnp.float32)
