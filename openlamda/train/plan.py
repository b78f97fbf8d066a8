"""What a training run takes, on paper: operations, memory, traffic, time, energy, and what does not fit.

Arithmetic alone; knows nothing of JAX. Every time is an estimate by a roofline: products at the chips' peak less what a
matrix unit loses, traffic at the links' speed. Axes as in params.py, and X data, Y model shards of one replica.
"""

import math
from dataclasses import dataclass
from typing import Literal

from openlamda.errors import UserError
from openlamda.model.config import ModelConfig
from openlamda.model.params import count, table

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """One accelerator. `link` is one direction of one link; a torus has two directions an axis."""

    flops: float  # bfloat16 FLOP/s
    memory: float  # bytes
    link: float  # bytes/s
    torus: int  # axes of the torus; the last goes to the model axis, the others to the data axis
    watts: float  # average system power an accelerator


CHIPS = {  # vendors' public figures; v3's power is the one the paper uses (section 10)
    "v3": Chip(123e12, 31 * GIB, 82e9, 2, 289),
    "v4": Chip(275e12, 30.75 * GIB, 45e9, 3, 192),
    "v5e": Chip(197e12, 15.75 * GIB, 45e9, 2, 200),
    "v5p": Chip(459e12, 95 * GIB, 90e9, 3, 400),
    "v6e": Chip(918e12, 31.25 * GIB, 90e9, 2, 300),
    "a100": Chip(312e12, 80e9, 25e9, 2, 600),  # GPUs: a network link of 200 or 400 Gbit/s each, no NVLink counted
    "h100": Chip(989e12, 80e9, 50e9, 2, 1100),
    "h200": Chip(989e12, 141e9, 50e9, 2, 1100),
}
MATRIX_EFFICIENCY = 0.93  # of peak, a large product alone
PUE = 1.10  # power usage effectiveness, and carbon intensity below: LaMDA, section 10
KG_PER_KWH = 0.056
STATE_BYTES = {
    "adafactor": 4,
    "adamw": 12,
}  # a weight: the float32 master and full moments; row and column means are few


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run on paper. Bytes are of one device, seconds of one step."""

    parameters: int
    devices: int
    mesh: dict[str, int]
    tokens_per_step: int
    flops_per_step: float
    state_bytes: float  # weights, optimizer
    activation_bytes: float  # kept for the backward pass
    working_bytes: float  # of the layer at work: its gathered weights, scores, logits
    memory_bytes: float  # what a device has
    wire_bytes: dict[str, float]  # sent and received by a device in a step, by mesh axis
    compute_seconds: float
    wire_seconds: dict[str, float]
    mfu: dict[str, float]  # model FLOP utilisation with none, half and all of the traffic hidden
    steps: int
    days: float  # with half of the traffic hidden
    megawatt_hours: float
    tonnes_co2e: float
    problems: list[str]  # what does not fit, and why


def flops_per_token(config: ModelConfig, sequence: int) -> float:
    """FLOPs of a token, forward and backward: 6 a weight of the products, 12 S H K a layer for attention's squares."""
    looked_up = ("relative_bias", "norm")
    products = sum(math.prod(w.shape) for name, w in table(config).items() if not name.startswith(looked_up))
    return 6 * products + 12 * config.num_layers * sequence * config.num_heads * config.d_head


def balanced_mesh(devices: int, config: ModelConfig) -> tuple[int, int]:
    """(data, model) whose product is `devices`: a power of two for model, near data = 3.3 model, heads divisible."""
    options = [2**n for n in range(11) if devices % 2**n == 0 and config.num_heads % 2**n == 0]
    model = min(options, key=lambda size: abs(math.log(devices / size / size / 3.3)))
    return devices // model, model


