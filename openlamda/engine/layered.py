"""Weights as the engine reads them: layer by layer, so that no layer is copied out of a stack at every step; on one
device, or split over several (model/sharding.py, DECODE). What is computed with them, the compiler splits as they are.

On a CPU without AMX matrices lie turned, a row for each output, as products of few rows read them
(model/products.py). Axes: D model, H heads, K head size, I in, O out.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from openlamda.model import weights
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.quantized import SUMMED, axes_of, compute_dtype
from openlamda.model.sharding import decode_sharding
from openlamda.model.transformer import LAYER_WEIGHTS

MATRICES = ("query", "key", "value", "out", "gate", "up", "down")
TURNED = ".T"


class Layered(NamedTuple):
    """The weights outside of layers, and those of each layer with its bias table, as they lie in memory: what is named
    "up.T" is "up" turned [O, I].
    """

    top: Params
    kept: tuple[Params, ...]

    @property
    def layers(self) -> tuple[Params, ...]:
        """The weights of each layer, within a computation."""
        return tuple(map(unturned, self.kept))

    @property
    def mesh(self) -> Mesh | None:
        """The devices that they are split over, if there are several; not within a computation."""
        mesh = getattr(self.top["embed"].sharding, "mesh", None)
        return mesh if isinstance(mesh, Mesh) else None


def layered(params: Mapping[str, jax.Array | np.ndarray], config: ModelConfig, mesh: Mesh | None = None) -> Layered:
    """The weights of a model, its layers apart; a shared bias table belongs to each of them.

    Weights are taken one after another, so that they need not be in memory together, and of what the host has a device
    gets no more than its part.
    """

    def put(weight: jax.Array | np.ndarray, axes: tuple[str | None, ...]) -> jax.Array:
        return jax.device_put(weight, None if mesh is None else decode_sharding(mesh, axes))

    on_cpu = mesh is None and jax.default_backend() == "cpu"
    turning = on_cpu and compute_dtype(params) == np.float32 and not weights.multiplies_bfloat16()
    top: Params = {}
    layers: list[Params] = [{} for _ in range(config.num_layers)]
    for name, weight in params.items():
        axes = () if mesh is None else axes_of(name, config)
        if turning and name in MATRICES:
            for n, layer in enumerate(layers):
                layer[name + TURNED] = put(_turned(name, weight[n]), ())
        elif name.split(".")[0] in LAYER_WEIGHTS or (name, config.relative_bias) == ("relative_bias", "per_layer"):
            for n, layer in enumerate(layers):
                layer[name] = put(weight[n], axes[1:])
        else:
            top[name] = put(weight, axes)
    if "relative_bias" in top:
        layers = [{**layer, "relative_bias": top["relative_bias"][0]} for layer in layers]
    return Layered(top, tuple(layers))


def _turned(name: str, weight: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    """A layer's weight [O, I] of its [I, O], which are [D, H, K] or [H, K, D] of attention."""
    return weight.reshape(math.prod(weight.shape[: SUMMED[name]]), -1).T


def unturned(layer: Params) -> Params:
    """A layer's weights, within a computation: the compiler takes a turned one as it lies."""
    return {name.removesuffix(TURNED): _back(name, layer) for name in layer}


def _back(name: str, layer: Params) -> jax.Array:
    """The weight that `_turned` turned."""
    weight = layer[name]
    if not name.endswith(TURNED):
        return weight
    weight_IO, H = weight.T, layer["relative_bias"].shape[0]
    if name == "out" + TURNED:
        return weight_IO.reshape(H, -1, weight.shape[0])
    if name.removesuffix(TURNED) in ("query", "key", "value"):
        return weight_IO.reshape(len(weight_IO), H, -1)
    return weight_IO


def whole(x: jax.Array, weights: Layered, *axes: str | None) -> jax.Array:
    """`x` within a computation that makes it split by its axes, as the weights are, then whole on each device."""
    mesh = jax.typeof(weights.top["embed"]).sharding.mesh
    if mesh.empty:
        return x
    parts = jax.lax.with_sharding_constraint(x, decode_sharding(mesh, axes))  # else a weight might be made whole
    return jax.lax.with_sharding_constraint(parts, decode_sharding(mesh, ()))
