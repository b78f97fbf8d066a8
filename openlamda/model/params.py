"""Every weight in one table: name, shape, logical axes, first values. Counting, initialising and saving read it.

Axes: L layers, D model, H heads, K head size, F feed-forward, V vocabulary, R buckets of relative distance.
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from openlamda.model.config import ModelConfig
from openlamda.model.sharding import on_mesh, spec

Params = dict[str, jax.Array]


class Weight(NamedTuple):
    """One weight, its layers stacked on the first axis for `jax.lax.scan`."""

    shape: tuple[int, ...]
    axes: tuple[str | None, ...]
    init: Literal["normal", "uniform", "ones"]
    std: float = 1.0


def table(config: ModelConfig) -> dict[str, Weight]:
    """name -> Weight. Spreads are those of Lingvo's dense LM: attention logits are not divided by sqrt(K), the
    spread of `query` holds it; feed-forward matrices are uniform in +-sqrt(3 / fan_in), that is of std fan_in^-1/2.
    """
    L, D, H, K, F = config.num_layers, config.d_model, config.num_heads, config.d_head, config.d_ff
    V, R = config.vocab_size, config.num_buckets
    B = L if config.relative_bias == "per_layer" else 1
    gate = {"gate": Weight((L, D, F), (None, "embed", "ff"), "uniform", D**-0.5)} if config.gated else {}
    return {
        "embed": Weight((V, D), ("vocab", "embed"), "normal"),
        "relative_bias": Weight((B, H, R), (None, "heads", None), "normal", (H * R) ** -0.5),
        "norm_attention": Weight((L, D), (None, None), "ones"),
        "query": Weight((L, D, H, K), (None, "embed", "heads", None), "normal", (D * K) ** -0.5),
        "key": Weight((L, D, H, K), (None, "embed", "heads", None), "normal", D**-0.5),
        "value": Weight((L, D, H, K), (None, "embed", "heads", None), "normal", D**-0.5),
        "out": Weight((L, H, K, D), (None, "heads", None, "embed"), "normal", (H * K) ** -0.5),
        "norm_ff": Weight((L, D), (None, None), "ones"),
        **gate,
        "up": Weight((L, D, F), (None, "embed", "ff"), "uniform", D**-0.5),
        "down": Weight((L, F, D), (None, "ff", "embed"), "uniform", F**-0.5),
        "norm_final": Weight((D,), (None,), "ones"),
    }


def count(config: ModelConfig) -> int:
    """The exact number of weights."""
    return sum(math.prod(weight.shape) for weight in table(config).values())


def init(config: ModelConfig, key: jax.Array) -> Params:
    """First values of all weights, float32; on a mesh each device makes its own part, and they are the same values."""
    params = {}
    for (name, weight), name_key in zip(table(config).items(), jax.random.split(key, len(table(config))), strict=True):
        place = spec(weight.axes) if on_mesh() else None
        if weight.init == "ones":
            params[name] = jnp.ones(weight.shape, out_sharding=place)
        elif weight.init == "normal":
            params[name] = weight.std * jax.random.normal(name_key, weight.shape, out_sharding=place)
        else:
            bound = weight.std * 3**0.5
            params[name] = jax.random.uniform(name_key, weight.shape, minval=-bound, maxval=bound, out_sharding=place)
    return params
