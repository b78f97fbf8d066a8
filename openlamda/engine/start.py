"""A model directory becomes an engine, on one device or split over several, if it has room there."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax

from openlamda.engine import memory
from openlamda.engine.lanes import KEPT, usual_lanes
from openlamda.engine.layered import layered
from openlamda.engine.local import CACHE_BYTES, LocalModel
from openlamda.model import weights
from openlamda.model.sharding import decode_mesh


def start(directory: Path, devices: int = 1) -> LocalModel:
    """The engine of a model directory. Where memory is short, fewer requests are drawn at a time.

    Raises UserError where the directory holds no model, or the devices cannot share it, or it has no room there.
    """
    found = weights.stored(directory)
    mesh = decode_mesh(devices, found.config)
    left = memory.available(mesh)
    sizes = partial(memory.needs, found.kinds, found.config, mesh, cache_bytes=CACHE_BYTES)
    for groups, lanes, idle in ways(*usual_lanes(mesh)):
        needed = sizes(groups=groups, lanes=lanes + idle)
        if left is None or needed.total <= left:
            with memory.told(directory, needed):
                params = jax.block_until_ready(layered(found, found.config, mesh))
                return LocalModel(params, found.config, groups=groups, lanes=lanes, idle_lanes=idle)
    raise memory.no_room(directory, sizes(groups=1, lanes=1), f"{memory.written(left or 0)} available")


def ways(groups: int, lanes: int) -> Iterator[tuple[int, int, int]]:
    """Numbers of groups, lanes and idle lanes, from what is usual down to the least that can be."""
    while groups > 1:
        yield groups, lanes, KEPT
        groups //= 2
    for idle in range(KEPT, 0, -1):
        yield 1, lanes, idle
    yield from ((1, fewer, 0) for fewer in range(lanes, 0, -1))
