"""The LaMDA decoder: T5 relative attention, pre-RMSNorm, gated feed-forward, tied embedding, no biases.

Takes token ids, weights and a mask, gives hidden states; plain functions over a dict of arrays. Knows nothing of tasks,
sampling or meshes. Axes: B batch, T query tokens, S key tokens, D model, H heads, K head size, F feed-forward,
V vocabulary, L layers, R buckets of relative distance.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from openlamda.model.config import Activation, ModelConfig
from openlamda.model.params import Params
from openlamda.model.sharding import gathered, place, summed, take

UNROLLED = 8  # up to so many layers are compiled one by one: a scan that saves activations costs a CPU half its time
LAYER_WEIGHTS = ("norm_attention", "query", "key", "value", "out", "norm_ff", "gate", "up", "down")
_gelu = partial(jax.nn.gelu, approximate=True)  # tanh, as T5 and Lingvo have it
ACTIVATIONS: dict[Activation, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": _gelu,
    "silu": jax.nn.silu,
    "glu": jax.nn.sigmoid,
    "bilinear": lambda x: x,
    "reglu": jax.nn.relu,
    "geglu": _gelu,
    "swiglu": jax.nn.silu,
}
"""Of the first matrix's product; the last five are multiplied by the second's (Shazeer 2020, arXiv 2002.05202)."""


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
    return jnp.moveaxis(take(table_HR.T, bucket, *(None,) * bucket.ndim, "heads"), -1, -3)


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
    normed_BTD = place(rms_norm(x_BTD, layer["norm_attention"]), "batch", None, None)
    weights = (gathered(layer[name], "embed", "heads", None) for name in ("query", "key", "value"))
    query, key, value = (
        checkpoint_name(jnp.einsum("btd,dhk->bhtk", normed_BTD, weight_DHK), "qkv") for weight_DHK in weights
    )
    return query, key, value


def close_block(x_BTD: jax.Array, mixed_BHTK: jax.Array, layer: Params, config: ModelConfig) -> jax.Array:
    """The rest of a block after attention: output projection, then the feed-forward, each added to x."""
    mixed_BHTK = checkpoint_name(mixed_BHTK, "mixed")
    out_HKD, down_FD = gathered(layer["out"], "heads", None, "embed"), gathered(layer["down"], "ff", "embed")
    x_BTD = x_BTD + summed("bhtk,hkd->btd", mixed_BHTK, out_HKD, "batch", "sequence", None)
    x_BTD = checkpoint_name(x_BTD, "attended")
    normed_BTD = place(rms_norm(x_BTD, layer["norm_ff"]), "batch", None, None)
    activation = ACTIVATIONS[config.activation]
    gate_BTF = checkpoint_name(normed_BTD @ gathered(layer["gate"], "embed", "ff"), "gate") if config.gated else None
    up_BTF = checkpoint_name(normed_BTD @ gathered(layer["up"], "embed", "ff"), "up")
    activated_BTF = activation(up_BTF) if gate_BTF is None else activation(gate_BTF) * up_BTF
    return x_BTD + summed("btf,fd->btd", activated_BTF, down_FD, "batch", "sequence", None)


def layers(params: Params) -> Params:
    """The weights of all layers, stacked [L, ...], as `jax.lax.scan` takes them; a shared bias stays out."""
    stacked = {name: params[name] for name in LAYER_WEIGHTS if name in params}
    if params["relative_bias"].shape[0] == params["query"].shape[0]:
        stacked["relative_bias"] = params["relative_bias"]
    return stacked


def layer_bias(params: Params, layer: Params) -> jax.Array:
    """The bias table [H, R] of one layer, its own or the shared one."""
    return layer.get("relative_bias", params["relative_bias"][0])


Remat = Literal["none", "minimal", "full"]
REMAT = {
    "none": lambda block: block,
    "minimal": partial(
        jax.checkpoint, policy=jax.checkpoint_policies.save_only_these_names("qkv", "mixed", "attended", "gate", "up")
    ),
    "full": jax.checkpoint,
}
"""What the backward pass computes again: nothing, all but the results of the matrix products, or everything."""


def forward(
    params: Params,
    tokens_BT: jax.Array,
    segments_BT: jax.Array,
    config: ModelConfig,
    *,
    remat: Remat = "none",
) -> jax.Array:
    """Hidden states [B, T, D] after the final norm. Attention is causal and stays inside a segment."""
    T = tokens_BT.shape[1]
    position_T = jnp.arange(T)
    causal_TS = position_T[:, None] >= position_T[None, :]
    visible_BTS = causal_TS & (segments_BT[:, :, None] == segments_BT[:, None, :])
    mask_B1TS = jnp.where(visible_BTS, 0.0, -1e30)[:, None]

    def block(x_BTD: jax.Array, layer: Params) -> tuple[jax.Array, None]:
        bias_HTS = bias_of_distance(layer_bias(params, layer), position_T, position_T, config)
        query, key, value = project(x_BTD, layer)
        return close_block(x_BTD, attend(query, key, value, bias_HTS + mask_B1TS), layer, config), None

    unroll = config.num_layers <= UNROLLED
    embedded_BTD = take(params["embed"], tokens_BT, "batch", "sequence", None)
    x_BTD, _ = jax.lax.scan(REMAT[remat](block), embedded_BTD, layers(params), unroll=unroll)
    return place(rms_norm(x_BTD, params["norm_final"]), "batch", None, None)


def logits(params: Params, hidden_BTD: jax.Array) -> jax.Array:
    """Next-token logits [B, T, V], float32, by the tied embedding scaled with D^-1/2."""
    embed_VD = gathered(params["embed"], "vocab", "embed")
    scale = embed_VD.shape[1] ** -0.5
    return jnp.einsum("...d,vd->...v", hidden_BTD * scale, embed_VD, preferred_element_type=jnp.float32)
