"""Low-rank adapters: beside a frozen matrix W two thin ones, so that the layer multiplies by W + A B (LoRA, Hu et al.
2021, arXiv 2106.09685).

A weight "query" [L, D, H, K] has "query.lora_a" [L, D, r] and "query.lora_b" [L, r, H, K] beside it among the weights.
Axes: L layers, r rank, and the weight's own.
"""

from collections.abc import Sequence
from math import prod

import jax
import jax.numpy as jnp

from openlamda.model.config import ModelConfig
from openlamda.model.params import Params, table
from openlamda.model.sharding import on_mesh, spec

SUMMED = {"query": 1, "key": 1, "value": 1, "out": 2, "gate": 1, "up": 1, "down": 1}
"""How many axes, after that of the layers, a product with this weight sums over; the rest it gives."""
A, B = ".lora_a", ".lora_b"


def init(config: ModelConfig, names: Sequence[str], rank: int, key: jax.Array) -> Params:
    """Adapters of the named weights, float32: A random of spread 1 / sqrt(inputs), B zero, so W + A B begins as W."""
    adapters = {}
    for name, name_key in zip(names, jax.random.split(key, len(names)), strict=True):
        weight, split = table(config)[name], 1 + SUMMED[name]
        shape_a, shape_b = (*weight.shape[:split], rank), (weight.shape[0], rank, *weight.shape[split:])
        axes_a, axes_b = (*weight.axes[:split], None), (None, None, *weight.axes[split:])
        place_a, place_b = (spec(axes) if on_mesh() else None for axes in (axes_a, axes_b))
        adapters[name + A] = prod(weight.shape[1:split]) ** -0.5 * jax.random.normal(
            name_key, shape_a, out_sharding=place_a
        )
        adapters[name + B] = jnp.zeros(shape_b, out_sharding=place_b)
    return adapters


def merged(layer: Params) -> Params:
    """The weights of one layer with W + A B for each W that has adapters, and no adapters."""
    whole = {name: weight for name, weight in layer.items() if not name.endswith((A, B))}
    for name in whole:
        if name + A in layer:
            whole[name] += jnp.tensordot(layer[name + A], layer[name + B], axes=1)
    return whole


@jax.jit
def merged_layers(params: Params) -> Params:
    """As `merged`, of all layers stacked: the model's own weights again, as they are saved."""
    stacked = {name: weight for name, weight in params.items() if name.split(".")[0] in SUMMED}
    return {name: weight for name, weight in params.items() if name not in stacked} | jax.vmap(merged)(stacked)
