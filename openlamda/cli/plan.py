"""`openlamda plan`."""

import dataclasses
import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from openlamda.config import assigned
from openlamda.errors import UserError
from openlamda.model.config import PRESETS, changed

if TYPE_CHECKING:
    from openlamda.train.plan import Plan

GIB = 2**30


def plan(
    preset: str,
    *overrides: str,
    chips: str = "v3-1024",
    mesh: str = "",
    sequence: int = 1024,
    batch_tokens: int = 262_144,
    steps: int = 1,
    days: float | None = None,
    remat: Literal["none", "minimal", "full"] = "minimal",
    optimizer: Literal["adafactor", "adamw"] = "adafactor",
    compile: Annotated[list[Literal["cpu", "tpu"]] | None, Parameter(consume_multiple=True, negative=())] = None,
    json: bool = False,
) -> None:
    """What a training run would take, before a chip is rented: memory, traffic, time, energy, and what does not fit.

    All times are estimates on paper.

    Example: openlamda plan 137b --chips v3-1024 --steps 3000000 --days 57.7

    Parameters
    ----------
    preset
        nano, 2b, 8b or 137b.
    overrides
        Fields of its shape changed, as key=value (activation=swiglu, d_ff=43690; see `openlamda model show --help`).
    chips
        Kind and number: v3, v4, v5e, v5p, v6e, a100, h100 or h200, and how many, as v4-512.
    mesh
        DATAxMODEL or REPLICAxDATAxMODEL; chosen to balance traffic if left out.
    sequence
        Tokens of a row.
    batch_tokens
        Tokens of a step.
    steps
        Steps of the run.
    days
        How long there is; a longer run is a problem.
    remat
        What the backward pass computes again: none, minimal (all but products) or full.
    optimizer
        adafactor or adamw.
    compile
        Also compile the real train step for as many simulated devices (half a minute); `--compile tpu`: for the TPUs
        themselves, which takes libtpu (minutes), and gives their memory and estimates of time.
    json
        Print one object.
    """
    from openlamda.train.plan import plan as make_plan  # brings jax: not for --help

    if preset not in PRESETS:
        raise UserError(f"preset {preset!r}, expected one of {', '.join(PRESETS)}")
    chip, _, number = chips.partition("-")
    if not _count(number):
        raise UserError(f"chips {chips!r}, expected a kind and a number as v3-1024")
    config = changed(PRESETS[preset], assigned(overrides))
    found = make_plan(
        config,
        chip,
        int(number),
        mesh=_mesh(mesh),
        sequence=sequence,
        tokens_per_step=batch_tokens,
        steps=steps,
        days=days,
        remat=remat,
        optimizer=optimizer,
    )
    report: dict[str, Any] = {"preset": preset, "chips": chips, **dataclasses.asdict(found)}
    rows = batch_tokens // sequence
    if compile is not None and "tpu" in compile:
        from openlamda.train import tpu

        made = tpu.compiled(config, chip, int(number), found.mesh, rows, sequence, remat, optimizer)
        report["compiled_for_tpu"] = made
    elif compile is not None:
        from openlamda.train.lower import compiled

        report["compiled"] = compiled(config, found.mesh, rows, sequence, remat, optimizer)
    if json:
        print(jsonlib.dumps(report, indent=2))
    else:
        _show(found, report)


def _mesh(text: str) -> tuple[int, int, int] | None:
    if not text:
        return None
    sizes = text.split("x")
    if len(sizes) not in (2, 3) or not all(map(_count, sizes)):
        raise UserError(f"mesh {text!r}, expected DATAxMODEL or REPLICAxDATAxMODEL as 64x16")
    numbers = [int(size) for size in sizes]
    replicas, data, model = numbers if len(numbers) == 3 else (1, *numbers)
    return replicas, data, model


def _show(found: "Plan", report: dict[str, Any]) -> None:
    rows = Table(f"{report['preset']} on {report['chips']}", "", show_header=True)
    needed = found.state_bytes + found.activation_bytes + found.working_bytes
    lines = {
        "parameters": f"{found.parameters:,}",
        "mesh": " x ".join(f"{name} {size}" for name, size in found.mesh.items()),
        "FLOPs a step": f"{found.flops_per_step:.4g} for {found.tokens_per_step:,} tokens",
        "memory a device": f"{needed / GIB:.2f} of {found.memory_bytes / GIB:.1f} GiB "
        f"(state {found.state_bytes / GIB:.2f}, activations {found.activation_bytes / GIB:.2f}, "
        f"working {found.working_bytes / GIB:.2f})",
        "traffic a device": ", ".join(f"{axis} {size / 1e9:.1f} GB" for axis, size in found.wire_bytes.items() if size)
        or "none",
        "step (estimate)": f"{found.compute_seconds:.3g} s of products, "
        f"{sum(found.wire_seconds.values()):.3g} s of traffic",
        "MFU (estimate)": ", ".join(
            f"{share:.1%} with {name} of the traffic hidden" for name, share in found.mfu.items()
        ),
        "run (estimate)": f"{found.steps:,} steps, {found.days:,.3g} days, {found.megawatt_hours:,.4g} MWh, "
        f"{found.tonnes_co2e:,.3g} t CO2e",
    }
    if "compiled" in report:
        compiled = report["compiled"]
        seconds = compiled["lower_seconds"] + compiled["compile_seconds"]
        lines["compiled"] = (
            f"{compiled['devices']} simulated devices, {seconds:.0f} s, "
            f"{compiled['argument_bytes'] / GIB:.3f} GiB of arguments a device"
        )
    if "compiled_for_tpu" in report:
        made = report["compiled_for_tpu"]
        lines["compiled for TPU"] = (
            f"{made['devices']} devices, {made['compile_seconds']:.0f} s, peak {made['peak_bytes'] / GIB:.2f} GiB "
            f"a device ({made['memory_share']:.0%}), {made['argument_bytes'] / GIB:.3f} GiB of it arguments"
        )
        lines["by its compiler (estimate)"] = (
            f"{made['compute_seconds']:.3g} s of work, {sum(made['wire_seconds'].values()):.3g} s of traffic, "
            f"MFU {made['mfu']:.1%} with nothing hidden"
        )
    for name, text in lines.items():
        rows.add_row(name, text)
    for problem in found.problems:
        rows.add_row("[red]problem[/red]", problem)
    if not found.problems:
        rows.add_row("problems", "none")
    Console().print(rows)


def _count(text: str) -> int:
    """A whole number in ASCII digits; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() else 0
