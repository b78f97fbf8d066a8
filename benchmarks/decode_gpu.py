"""How near drawing comes to what memory allows: a step's time beside the bytes that it has to read.

    python benchmarks/decode_gpu.py [--preset 2b] [--dtype bfloat16] [--groups 1 4 16] [--devices 1] [--json FILE]

Weights are random and made on the device. Each group draws 16 candidates of 64 tokens after a prompt of 512, eight
steps a call as the engine does, with the time that it takes to ask whether all have ended; the best of five rounds. A
step reads all weights once, and keys and values of each group's prefix and of its candidates, as long as they are
padded. Its share is of the rate at which the same device reads in this run: a sum, a copy and a product with a vector,
of which the fastest counts. `temporary` is what the compiled step takes beside its arguments and results.

    python benchmarks/decode_gpu.py --preset nano      # a CPU does; the share is of what the CPU's memory allows
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from openlamda.engine import drawing, memory
from openlamda.engine.base import Limits, Sampling, Tokens
from openlamda.engine.lanes import Draw, Lane, Lanes
from openlamda.engine.layered import Layered
from openlamda.engine.reading import Cache, read
from openlamda.engine.scheduler import Work
from openlamda.errors import UserError
from openlamda.model.config import PRESETS, ModelConfig
from openlamda.model.params import Weight, table
from openlamda.model.quantized import SCALE, SUMMED, axes_of, scale_shape
from openlamda.model.sharding import decode_mesh, decode_sharding
from openlamda.model.transformer import LAYER_WEIGHTS

PROMPT, CANDIDATES, NEW = 512, 16, 64
LARGE = 2**30  # bytes, of what memory is measured with
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", choices=PRESETS, default="2b")
    parser.add_argument("--dtype", choices=("bfloat16", "int8", "float32"), help="default: bfloat16, on a CPU float32")
    parser.add_argument("--groups", type=int, nargs="+", default=(1, 4, 16))
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    config, (device, *_) = PRESETS[args.preset], jax.local_devices()
    on_cpu = device.platform == "cpu"
    dtype = args.dtype or ("float32" if on_cpu and args.preset == "nano" else "bfloat16")
    computed = ("float32" if on_cpu else "bfloat16") if dtype == "int8" else dtype
    try:
        mesh = decode_mesh(args.devices, config)
        needed = memory.needs(
            kinds(config, dtype, computed), config, mesh, cache_bytes=0, groups=max(args.groups), lanes=1
        )
        left = memory.available(mesh)
        if on_cpu and args.preset != "nano":
            there = replace(needed, parts={name: needed.parts[name] for name in ("weights", "drawing")})
            sys.exit(f"error: no GPU here, expected one with room for {there}, or --preset nano, which a CPU does, too")
        if left is not None and needed.total > left:
            raise memory.no_room(f"{args.preset} in {dtype}", needed, f"{memory.written(left)} available")
    except UserError as error:
        sys.exit(f"error: {error}")

    rate = (1 if on_cpu else args.devices) * bytes_per_second(device)
    weights = random_weights(config, dtype, computed, mesh)
    prefix = tuple(np.random.default_rng(0).integers(2, config.vocab_size, PROMPT).tolist())
    cache, reading = read_prefix(weights, config, computed, prefix)
    held, own = sum(x.nbytes for x in jax.tree.leaves(weights)), sum(x.nbytes for x in jax.tree.leaves(cache.layers))
    where = f"{args.devices} x {device.device_kind}" if args.devices > 1 else device.device_kind
    print(f"{args.preset}, {dtype}, on {where}: reads {rate / 1e9:,.0f} GB/s; {memory.written(held)} of weights")
    print(f"a prompt of {PROMPT} is read in {1000 * reading:.2f} ms\n")
    print("| groups | ms a step | tokens/s | GB read a step | share of the rate | least ms | temporary |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    found = []
    for groups in args.groups:
        seconds, candidates, temporary = steps(weights, config, computed, cache, prefix, groups)
        total = held + groups * own + candidates
        row = {
            "groups": groups,
            "seconds": seconds,
            "bytes": total,
            "share": total / seconds / rate,
            "temporary": temporary,
        }
        found.append(row)
        cells = [groups, f"{1000 * seconds:.3f}", f"{groups * CANDIDATES / seconds:,.0f}", f"{total / 1e9:.3f}"]
        cells += [f"{row['share']:.1%}", f"{1000 * total / rate:.3f}", memory.written(temporary)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    stats = device.memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        print(f"\nmost in use: {memory.written(stats['peak_bytes_in_use'])}; told before: {needed}")
    if on_cpu:
        print("\nA CPU: the share is of what its memory allows, from which weights that its caches hold are not read.")
    if args.json:
        head = {"preset": args.preset, "dtype": dtype, "device": where, "bytes_per_second": rate, "reading": reading}
        args.json.write_text(json.dumps({**head, "steps": found}, indent=2) + "\n")


def kinds(config: ModelConfig, dtype: str, computed: str) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of the weights as a model directory holds them."""
    found = {}
    for name, weight in table(config).items():
        rounded = dtype == "int8" and name in SUMMED
        found[name] = jax.ShapeDtypeStruct(weight.shape, jnp.int8 if rounded else computed)
        if rounded:
            found[name + SCALE] = jax.ShapeDtypeStruct(scale_shape(name, weight.shape), jnp.float32)
    return found


