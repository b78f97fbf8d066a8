"""Where arrays live on a mesh: one table from the axes of weights and activations to the axes of the mesh.

The mesh is `replica x data x model`, in JAX's explicit mode: weights and optimizer state are split over data and model,
batches over replica and data, sequences over model between blocks, heads and feed-forward over model inside them. Each
function here hands its array on unchanged where no mesh is set (`jax.set_mesh`), so one device runs the same code.

Inference sets no mesh: its weights lie on one in automatic mode (DECODE), and the compiler splits what is computed with
them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, get_abstract_mesh, get_mesh, reshard
from jax.sharding import PartitionSpec as P
from jax.typing import ArrayLike

from openlamda.errors import UserError
from openlamda.model.config import ModelConfig

MESH_AXES = ("replica", "data", "model")
BATCH = ("replica", "data")
Rules = dict[str | None, str | tuple[str, ...] | None]
RULES: Rules = {
    None: None,
    "batch": BATCH,
    "sequence": "model",  # between blocks only; attention needs it whole
    "embed": "data",  # of weights, gathered for each layer (ZeRO-3); of activations never
    "heads": "model",
    "ff": "model",
    "vocab": "model",
}
DECODE = {axis: None if axis in ("batch", "sequence", "embed") else where for axis, where in RULES.items()}
"""Of inference: weights are whole along `embed`, and of sequences there is one token at a time."""


def make_mesh(sizes: Mapping[str, int], devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of the first devices. Raises UserError for an unknown axis or more devices than there are."""
    for axis, size in sizes.items():
        if axis not in MESH_AXES or size < 1:
            raise UserError(f"mesh: {axis} = {size}, expected positive sizes of {', '.join(MESH_AXES)}")
    shape = tuple(sizes.get(axis, 1) for axis in MESH_AXES)
    devices = list(devices or jax.devices())
    if math.prod(shape) > len(devices):
        raise UserError(f"mesh: {dict(sizes)} takes {math.prod(shape)} devices, there are {len(devices)}")
    return jax.make_mesh(
        shape, MESH_AXES, axis_types=(AxisType.Explicit,) * len(shape), devices=devices[: math.prod(shape)]
    )


def decode_mesh(devices: int, config: ModelConfig) -> Mesh | None:
    """The first devices of this host, to split a model over; None: one device, no mesh.

    Raises UserError where there are fewer, or the heads, d_ff or vocabulary cannot be divided by their number.
    """
    here = jax.local_devices()
    if not 1 <= devices <= len(here):
        expected = "1" if len(here) == 1 else f"1 to {len(here)}"
        raise UserError(f"devices: {devices}, expected {expected}: this host has {len(here)} ({here[0].platform})")
    split = math.gcd(config.num_heads, config.d_ff, config.vocab_size)
    if split % devices:
        sizes = f"{config.num_heads} heads, d_ff {config.d_ff} and a vocabulary of {config.vocab_size}"
        fit = " or ".join(str(n) for n in range(1, len(here) + 1) if split % n == 0)
        raise UserError(f"devices: {devices} cannot share {sizes} alike, expected {fit}")
    if devices == 1:
        return None
    return jax.make_mesh((devices,), ("model",), axis_types=(AxisType.Auto,), devices=here[:devices])


def decode_sharding(mesh: Mesh | AbstractMesh, axes: Sequence[str | None]) -> NamedSharding:
    """Where an array of inference lies, by its axes."""
    return NamedSharding(mesh, spec(axes, DECODE))


def on_mesh() -> bool:
    """Whether a mesh is set."""
    return not get_abstract_mesh().empty


def batch_shards() -> int:
    """Over how many devices the rows of a batch are split."""
    sizes = dict(get_abstract_mesh().shape) if on_mesh() else {}
    return math.prod(sizes.get(axis, 1) for axis in BATCH)


def spec(axes: Sequence[str | None], rules: Rules = RULES) -> P:
    """The PartitionSpec of an array by its axes."""
    return P(*(rules[axis] for axis in axes))


def put(x: ArrayLike, *axes: str | None) -> jax.Array:
    """An array that every host has, onto the devices, split by its axes."""
    if not on_mesh():
        return jnp.asarray(x)
    cells = np.asarray(x)
    return jax.make_array_from_callback(cells.shape, NamedSharding(get_mesh(), spec(axes)), lambda part: cells[part])


def place(x: jax.Array, *axes: str | None) -> jax.Array:
    """`x` within a computation, split by its axes."""
    return reshard(x, spec(axes)) if on_mesh() else x


def gathered(weight: jax.Array, *axes: str | None) -> jax.Array:
    """A weight as a layer multiplies with it: whole along `embed`, its gradient scattered back there."""
    if not on_mesh():
        return weight
    whole = (None if axis == "embed" else RULES[axis] for axis in axes)
    return reshard(weight, P(*whole, reduced=frozenset(BATCH)))


def take(table: jax.Array, index: jax.Array, *axes: str | None, first: bool = False) -> jax.Array:
    """Columns of `table` by `index`, or `first`: its rows; split by the axes of the result."""
    at = table.at[index] if first else table.at[:, index]
    return at.get(out_sharding=spec(axes)) if on_mesh() else at.get()


def summed(equation: str, x: jax.Array, weight: jax.Array, *axes: str | None) -> jax.Array:
    """einsum on a mesh over an axis that is split over `model`: partial sums, then scattered by the result's axes."""
    whole = (None if axis == "sequence" else RULES[axis] for axis in axes)
    partial = jnp.einsum(equation, x, weight, out_sharding=P(*whole, unreduced=frozenset(("model",))))
    return reshard(partial, spec(axes))
