"""The train step beside the same step in eager PyTorch and beside the machine's matrix product, in one run.

    pip install -e '.[train]' torch && python benchmarks/train_step.py
    python benchmarks/train_step.py --preset 2b --rows 8 --tokens 1024 --dtype bfloat16 --optimizer adafactor

The second line is for one GPU of 80 GB or more, with --remat minimal or full where memory ends. Each contestant is a
process of its own, as its users start it, and they train in turns, so that a busy machine slows all of them. Without
PyTorch, or on an accelerator, only our step is measured. Model FLOPs are counted as in the PaLM paper: 6 for each
weight of a product, and 12 S H K a layer for the full square of attention. Rows are packed with three sequences each;
the loss has the z-loss; gradients are clipped.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from openlamda.cli.train import KEEP_MEMORY

Step = Callable[[], object]
Z_LOSS = 1e-4


def rows(arguments: argparse.Namespace, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and segments, int32 [rows, tokens], of packed rows."""
    rng = np.random.default_rng(0)
    shape = arguments.rows, arguments.tokens
    return rng.integers(19, vocab_size, shape, np.int32), np.sort(rng.integers(1, 4, shape, np.int32), axis=1)


def ours(arguments: argparse.Namespace) -> tuple[Step, dict[str, Any]]:
    """One step of openlamda's trainer; what it computes, and where."""
    import jax

    from openlamda.model import params as weights
    from openlamda.model.config import PRESETS
    from openlamda.train import optimizer as optimizers
    from openlamda.train.loss import Batch
    from openlamda.train.plan import flops_per_token
    from openlamda.train.recipe import Optimizer
    from openlamda.train.step import fresh, train_step

    config = PRESETS[arguments.preset]
    tokens, segments = rows(arguments, config.vocab_size)
    tx = optimizers.build(Optimizer(name=arguments.optimizer, warmup_steps=1), steps=1000)
    params = weights.init(config, jax.random.key(0))
    state = fresh(params, tx)
    batch = Batch(tokens, segments, np.ones(tokens.shape, np.float32))
    options: dict[str, Any] = {"remat": arguments.remat, "dtype": arguments.dtype}

    def step() -> None:
        nonlocal state
        state, metrics = train_step(state, batch, config=config, optimizer=tx, **options)
        metrics["loss"].block_until_ready()

    step()
    facts = {"device": jax.devices()[0].device_kind, "flops": flops_per_token(config, tokens.shape[1]) * tokens.size}
    memory = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in memory:
        facts["peak_gib"] = memory["peak_bytes_in_use"] / 2**30
    return step, facts


def product(arguments: argparse.Namespace) -> tuple[Step, dict[str, Any]]:
    """A large product of two squares of this machine."""
    import jax
    import jax.numpy as jnp

    cpu = jax.default_backend() == "cpu"
    side, wide = (1024, jnp.float32) if cpu else (8192, None)  # a CPU's products are as model/products.py has them
    square = jnp.ones((side, side), arguments.dtype)
    multiply = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=wide))
    return lambda: [multiply(square).block_until_ready() for _ in range(5)], {"flops": 5 * 2 * side**3}


