"""A training run, told top to bottom: start or resume, step, log, save; the same for every stage.

Takes a recipe, leaves a run directory: recipe, metrics (JSON Lines and TensorBoard), checkpoints, and the model.
"""

import dataclasses
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
from tensorboardX import SummaryWriter

from openlamda.errors import UserError
from openlamda.model import params as weights_table
from openlamda.model import weights
from openlamda.model.config import PRESETS, ModelConfig, changed
from openlamda.model.copying import lay_copying
from openlamda.model.sharding import make_mesh, put
from openlamda.text.tokenizer import Tokenizer
from openlamda.train import optimizer as optimizers
from openlamda.train.batches import pack
from openlamda.train.checkpoint import Checkpoints
from openlamda.train.recipe import Recipe
from openlamda.train.step import Batch, State, said_right, train_step
from openlamda.train.tasks import mixed, sources


def start(recipe: Recipe) -> tuple[weights_table.Params, ModelConfig, Tokenizer]:
    """First weights: fresh ones of a preset, or those of a model directory."""
    if recipe.start in PRESETS:
        if not recipe.tokenizer:
            raise UserError("recipe: no setting 'tokenizer'; a preset has none, `openlamda tokenizer train` makes one")
        tokenizer = Tokenizer.load(Path(recipe.tokenizer).expanduser())
        if "vocab_size" in recipe.model:
            raise UserError("model: vocab_size is the tokenizer's, expected no setting of it")
        config = dataclasses.replace(changed(PRESETS[recipe.start], recipe.model), vocab_size=tokenizer.vocab_size)
        params = weights_table.init(config, jax.random.key(recipe.seed))
        return lay_copying(params, config, recipe.seed) if recipe.copying_heads else params, config, tokenizer
    directory = Path(recipe.start).expanduser()
    if not directory.is_dir():
        raise UserError(f"recipe: start = {recipe.start!r}, expected a directory or one of {', '.join(PRESETS)}")
    if recipe.model:
        raise UserError(f"recipe: start = {recipe.start!r} has its own shape, expected no [model] table")
    params, config = weights.load(directory / "model" if (directory / "model").is_dir() else directory)
    tokenizer = Tokenizer.load(
        (directory / "model" if (directory / "model").is_dir() else directory) / "tokenizer.model"
    )
    return params, config, tokenizer


def batches(recipe: Recipe, tokenizer: Tokenizer, names: list[str]) -> Iterator[tuple[Batch, dict[str, int]]]:
    """The run's batches from the first on; the same recipe and data give the same ones."""
    data, alpha = Path(recipe.data).expanduser(), recipe.subword_regularisation
    made = sources(recipe.mixture, data, tokenizer, recipe.row_tokens, recipe.seed, names, alpha)
    return pack(mixed(made, recipe.mixture), recipe.batch_rows, recipe.row_tokens, recipe.rating_weight)


def copies(recipe: Recipe, tokenizer: Tokenizer, names: list[str]) -> Batch:
    """A batch of repeated texts that the run is not trained on: how well it copies is a curve of its own."""
    made = sources({"copy": 1.0}, Path(recipe.data).expanduser(), tokenizer, recipe.row_tokens, recipe.seed + 1, names)
    return next(pack(mixed(made, {"copy": 1.0}), recipe.batch_rows, recipe.row_tokens, recipe.rating_weight))[0]


def run(recipe: Recipe, directory: Path, names: list[str], report: Callable[[dict[str, float]], None]) -> Path:
    """Train to the recipe's last step and return the model directory; an unfinished run in `directory` is resumed.

    `names` are entity names that made rows may use; `report` is given the metrics of every `log_every` steps. SIGTERM
    ends the run after the step at work, its state saved (Stopped).
    """
    if recipe.optimizer.name == "muon" and any(size > 1 for size in recipe.mesh.values()):
        raise UserError("optimizer: muon works on one device, expected adamw or adafactor on a mesh of several")
    directory.mkdir(parents=True, exist_ok=True)
    recipe_file = directory / "recipe.json"
    if recipe_file.exists() and recipe_file.read_bytes() != _resolved(recipe):
        raise UserError(f"{recipe_file}: this directory holds a run of another recipe; choose another -o")
    with jax.set_mesh(make_mesh(recipe.mesh)) if recipe.mesh else nullcontext(), stopping() as stop:
        return _train(recipe, directory, names, report, stop)


