"""The LaMDA decoder: T5 relative attention, pre-RMSNorm, gated feed-forward, tied embedding, no biases.

Takes token ids, weights and a mask, gives hidden states; plain functions over a dict of arrays. Knows nothing of tasks,
sampling or meshes. Axes: B batch, T query tokens, S key tokens, D model, H heads, K head size, F feed-forward,
V vocabulary, L layers, R buckets of relative distance.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.typing import ArrayLike

from openlamda.model import adapters
from openlamda.model.attention import attend_rows
from openlamda.model.config import Activation, ModelConfig
from openlamda.model.params import Params
from openlamda.model.products import from_heads, linear, narrow, row_sum, to_heads, to_vocabulary
from openlamda.model.quantized import SCALE, activation_dtype
from openlamda.model.sharding import gathered, on_mesh, place, spec, take

FEW_ROWS = 256  # are drawn in one step, or fewer
UNROLLED = 8  # up to so many layers are compiled one by one: a scan that saves activations costs a CPU half its time
LAYER_WEIGHTS = ("norm_attention", "query", "key", "value", "out", "norm_ff", "gate", "up", "down")


@jax.custom_jvp
def _gelu(x: jax.Array) -> jax.Array:
    """Hendrycks and Gimpel's by tanh, as T5 and Lingvo have it; its derivative is written out to take one tanh."""
    return _gelu_and_slope(x)[0]