def random_weights(config: ModelConfig, dtype: str, computed: str, mesh: Mesh | None) -> Layered:
    """Weights of about the spread that first values have, made where they stay, a layer at a time."""

    def make(name: str, weight: Weight, key: jax.Array, first: int) -> dict[str, jax.Array]:
        def made(values: Callable[[jax.Array], jax.Array], name: str) -> jax.Array:
            place = decode_sharding(mesh, axes_of(name, config)[first:]) if mesh else None
            return jax.jit(values, out_shardings=place)(key)

        shape = weight.shape[first:]
        if weight.init == "ones":
            return {name: made(lambda key: jnp.ones(shape, computed), name)}
        if dtype == "int8" and name in SUMMED:
            scales = scale_shape(name, weight.shape)[first:]
            return {
                name: made(lambda key: jax.random.randint(key, shape, -127, 128, jnp.int8), name),
                name + SCALE: made(lambda key: jnp.full(scales, weight.std / 73, jnp.float32), name + SCALE),
            }
        return {name: made(lambda key: (weight.std * jax.random.normal(key, shape, computed)).astype(computed), name)}

    top: dict[str, jax.Array] = {}
    layers: list[dict[str, jax.Array]] = [{} for _ in range(config.num_layers)]
    for number, (name, weight) in enumerate(table(config).items()):
        key = jax.random.fold_in(jax.random.key(0), number)
        if name in LAYER_WEIGHTS or name == "relative_bias":
            for n, layer in enumerate(layers):
                layer.update(make(name, weight, jax.random.fold_in(key, n), 1))
        else:
            top.update(make(name, weight, key, 0))
    return jax.block_until_ready(Layered(top, tuple(layers)))


def bytes_per_second(device: Any) -> float:
    """What one device reads and writes of large arrays, at best."""
    size = LARGE // 4
    x = jax.device_put(jnp.ones((size // 1024, 1024), jnp.float32), device)
    vector = jax.device_put(jnp.ones(1024, jnp.float32), device)
    ways: list[tuple[Callable[[], jax.Array], int]] = [
        (partial(jax.jit(jnp.sum), x), LARGE),
        (partial(jax.jit(lambda x: x + 1), x), 2 * LARGE),
        (partial(jax.jit(lambda x, y: x @ y), x, vector), LARGE),
    ]
    return max(moved / best(call) for call, moved in ways)


def best(call: Callable[[], Any]) -> float:
    """Seconds of the best of some calls, the first of which compiles and does not count."""
    seconds = []
    for _ in range(2 + ROUNDS):
        began = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


def read_prefix(weights: Layered, config: ModelConfig, dtype: str, prefix: Tokens) -> tuple[Cache, float]:
    """The cache of all but the prefix's last token, and the seconds that it took."""
    tokens_N = np.zeros(PROMPT, np.int32)
    tokens_N[:-1] = prefix[:-1]
    call = partial(
        read, weights, [], np.int32(0), tokens_N, np.int32(PROMPT - 1), size=PROMPT, config=config, dtype=dtype
    )
    return call()[0], best(call)


def steps(
    weights: Layered, config: ModelConfig, dtype: str, cache: Cache, prefix: Tokens, groups: int
) -> tuple[float, int, int]:
    """Seconds of a step, bytes of the candidates' keys and values, and temporary bytes."""
    lanes = Lanes(weights, config, dtype, groups, nullcontext())
    sampling = Sampling(max_tokens=NEW, stop=())
    works = [Work(Draw(cache, prefix, CANDIDATES, 0, sampling, seed), Limits()) for seed in range(groups)]
    lane = lanes.take(works[0])
    assert isinstance(lane, Lane)
    seconds = []
    for _ in range(1 + ROUNDS):
        for work in works:
            lane.join(work)
        ended = []
        while len(ended) < groups:
            began = time.perf_counter()
            ended += lane.step()
            if not ended:  # the last call reads what was said last, and hands all over
                seconds.append((time.perf_counter() - began) / drawing.STEPS)
    (stage,) = lane._stages
    compiled = drawing.advance.lower(
        weights, stage.groups, stage.lane, np.int32(0), config=config, blocking=False
    ).compile()
    analysis = compiled.memory_analysis()
    assert analysis is not None
    per_round = np.reshape(seconds, (1 + ROUNDS, -1)).mean(1)
    own = sum(x.nbytes for x in jax.tree.leaves(stage.lane.own))
    return float(per_round[1:].min()), own, analysis.temp_size_in_bytes


if __name__ == "__main__":
    main()