def _train(
    recipe: Recipe, directory: Path, names: list[str], report: Callable[[dict[str, float]], None], stop: threading.Event
) -> Path:
    # ---- start or resume
    params, config, tokenizer = start(recipe)
    params = {name: put(array, *weights_table.table(config)[name].axes) for name, array in params.items()}
    optimizer = optimizers.build(recipe.optimizer, recipe.steps)
    state = State(jnp.int32(0), params, optimizer.init(params))
    checkpoints = Checkpoints(directory / "checkpoints", recipe.keep_last, recipe.keep_hours)
    state = checkpoints.restore(state) or state
    first = int(state.step)
    stream = islice(batches(recipe, tokenizer, names), first, recipe.steps)
    unseen = _split(copies(recipe, tokenizer, names))
    (directory / "recipe.json").write_bytes(_resolved(recipe))  # not before all of it was found right

    # ---- step, log, save
    peak = matmul_peak()
    flops_per_token = 6 * sum(array.size for name, array in params.items() if not name.startswith("norm"))
    meter = Counter()
    with (
        closing(checkpoints),  # what is being written is finished, however the run ends
        SummaryWriter(str(directory / "tensorboard")) as board,
        (directory / "metrics.jsonl").open("a") as log,
    ):
        clock = time.perf_counter()
        for step, (batch, counts) in enumerate(stream, first + 1):
            state, metrics = train_step(
                state,
                _split(batch),
                config=config,
                optimizer=optimizer,
                remat=recipe.remat,
                dtype=jnp.dtype(recipe.dtype),
                unlikelihood=recipe.unlikelihood,
            )
            meter.update(counts)
            if step % recipe.log_every == 0 or step == recipe.steps:
                values = {name: float(value) for name, value in metrics.items()}
                seconds, clock = time.perf_counter() - clock, time.perf_counter()
                tokens = sum(meter.values())
                rate = tokens / seconds
                values |= {"step": step, "steps": recipe.steps, "tokens_per_second": rate}
                values |= {"share_of_peak": rate * flops_per_token / peak}
                values |= {"seconds_left": (recipe.steps - step) * seconds / min(recipe.log_every, step - first)}
                values |= {"copied": float(said_right(state.params, unseen, config=config))}
                values |= {f"share/{task}": meter[task] / tokens for task in recipe.mixture}
                meter.clear()
                log.write(json.dumps(values) + "\n")
                log.flush()
                for name in ("loss", "copied", "grad_norm", "tokens_per_second", "share_of_peak"):
                    board.add_scalar(name, values[name], step)
                report(values)
            if step % recipe.checkpoint_every == 0 or step == recipe.steps or stop.is_set():
                checkpoints.save(state)
                weights.save(directory / "model", state.params, config, tokenizer.model, dtype="float32")
            if stop.is_set() and step < recipe.steps:
                raise Stopped(f"stopped at step {step} of {recipe.steps}; the same command goes on from there")
    return directory / "model"


def _resolved(recipe: Recipe) -> bytes:
    return msgspec.json.format(msgspec.json.encode(recipe))


def _split(batch: Batch) -> Batch:
    return Batch(*(put(cells, "batch", None) for cells in batch))


class Stopped(Exception):
    """The run was asked to end, and has saved its state."""


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM sets; schedulers send it some time before they kill."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def matmul_peak() -> float:
    """FLOP/s of a large float32 matrix product here, the best of five."""
    square = jnp.ones((1024, 1024))
    product = jax.jit(lambda x: x @ x)
    product(square).block_until_ready()
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        product(square).block_until_ready()
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best