@_gelu.defjvp
def _gelu_tangent(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y, slope = _gelu_and_slope(*primals)
    return y, slope * tangents[0]


def _gelu_and_slope(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    a, b, square = math.sqrt(2 / math.pi), 0.044715, x * x
    tanh = jnp.tanh(x * (a + a * b * square))
    share = 0.5 + 0.5 * tanh
    return x * share, share + 0.5 * x * (1 - tanh * tanh) * (a + 3 * a * b * square)


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


def embedded(params: Params, tokens: ArrayLike, *axes: str | None) -> jax.Array:
    """The embedding's rows [..., D] of token ids [...], of `activation_dtype`; on a mesh split by `axes`."""
    tokens = jnp.asarray(tokens)
    rows, dtype = take(params["embed"], tokens, *axes, first=True), activation_dtype(params, on_mesh())
    if "embed" + SCALE not in params:
        return rows.astype(dtype)
    scale = take(params["embed" + SCALE], tokens, *axes[:-1], first=True)
    return (rows * scale[..., None]).astype(dtype)


def rms_norm(x_BTD: jax.Array, scale_D: jax.Array) -> jax.Array:
    """x scaled to a mean square of 1 over D, in float32; no mean is taken away."""
    x32 = x_BTD.astype(jnp.float32)
    square = x32 * x32
    drawn = math.prod(x_BTD.shape[:-1]) <= FEW_ROWS  # then each row's bits are the same in any company
    mean = row_sum(square)[..., None] / x32.shape[-1] if drawn else jnp.mean(square, -1, keepdims=True)
    normed = x32 * jax.lax.rsqrt(mean + 1e-6)
    return (normed * scale_D).astype(x_BTD.dtype)


def project(x_BTD: jax.Array, layer: Params) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Query, key and value [B, H, T, K] of a layer's input."""
    normed_BTD = place(rms_norm(x_BTD, layer["norm_attention"]), "batch", None, None)
    names = ("query", "key", "value")
    weights = ((gathered(layer[name], "embed", "heads", None), layer.get(name + SCALE)) for name in names)
    query, key, value = (checkpoint_name(to_heads(normed_BTD, *weight), "qkv") for weight in weights)
    return query, key, value


def close_block(
    x_BTD: jax.Array, mixed_BHTK: jax.Array, layer: Params, config: ModelConfig, drop: "Drop | None" = None
) -> jax.Array:
    """The rest of a block after attention: output projection, then the feed-forward, each added to x."""
    drop = drop or _keep
    mixed_BHTK = checkpoint_name(mixed_BHTK, "mixed")
    out_HKD, down_FD = gathered(layer["out"], "heads", None, "embed"), gathered(layer["down"], "ff", "embed")
    x_BTD = x_BTD + drop(from_heads(mixed_BHTK, out_HKD, layer.get("out" + SCALE)), 0)
    x_BTD = checkpoint_name(x_BTD, "attended")
    normed_BTD = place(rms_norm(x_BTD, layer["norm_ff"]), "batch", None, None)
    activation = ACTIVATIONS[config.activation]
    up_BTF = linear(normed_BTD, gathered(layer["up"], "embed", "ff"), layer.get("up" + SCALE))
    up_BTF = checkpoint_name(up_BTF, "up")
    if config.gated:
        gate_BTF = linear(normed_BTD, gathered(layer["gate"], "embed", "ff"), layer.get("gate" + SCALE))
        inner_BTF: jax.Array = gated(activation, checkpoint_name(gate_BTF, "gate"), up_BTF)
    else:
        inner_BTF = activation(up_BTF)
    return x_BTD + drop(narrow(inner_BTF, down_FD, layer.get("down" + SCALE)), 1)


Drop = Callable[[jax.Array, int], jax.Array]
"""What a block adds to x, attention's part (0) or the feed-forward's (1), with some of it left out."""


def _keep(added_BTD: jax.Array, part: int) -> jax.Array:
    return added_BTD


class Dropout(NamedTuple):
    """Training leaves out `rate` of what each block adds, at random by `key`, and scales up the rest (Srivastava et al.
    2014), as T5 does when it is fine-tuned.
    """

    rate: float
    key: jax.Array

    def of_layer(self, number: jax.Array) -> Drop:
        """The dropout of one layer."""

        def drop(added_BTD: jax.Array, part: int) -> jax.Array:
            key = jax.random.fold_in(jax.random.fold_in(self.key, number), part)
            where = spec(("batch", None, None)) if on_mesh() else None
            kept_BTD = jax.random.uniform(key, added_BTD.shape, out_sharding=where) >= self.rate
            return jnp.where(kept_BTD, added_BTD / (1 - self.rate), 0).astype(added_BTD.dtype)

        return drop


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def gated(activation: Callable[[jax.Array], jax.Array], gate: jax.Array, up: jax.Array) -> jax.Array:
    """activation(gate) * up, of one shape; nothing in between is kept for the backward pass, to spare memory."""
    return activation(gate) * up


def _gated_forward(activation, gate, up):
    return activation(gate) * up, (gate, up)


def _gated_backward(activation, saved, grad):
    gate, up = saved
    active, slope = jax.jvp(activation, (gate,), (jnp.ones_like(gate),))
    return grad * up * slope, grad * active


gated.defvjp(_gated_forward, _gated_backward)


def layers(params: Params) -> Params:
    """The weights of all layers, their scales and adapters, stacked [L, ...], as `jax.lax.scan` takes them; a shared
    bias stays out.
    """
    stacked = {name: params[name] for name in params if name.split(".")[0] in LAYER_WEIGHTS}
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
    dropout: Dropout | None = None,
) -> jax.Array:
    """Hidden states [B, T, D] after the final norm. Attention is causal and stays inside a segment."""

    def block(x_BTD: jax.Array, inputs: tuple[jax.Array, Params]) -> tuple[jax.Array, None]:
        number, layer = inputs
        layer = adapters.merged(layer)
        table_HR = layer_bias(params, layer)
        mixed_BHTK = attend_rows(*project(x_BTD, layer), table_HR, segments_BT, config, lean=remat != "none")
        return close_block(x_BTD, mixed_BHTK, layer, config, dropout and dropout.of_layer(number)), None

    unroll = config.num_layers <= UNROLLED
    embedded_BTD = embedded(params, tokens_BT, "batch", "sequence", None)
    numbered = (jnp.arange(config.num_layers), layers(params))
    x_BTD, _ = jax.lax.scan(REMAT[remat](block), embedded_BTD, numbered, unroll=unroll)
    return place(rms_norm(x_BTD, params["norm_final"]), "batch", None, None)


def logits(params: Params, hidden_BTD: jax.Array) -> jax.Array:
    """Next-token logits [B, T, V], float32, by the tied embedding scaled with D^-1/2."""
    embed_VD = gathered(params["embed"], "vocab", "embed")
    return to_vocabulary(hidden_BTD * embed_VD.shape[1] ** -0.5, embed_VD, params.get("embed" + SCALE))
