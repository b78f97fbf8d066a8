"""Whether a model has room in a device's memory, told before it is read.

Takes shapes and the devices, gives numbers or a UserError in one line. Knows nothing of what the arrays hold.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from openlamda.engine.base import Sampling
from openlamda.engine.lanes import CANDIDATES, STEPS_KEPT
from openlamda.engine.padding import padded_size
from openlamda.errors import UserError
from openlamda.model.config import ModelConfig
from openlamda.model.quantized import activation_dtype, axes_of
from openlamda.model.sharding import decode_sharding

PREFIX = 512  # tokens of a usual request: a dialog and what was looked up


@dataclass(frozen=True)
class Needs:
    """Bytes that a model takes on each of some devices, by what for. `hint`: what takes less."""

    parts: Mapping[str, int]
    devices: int
    hint: str

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        parts = " + ".join(f"{name} {written(size)}" for name, size in self.parts.items() if size)
        where = f" on each of {self.devices} devices" if self.devices > 1 else ""
        return f"{parts} = {written(self.total)}{where}"


def needs(
    kinds: Mapping[str, jax.ShapeDtypeStruct],
    config: ModelConfig,
    mesh: Mesh | None,
    *,
    cache_bytes: int,
    groups: int,
    lanes: int,
) -> Needs:
    """What weights of such shapes and dtypes take, with `lanes` lanes of so many groups of requests (lanes.py) of the
    usual size. A CPU makes floats of int8 weights while it draws, all of them.
    """

    def size(kind: jax.ShapeDtypeStruct, name: str, dtype: np.dtype) -> int:
        split = decode_sharding(mesh, axes_of(name, config)).shard_shape(kind.shape) if mesh else kind.shape
        return prod(split) * dtype.itemsize

    devices, on_cpu = mesh.size if mesh else 1, _device(mesh).platform == "cpu"
    dtype = activation_dtype(kinds, mesh is not None)
    rounded = {name: kind for name, kind in kinds.items() if kind.dtype == jnp.int8}
    token = 2 * config.num_layers * config.num_heads * config.d_head * dtype.itemsize // devices
    tokens = PREFIX + CANDIDATES[-1] * padded_size(Sampling().max_tokens + 1, STEPS_KEPT)
    parts = {
        "weights": sum(size(kind, name, kind.dtype) for name, kind in kinds.items()),
        "copies of int8 weights": on_cpu * sum(size(kind, name, dtype) for name, kind in rounded.items()),
        "caches": cache_bytes // devices,
        "drawing": lanes * groups * tokens * token,
    }
    ways = ["more memory"] if on_cpu else ["more devices (--devices)"]
    if not rounded and not on_cpu:
        ways = ["int8 weights (openlamda model convert)", *ways]
    return Needs(parts, devices, " or ".join([*ways, "a smaller model"]))


def available(mesh: Mesh | None = None) -> int | None:
    """Bytes left on the device, or on each of the mesh; None where that cannot be known."""
    if _device(mesh).platform == "cpu":
        here = host_memory()
        return here and here // (mesh.size if mesh else 1)
    stats = [device.memory_stats() or {} for device in (mesh.devices.flat if mesh else [_device(mesh)])]
    left = [each["bytes_limit"] - each.get("bytes_in_use", 0) for each in stats if "bytes_limit" in each]
    return min(left, default=None)


def host_memory(root: Path = Path("/")) -> int | None:
    """Bytes that programs can still have on this host: by /proc, or where there is none all that is built in, and no
    more than its control groups let this one have.
    """
    try:
        lines = (line.split() for line in (root / "proc/meminfo").read_text().splitlines())
        here = next(1024 * int(words[1]) for words in lines if words[0] == "MemAvailable:")
    except (OSError, StopIteration, ValueError, IndexError):
        try:
            here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # Windows
            return None
    return min([here, *_groups_left(root)])


def _groups_left(root: Path) -> Iterator[int]:
    """Bytes that each control group of this process, from its own upwards, still lets it have."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in (group for group in groups if len(group) == 3):
        if controllers == "":
            base, limit, usage, cache = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit, usage = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        inside = Path(path.lstrip("/"))
        for folder in (inside, *inside.parents):
            try:
                most, used = (int((root / base / folder / name).read_text()) for name in (limit, usage))
                stat = dict(line.split() for line in (root / base / folder / "memory.stat").read_text().splitlines())
                yield max(0, most - used + int(stat.get(cache, 0)))
            except (OSError, ValueError):  # no such group to be seen here, or "max"
                continue


def no_room(where: object, needed: Needs, left: str) -> UserError:
    """What tells that less is left than needed."""
    return UserError(f"{where}: {needed}, {left}; expected {needed.hint}")


@contextmanager
def told(where: object, needed: Needs) -> Iterator[None]:
    """Makes a UserError of what a device, or the host, says when its memory is full."""
    try:
        yield
    except MemoryError:
        raise no_room(where, needed, "the host has less") from None
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise no_room(where, needed, "the device has less") from None


def _device(mesh: Mesh | None) -> Any:
    return mesh.devices.flat[0] if mesh else jax.local_devices()[0]


def written(size: int) -> str:
    """A number of bytes, for people."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