def torch(arguments: argparse.Namespace, *, fused: bool) -> tuple[Step, dict[str, Any]]:
    """One step of the same decoder in eager float32 PyTorch, with or without its fused kernels."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from openlamda.model.attention import distance_buckets
    from openlamda.model.config import PRESETS
    from openlamda.model.params import count

    config = PRESETS[arguments.preset]
    D, H, K, T = config.d_model, config.num_heads, config.d_head, arguments.tokens
    tokens, segments = (torch.from_numpy(array).long() for array in rows(arguments, config.vocab_size))
    distance = (torch.arange(T)[:, None] - torch.arange(T)[None]).clamp(0, config.max_distance)
    buckets = torch.from_numpy(distance_buckets(config))[distance].long()
    visible = (segments[:, :, None] == segments[:, None]) & torch.ones(T, T).tril().bool()
    mask_B1TT = torch.zeros(visible.shape).masked_fill(~visible, -1e30)[:, None]

    def norm(x, scale):
        if fused:
            return F.rms_norm(x, (D,), scale, 1e-6)
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * scale

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ParameterList([torch.ones(D), torch.ones(D)])
            self.bias = nn.Parameter(torch.randn(H, config.num_buckets) * 0.1)
            self.query, self.key, self.value = (nn.Linear(D, H * K, bias=False) for _ in range(3))
            self.out = nn.Linear(H * K, D, bias=False)
            self.gate, self.up = (nn.Linear(D, config.d_ff, bias=False) for _ in range(2))
            self.down = nn.Linear(config.d_ff, D, bias=False)

        def forward(self, x):
            normed = norm(x, self.norms[0])
            q, k, v = (f(normed).view(*x.shape[:2], H, K).transpose(1, 2) for f in (self.query, self.key, self.value))
            bias = self.bias[:, buckets] + mask_B1TT
            if fused:
                mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
            else:
                mixed = torch.softmax(q @ k.transpose(2, 3) + bias, -1) @ v
            x = x + self.out(mixed.transpose(1, 2).reshape(*x.shape[:2], H * K))
            normed = norm(x, self.norms[1])
            return x + self.down(F.gelu(self.gate(normed), approximate="tanh") * self.up(normed))

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(config.vocab_size, D)
            self.layers = nn.ModuleList([Layer() for _ in range(config.num_layers)])
            self.norm = nn.Parameter(torch.ones(D))

        def forward(self, x):
            x = self.embed(x)
            for layer in self.layers:
                x = layer(x)
            return norm(x, self.norm) * D**-0.5 @ self.embed.weight.T

    torch.set_num_threads(os.cpu_count() or 1)
    model = Decoder()
    assert sum(weight.numel() for weight in model.parameters()) == count(config)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused or None)

    def step() -> None:
        logits = model(tokens)[:, :-1].reshape(-1, config.vocab_size)
        z_loss = Z_LOSS * torch.logsumexp(logits, -1).pow(2).mean()
        (F.cross_entropy(logits, tokens[:, 1:].reshape(-1)) + z_loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    return step, {}


CONTESTANTS: dict[str, Callable[[argparse.Namespace], tuple[Step, dict[str, Any]]]] = {
    "ours": ours,
    "product": product,
    "torch": lambda arguments: torch(arguments, fused=False),
    "torch_fused": lambda arguments: torch(arguments, fused=True),
}


def serve(name: str, arguments: argparse.Namespace) -> None:
    """A contestant's process: warms up, says what it is, and answers each line with the seconds of that many steps."""
    step, facts = CONTESTANTS[name](arguments)
    step()
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        print(json.dumps(times), flush=True)


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """The report of a run."""
    names = ["ours", "product"]
    if arguments.preset == "nano" and arguments.dtype == "float32":
        if importlib.util.find_spec("torch"):
            names += ["torch", "torch_fused"]
        else:
            print("no PyTorch here: only our step is measured", file=sys.stderr)
    processes, facts = {}, {}
    for name in names:
        env = {**os.environ, **(KEEP_MEMORY if name in ("ours", "product") else {})}  # as `openlamda train` does
        env["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # ours and the product share an accelerator
        command = [sys.executable, __file__, *sys.argv[1:], "--serve", name]
        processes[name] = subprocess.Popen(command, env=env, stdin=-1, stdout=-1, text=True)
        facts[name] = json.loads(processes[name].stdout.readline())
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(arguments.rounds):
        for name, process in processes.items():
            print(3, file=process.stdin, flush=True)
            times[name] += json.loads(process.stdout.readline())
    for process in processes.values():
        process.stdin.close()
        process.wait()

    tokens = arguments.rows * arguments.tokens
    report: dict[str, Any] = {"preset": arguments.preset, "rows": arguments.rows, "tokens": arguments.tokens}
    report |= {"dtype": arguments.dtype, **facts["ours"]}
    for how, of in (("best", min), ("median", median)):
        seconds = {name: of(found) for name, found in times.items()}
        rate = facts["ours"]["flops"] / seconds["ours"]
        peak = facts["product"]["flops"] / seconds["product"]
        report[how] = {
            "tokens_per_second": tokens / seconds["ours"],
            "gflops_per_second": rate / 1e9,
            "matmul_gflops_per_second": peak / 1e9,
            "share_of_matmul_peak": rate / peak,
        }
        for name in names[2:]:
            report[how][f"{name}_tokens_per_second"] = tokens / seconds[name]
            report[how][f"times_{name}"] = seconds[name] / seconds["ours"]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256, help="of a row")
    parser.add_argument("--rounds", type=int, default=8, help="of three steps each")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--remat", default="none", choices=("none", "minimal", "full"))
    parser.add_argument("--optimizer", default="adamw", choices=("adamw", "adafactor"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments)
        return
    report = compare(arguments)
    if arguments.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        if not isinstance(value, dict):
            print(f"{name:32} {value}")
    print(f"{'':32} {'best':>10} {'median':>10}")
    for name in report["best"]:
        print(f"{name:32} {report['best'][name]:10,.3f} {report['median'][name]:10,.3f}")


if __name__ == "__main__":
    main()
