"""Matrices in int8, symmetric, with one float32 scale for each output of a product with them: W = Q s.

A weight "query" [L, D, H, K] has "query.scale" [L, H, K] beside it among the weights; "embed" [V, D], which is looked
up as well, a scale for each row [V]. An output's scale is the same for all that is summed, so x W = (x Q) s: products
multiply by s last (products.py). Norms and biases are never int8. Axes: L layers and the weight's own.
"""

from collections.abc import Mapping
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.model import adapters
from openlamda.model.config import ModelConfig
from openlamda.model.params import table

SCALE = ".scale"
SUMMED = {"embed": 1, **adapters.SUMMED}
"""Weights that may be int8: over how many axes, after the first, a product with each sums."""
SMALLEST = 1e-30  # scale, so that outputs of zeros have one

Array = jax.Array | np.ndarray
Axis = TypeVar("Axis")


def scale_shape(name: str, shape: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The shape of a weight's scales by the weight's; or their axes by its axes."""
    return shape[:1] + shape[1 + SUMMED[name] :]


def axes_of(name: str, config: ModelConfig) -> tuple[str | None, ...]:
    """The axes of a weight, or of a weight's scales."""
    weight = name.removesuffix(SCALE)
    axes = table(config)[weight].axes
    return axes if weight == name else scale_shape(weight, axes)


def quantize(params: Mapping[str, Array]) -> dict[str, Array]:
    """The weights with each float matrix as int8 and its scales beside it; |w - q s| <= s / 2. What is int8 stays."""
    new = dict(params)
    for name in params.keys() & SUMMED.keys():
        if name + SCALE not in params:
            weight, axes = jnp.asarray(params[name], jnp.float32), _summed(name)
            scale = jnp.maximum(jnp.max(jnp.abs(weight), axes, keepdims=True) / 127, SMALLEST)
            new[name] = jnp.round(weight / scale).astype(jnp.int8)
            new[name + SCALE] = scale.squeeze(axes)
    return new


def dequantize(params: Mapping[str, Array]) -> dict[str, Array]:
    """The weights with each int8 matrix times its scales, float32, and no scales; what is float stays."""
    new = {name: weight for name, weight in params.items() if not name.endswith(SCALE)}
    for name in new:
        if name + SCALE in params:
            scale = jnp.expand_dims(params[name + SCALE], _summed(name))
            new[name] = jnp.asarray(params[name], jnp.float32) * scale
    return new


def compute_dtype(params: Mapping[str, Array | jax.ShapeDtypeStruct]) -> np.dtype:
    """What products take: the embedding's dtype, or where that is int8, the final norm's."""
    return params["norm_final" if "embed" + SCALE in params else "embed"].dtype


def activation_dtype(params: Mapping[str, Array | jax.ShapeDtypeStruct], on_mesh: bool) -> np.dtype:
    """What activations and caches are: as products take them, but on a CPU float32, since it has instructions for
    products of bfloat16 and for nothing else. Simulated devices are no CPU in this.
    """
    alone = jax.default_backend() == "cpu" and not on_mesh
    return np.dtype(np.float32) if alone else compute_dtype(params)


def _summed(name: str) -> tuple[int, ...]:
    return tuple(range(1, 1 + SUMMED[name]))
