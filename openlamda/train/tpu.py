"""The real train step compiled ahead of time for TPUs that are not here, and what the compiler estimates of it.

Needs Google's `libtpu` beside JAX (proprietary, see its licence): `pip install 'libtpu==0.0.42.*'`. Memory is what the
compiler would allocate. Time is an estimate, never measured: the compiler's cycles of every fusion, taken as often as
their loop runs, and the bytes of every collective over its links, nothing hidden behind anything.
"""

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openlamda.errors import UserError
from openlamda.model.config import ModelConfig
from openlamda.train.lower import step_on
from openlamda.train.plan import CHIPS, flops_per_token


@dataclass(frozen=True)
class Topology:
    """How libtpu names a slice of a chip, and how fast it is."""

    cores: int  # that JAX sees as devices of a chip: two of a v3, one of the others
    gigahertz: float
    shapes: dict[int, str]  # chips -> shape
    options: dict[str, Any]


_TORUS = {"chip_config_name": "megacore", "chips_per_host_bounds": (2, 2, 1), "wrap": (True, True, True)}
TOPOLOGIES = {
    "v3": Topology(2, 0.94, {16: "4x4", 64: "8x8", 256: "16x16", 1024: "32x32"}, {"wrap": (True, True, False)}),
    "v4": Topology(1, 1.05, {64: "4x4x4", 128: "4x4x8", 512: "8x8x8", 1024: "8x8x16"}, _TORUS),
    "v5p": Topology(1, 1.75, {64: "4x4x4", 128: "4x4x8", 512: "8x8x8", 1024: "8x8x16"}, {}),
    "v5e": Topology(1, 1.5, {16: "4x4", 64: "8x8", 256: "16x16"}, {}),
}
# Collective matmuls and asynchronous collectives count cycles twice, so both are off; the last three make
# reduce-scatters of the gradients of weights whose minor axis is split (MaxText sets them for real runs).
COMPILER_OPTIONS: dict[str, str | bool] = {
    "xla_jf_spmd_threshold_for_windowed_einsum_mib": "1000000",
    "xla_tpu_enable_async_collective_fusion": "false",
    "xla_tpu_use_minor_sharding_for_major_trivial_input": "true",
    "xla_tpu_relayout_group_size_threshold_for_reduce_scatter": "1",
    "xla_tpu_assign_all_reduce_scatter_layout": "true",
}
_COLLECTIVES = "all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute"
_BYTES = {"bf16": 2, "f16": 2, "f32": 4, "s32": 4, "u32": 4, "pred": 1, "s8": 1, "u8": 1}


def topology(chip: str, chips: int) -> Topology:
    """Raises UserError for a chip or a number of chips that cannot be compiled for."""
    if chip not in TOPOLOGIES:
        raise UserError(f"compile tpu: no chip {chip!r}, expected one of {', '.join(TOPOLOGIES)}")
    found = TOPOLOGIES[chip]
    if chips not in found.shapes:
        raise UserError(f"compile tpu: {chips} {chip} chips, expected one of {', '.join(map(str, found.shapes))}")
    return found


def compiled(
    config: ModelConfig, chip: str, chips: int, mesh: dict[str, int], rows: int, sequence: int, remat: str, tx: str
) -> dict[str, Any]:
    """What the compiler says of a device: its memory, and estimates of a step's time and of MFU with nothing hidden.

    Cores of one chip split the model axis further. It is compiled in a process of its own. Raises UserError where
    libtpu is missing or the program does not fit.
    """
    found, speed = topology(chip, chips), CHIPS[chip]
    mesh = {**mesh, "model": mesh["model"] * found.cores}
    asked = json.dumps([dataclasses.asdict(config), chip, chips, mesh, rows, sequence, remat, tx])
    quiet = {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "openlamda.train.tpu", asked],
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if re.search("Error|RESOURCE_EXHAUSTED", line)]
        raise UserError(f"compile tpu: {(lines or ['the compiler failed'])[-1].strip()}")
    report = json.loads(run.stdout.splitlines()[-1])
    link = 2 * speed.link / found.cores  # two directions, shared by the cores of a chip
    wire = {"data": 0.0, "model": 0.0}
    for group, size in report.pop("wire_bytes"):
        wire["model" if group == mesh["model"] else "data"] += size
    seconds = {"data": wire["data"] / link / max(1, speed.torus - 1), "model": wire["model"] / link}
    compute = report.pop("cycles") / found.gigahertz / 1e9
    share = flops_per_token(config, sequence) * rows * sequence / (chips * speed.flops)
    return report | {
        "mesh": mesh,
        "memory_share": report["peak_bytes"] * found.cores / speed.memory,
        "compute_seconds": compute,
        "wire_bytes": wire,
        "wire_seconds": seconds,
        "mfu": share / (compute + sum(seconds.values())),
    }