def plan(
    config: ModelConfig,
    chip_name: str,
    devices: int,
    *,
    mesh: tuple[int, int, int] | None = None,
    sequence: int = 1024,
    tokens_per_step: int = 262_144,
    steps: int = 1,
    days: float | None = None,
    remat: Literal["none", "minimal", "full"] = "minimal",
    optimizer: Literal["adafactor", "adamw"] = "adafactor",
) -> Plan:
    """The plan of `steps` steps on `devices` chips; `days` is what there is, and is checked.

    Raises UserError for an unknown chip or sizes that do not divide.
    """
    if chip_name not in CHIPS:
        raise UserError(f"chips: no chip {chip_name!r}, expected one of {', '.join(CHIPS)}")
    if min(sequence, steps, tokens_per_step // max(sequence, 1)) < 1:
        raise UserError(f"sequence {sequence}, batch tokens {tokens_per_step}, steps {steps}: expected one row or more")
    if days is not None and days <= 0:
        raise UserError(f"days {days:g}: expected more than none")
    chip = CHIPS[chip_name]
    replicas, X, Y = mesh or (1, *balanced_mesh(devices, config))
    if replicas * X * Y != devices:
        raise UserError(f"mesh: {replicas} x {X} x {Y} is {replicas * X * Y} devices, expected {devices}")
    for what, size, shards in (
        ("heads", config.num_heads, Y),
        ("d_ff", config.d_ff, Y),
        ("vocab_size", config.vocab_size, Y),
        ("d_model", config.d_model, X),
        ("sequence", sequence, Y),
        ("rows a batch", tokens_per_step // sequence, replicas * X),
    ):
        if size % shards:
            raise UserError(f"mesh: {what} = {size} does not divide into {shards} shards")

    L, D, H, K, F = config.num_layers, config.d_model, config.num_heads, config.d_head, config.d_ff
    wide = 2 if config.gated else 1  # feed-forward products of width F
    parameters = count(config)
    flops = flops_per_token(config, sequence) * tokens_per_step
    tokens = tokens_per_step / (replicas * X)  # that a device works on, with Y - 1 others
    layer_bytes = 2 * (4 * D * H * K + (wide + 1) * D * F)  # bfloat16

    # ---- memory
    held = sum(
        math.prod(w.shape) / (X if "embed" in w.axes else 1) / (Y if {"heads", "ff", "vocab"} & {*w.axes} else 1)
        for w in table(config).values()
    )
    state, gradients = STATE_BYTES[optimizer] * held, 2 * held
    kept = {
        "full": D,
        "minimal": 2 * D + 4 * H * K + wide * F,
        "none": 4 * D + 4 * H * K + 2 * wide * F + 3 * H * sequence,
    }[remat]
    activations = 2 * tokens * kept * L / Y
    at_work = 2 * tokens * (4 * H * K + (wide + 1) * F + 2 * D * Y) / Y + 6 * tokens * H * sequence / Y
    working = gradients + 2 * layer_bytes / Y + at_work
    problems = []
    needed = state + activations + working
    if needed > chip.memory:
        problems.append(
            f"memory: {needed / GIB:.1f} GiB a device ({state / GIB:.1f} state, {activations / GIB:.1f} activations, "
            f"{working / GIB:.1f} working) of {chip.memory / GIB:.1f}; "
            + ("more devices or a larger model axis" if remat == "full" else "more remat, or more devices")
        )

    # ---- traffic: weights gathered forward and backward, gradients scattered; activations around each half of a block
    activation_bytes = 2 * tokens * D
    around_blocks = {"none": 8, "minimal": 10, "full": 11}[remat]
    wire = {
        "replica": 2 * 2 * parameters / (X * Y) * (replicas - 1) / replicas,
        "data": L * 3 * layer_bytes / Y * (X - 1) / X,
        "model": L * around_blocks * activation_bytes * (Y - 1) / Y,
    }
    speed = 2 * chip.link
    data_speed = speed * max(1, chip.torus - 1)
    seconds = {"replica": wire["replica"] / speed, "data": wire["data"] / data_speed, "model": wire["model"] / speed}

    # ---- time
    again = 4 / 3 if remat == "full" else 1
    compute = flops * again / (devices * chip.flops * MATRIX_EFFICIENCY)
    hidden = {"none": 0.0, "half": 0.5, "all": 1.0}
    times = {name: compute + (1 - share) * sum(seconds.values()) for name, share in hidden.items()}
    mfu = {name: flops / (devices * chip.flops * time) for name, time in times.items()}
    needs = steps * times["half"] / 86_400
    at_peak = steps * flops / (devices * chip.flops) / 86_400
    if days is not None and needs > days:
        share = at_peak / days
        problems.append(
            f"time: {steps:,} steps of {tokens_per_step:,} tokens take about {needs:.1f} days, there are {days:g}; "
            f"that would be {share:.0%} of the chips' peak" + (": infeasible" if share > 1 else "")
        )
    energy = megawatt_hours(needs, devices, chip.watts)
    return Plan(
        parameters=parameters,
        devices=devices,
        mesh={"replica": replicas, "data": X, "model": Y},
        tokens_per_step=tokens_per_step,
        flops_per_step=flops,
        state_bytes=state,
        activation_bytes=activations,
        working_bytes=working,
        memory_bytes=chip.memory,
        wire_bytes=wire,
        compute_seconds=compute,
        wire_seconds=seconds,
        mfu=mfu,
        steps=steps,
        days=needs,
        megawatt_hours=energy,
        tonnes_co2e=energy * KG_PER_KWH,
        problems=problems,
    )


def megawatt_hours(days: float, chips: int, watts: float, pue: float = PUE) -> float:
    """Energy of a run (LaMDA, section 10)."""
    return days * 24 * chips * watts * pue / 1e6