def _compile(
    shape: dict[str, Any],
    chip: str,
    chips: int,
    mesh: dict[str, int],
    rows: int,
    sequence: int,
    remat: str,
    optimizer: str,
) -> dict[str, Any]:
    from jax.experimental import mesh_utils, topologies
    from jax.sharding import AxisType, Mesh

    from openlamda.model.sharding import MESH_AXES

    found = TOPOLOGIES[chip]
    described = topologies.get_topology_desc(
        platform="tpu", topology_name=f"{chip}:{found.shapes[chips]}", **found.options
    )
    sizes = [mesh.get(axis, 1) for axis in MESH_AXES]
    devices = mesh_utils.create_device_mesh(sizes, described.devices, allow_split_physical_axes=True)
    made = Mesh(devices, MESH_AXES, axis_types=(AxisType.Explicit,) * len(MESH_AXES))
    began = time.perf_counter()
    lowered = step_on(made, ModelConfig(**shape), rows, sequence, remat, optimizer)
    done = lowered.compile(compiler_options=COMPILER_OPTIONS)
    memory, found_cost = done.memory_analysis(), cost(done.as_text() or "")
    assert memory is not None
    return {
        "devices": made.size,
        "compile_seconds": time.perf_counter() - began,
        "argument_bytes": memory.argument_size_in_bytes,
        "peak_bytes": memory.argument_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes,
        "cycles": found_cost.cycles,
        "wire_bytes": list(found_cost.wire_bytes.items()),
    }


@dataclass(frozen=True)
class Cost:
    """A program's estimate: cycles of all fusions; bytes that a device sends, by size of the group it sends to."""

    cycles: float
    wire_bytes: dict[int, float]


def cost(hlo: str) -> Cost:
    """Read an optimised TPU program: each instruction counts as often as the loops around it run."""
    computations, entry = _computations(hlo)
    cycles = 0.0
    wire: dict[int, float] = {}
    for line, times, fused in _walk(computations, entry, 1, ""):
        found = re.search(r'"estimated_cycles":"(\d+)"', line)
        if found and not fused:
            cycles += times * int(found[1])
        group, size = _sent(line, "scatter" in fused)
        if size:
            wire[group] = wire.get(group, 0.0) + times * size
    return Cost(cycles, wire)


def _computations(hlo: str) -> tuple[dict[str, list[str]], str]:
    computations: dict[str, list[str]] = {}
    entry = name = ""
    for line in hlo.splitlines():
        opened = re.match(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$", line)
        if opened:
            name = opened[2]
            computations[name] = []
            entry = name if opened[1] else entry
        elif line.startswith("}"):
            name = ""
        elif name:
            computations[name].append(line)
    return computations, entry


def _walk(computations: dict[str, list[str]], name: str, times: int, fused: str) -> Iterator[tuple[str, int, str]]:
    """Every instruction reached from `name`, how often it runs, and the fusion it is part of."""
    for line in computations.get(name, ()):
        yield line, times, fused
        loop = re.search(r" while\(.*condition=%([\w.\-]+), body=%([\w.\-]+)", line)
        called = re.search(r"(?:calls|to_apply)=%([\w.\-]+)", line)
        if loop:
            bounds = re.findall(r"s32\[\]\S* constant\((\d+)\)", "\n".join(computations[loop[1]]))
            yield from _walk(computations, loop[2], times * max(map(int, bounds), default=1), fused)
        elif called and " fusion(" in line:
            yield from _walk(computations, called[1], times, called[1])
        elif called and (" call(" in line or "async-start" in line):
            yield from _walk(computations, called[1], times, fused)


def _sent(line: str, scattered: bool) -> tuple[int, float]:
    """(devices of the group, bytes that one sends) of a collective; an all-reduce that is `scattered` sends half."""
    found = re.match(
        rf"\s*(?:ROOT )?%[\w.\-]+ = (.+?) ({_COLLECTIVES})(?:-start)?\(",
        line,
    )
    if not found:
        return 1, 0.0
    shape, kind = found.groups()
    size = sum(
        _BYTES.get(dtype, 4) * math.prod(int(n) for n in sizes.split(",") if n)
        for dtype, sizes in re.findall(r"(\w+)\[([\d,]*)\]", shape)
    )
    group = _group(line)
    rest = (group - 1) / group
    return group, {
        "all-gather": size * rest,
        "all-reduce": size * rest * (1 if scattered else 2),
        "reduce-scatter": size * (group - 1),
        "all-to-all": size * rest,
        "collective-permute": float(size),
    }[kind]


def _group(line: str) -> int:
    """How many devices a collective joins, in any of the three notations."""
    if named := re.search(r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\(.*?\))? \{([^}]*)\}", line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", named[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", named[2]))
    if counted := re.search(r"replica_groups=\[(\d+),(\d+)\]", line):
        return int(counted[2])
    if listed := re.search(r"replica_groups=\{\{([\d,]*)\}", line):
        return listed[1].count(",") + 1
    return 1


if __name__ == "__main__":
    print(json.dumps(_compile(*json.loads(sys.argv[1]))))
