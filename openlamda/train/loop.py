"""A training run, told top to bottom: start or resume, step, log, save; the same for every stage.

Takes a recipe, leaves a run directory: recipe, metrics (JSON Lines and TensorBoard), checkpoints, and the model.
"""

import dataclasses
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from math import prod
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
from jax.experimental import multihost_utils
from jax.typing import ArrayLike

from openlamda.corpus.files import whole
from openlamda.errors import UserError
from openlamda.model import adapters, weights
from openlamda.model.config import PRESETS, ModelConfig, changed
from openlamda.model.copying import lay_copying
from openlamda.model.params import Params, init, table
from openlamda.model.sharding import BATCH, make_mesh, put
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Tokenizer
from openlamda.train import hosts, judges
from openlamda.train import optimizer as optimizers
from openlamda.train.checkpoint import Checkpoints, abstract
from openlamda.train.feed import Feed
from openlamda.train.log import Log
from openlamda.train.loss import Batch, few
from openlamda.train.plan import flops_per_token
from openlamda.train.recipe import Recipe
from openlamda.train.sources import kept_to_choose_by
from openlamda.train.step import eval_step, fresh, said_right, train_step

Report = Callable[[dict[str, float]], None]
FREE = ("mesh", "log_every", "checkpoint_every", "keep_last", "keep_hours")  # settings that a resumed run may change


def start(recipe: Recipe) -> tuple[Params, ModelConfig, Tokenizer]:
    """First weights, on their devices: fresh ones of a preset, or those of a model directory."""
    if recipe.start in PRESETS:
        if not recipe.tokenizer:
            raise UserError("recipe: no setting 'tokenizer'; a preset has none, `openlamda tokenizer train` makes one")
        tokenizer = Tokenizer.load(Path(recipe.tokenizer).expanduser())
        if "vocab_size" in recipe.model:
            raise UserError("model: vocab_size is the tokenizer's, expected no setting of it")
        config = dataclasses.replace(changed(PRESETS[recipe.start], recipe.model), vocab_size=tokenizer.vocab_size)
        params = init(config, jax.random.key(recipe.seed))
        if recipe.copying_heads:
            params = _placed(lay_copying(hosts.whole(params), config, recipe.seed), config)
        return params, config, tokenizer
    directory = Path(recipe.start).expanduser()
    if not directory.is_dir():
        raise UserError(f"recipe: start = {recipe.start!r}, expected a directory or one of {', '.join(PRESETS)}")
    if recipe.model:
        raise UserError(f"recipe: start = {recipe.start!r} has its own shape, expected no [model] table")
    directory = directory / "model" if (directory / "model").is_dir() else directory
    params, config = weights.load_float32(directory)
    return _placed(params, config), config, Tokenizer.load(directory / "tokenizer.model")


def _placed(params: Mapping[str, ArrayLike], config: ModelConfig) -> Params:
    return {name: put(array, *table(config)[name].axes) for name, array in params.items()}


def trained(recipe: Recipe, params: Params, config: ModelConfig) -> tuple[Params, Params]:
    """What the recipe trains, and the weights that stay as they are beside it."""
    if recipe.lora is None:
        return params, {}
    names = [name for name in recipe.lora.weights if name in params]  # an ungated feed-forward has no gate
    return adapters.init(config, names, recipe.lora.rank, jax.random.key(recipe.seed)), params


def run(recipe: Recipe, directory: Path, names: list[str], report: Report) -> Path:
    """Train to the recipe's last step and return the model directory; an unfinished run in `directory` is resumed.

    `names` are entity names that made rows may use; `report` is given the metrics of every `log_every` steps. SIGTERM
    ends the run after the step at work, its state saved (Stopped). On several hosts (train/hosts.py) each calls this
    with the same recipe and a directory that all of them see.
    """
    if recipe.optimizer.name == "muon" and any(size > 1 for size in recipe.mesh.values()):
        raise UserError("optimizer: muon works on one device, expected adamw or adafactor on a mesh of several")
    if recipe.lora and recipe.optimizer.name != "adamw":
        raise UserError(f"optimizer: adapters are trained by adamw, {recipe.optimizer.name} is not made for them")
    parts = recipe.accumulate * prod(recipe.mesh.get(axis, 1) for axis in BATCH)
    if recipe.batch_rows % parts:
        raise UserError(
            f"batch_rows = {recipe.batch_rows}, expected a multiple of {parts} (accumulate x replica x data)"
        )
    recipe_file = directory / "recipe.json"
    if recipe_file.exists() and (other := _differing(recipe_file, recipe)):
        raise UserError(
            f"{recipe_file}: this directory holds a run of another recipe ({', '.join(other)}); choose another -o"
        )
    model = directory / "model"
    if (directory / "checkpoints" / str(recipe.steps)).is_dir() and (model / "judges.json").is_file():
        return model  # which is written last of all: to read the rows and to measure again takes minutes
    with jax.set_mesh(make_mesh(recipe.mesh)) if recipe.mesh else nullcontext(), stopping() as stop:
        if hosts.leads():
            directory.mkdir(parents=True, exist_ok=True)
        return _train(recipe, directory, names, report, stop)


def _train(recipe: Recipe, directory: Path, names: list[str], report: Report, stop: threading.Event) -> Path:
    # ---- start or resume
    params, config, tokenizer = start(recipe)
    feed = Feed(recipe, tokenizer, names)
    optimizer = optimizers.build(recipe.optimizer, recipe.steps)
    learned, frozen = trained(recipe, params, config)
    state = fresh(learned, optimizer)
    checkpoints = Checkpoints(directory / "checkpoints", recipe.keep_last, recipe.keep_hours)
    if checkpoints.there:
        like = abstract(state)
        del params, learned, state  # there may be no room for them beside what is restored
        state = checkpoints.restore(like)
    first = int(state.step)
    unseen, held_back = feed.copies(), [_split(batch) for batch in feed.validation()]
    judged = kept_to_choose_by(recipe.judges, Path(recipe.data).expanduser(), feed.rated)
    grammar = Grammar(tokenizer.encode)
    judges.check(recipe.judges, judged, grammar, recipe.row_tokens)
    if hosts.leads():
        with whole(directory / "recipe.json") as file:  # not before all of it was found right
            file.write(_resolved(recipe))

    # ---- step, log, save
    flops = flops_per_token(config, recipe.row_tokens)
    peak = matmul_peak(recipe.dtype)
    meter, logged, clock = Counter(), first, time.perf_counter()
    with closing(checkpoints), closing(Log(directory, first)) if hosts.leads() else nullcontext() as log:
        if first == recipe.steps:  # the run may have ended before its model was written
            arrays = hosts.whole(_whole(state.params, frozen))
            if hosts.leads():
                weights.save(directory / "model", arrays, config, tokenizer.model, dtype="float32")
        left = feed.after(first) if first < recipe.steps else ()
        for step, (batch, counts) in enumerate(left, first + 1):
            state, metrics = train_step(
                state,
                _split(batch),
                frozen,
                config=config,
                optimizer=optimizer,
                remat=recipe.remat,
                dtype=jnp.dtype(recipe.dtype),
                accumulate=recipe.accumulate,
                unlikelihood=recipe.unlikelihood,
                learned=0 if recipe.mesh else few(batch),
                dropout=recipe.dropout,
            )
            meter.update(counts)
            last, ending = step == recipe.steps, _asked_to_end(stop, step)
            saving = step % recipe.checkpoint_every == 0 or last or ending
            logging = step % recipe.log_every == 0 or last
            model = _whole(state.params, frozen) if saving or logging else {}
            validated = mean_loss(model, held_back, config) if saving and held_back else None
            if logging or validated is not None:
                values = {name: float(value) for name, value in metrics.items()}
                seconds, clock = time.perf_counter() - clock, time.perf_counter()
                tokens = sum(meter.values())
                values |= {"step": step, "steps": recipe.steps, "tokens_per_second": tokens / seconds}
                values |= {"share_of_peak": tokens / seconds * flops / peak}
                values |= {"seconds_left": (recipe.steps - step) * seconds / (step - logged)}
                values |= {"copied": float(said_right(model, _split(unseen), config=config))} if unseen else {}
                values |= {} if validated is None else {"validation_loss": validated}
                values |= {f"share/{task}": count / tokens for task, count in meter.items()}
                meter, logged = Counter(), step
                if log:
                    log.write(values)
                    report(values)
            if saving:
                best = validated is not None and validated < checkpoints.best()
                checkpoints.save(state, validated)
                arrays = hosts.whole(model)
                for name in ("model", "best") if best else ("model",):
                    if hosts.leads():
                        weights.save(directory / name, arrays, config, tokenizer.model, dtype="float32")
            if ending and not last:
                raise Stopped(f"stopped at step {step} of {recipe.steps}; the same command goes on from there")
    if recipe.judges:
        model = _whole(state.params, frozen)
        measured = judges.measure(model, config, grammar, recipe.row_tokens, recipe.judges, judged)
        if hosts.leads():
            judges.write(directory / "model", measured)
    return directory / "model"


def _whole(learned: Params, frozen: Params) -> Params:
    """The model's own weights: adapters are merged into the frozen ones."""
    return adapters.merged_layers({**frozen, **learned}) if frozen else learned


def _resolved(recipe: Recipe) -> bytes:
    return msgspec.json.format(msgspec.json.encode(recipe))


def _differing(kept: Path, recipe: Recipe) -> list[str]:
    """The settings in which a recipe differs from that of a run, those apart that may change on the way."""
    try:
        before = msgspec.json.decode(kept.read_bytes(), type=Recipe)
    except msgspec.DecodeError as error:
        return [str(error)]
    names = [field.name for field in dataclasses.fields(Recipe) if field.name not in FREE]
    return [name for name in names if getattr(before, name) != getattr(recipe, name)]


def _split(batch: Batch) -> Batch:
    return Batch(*(put(cells, "batch", None) for cells in batch))


def mean_loss(params: Params, given: list[Batch], config: ModelConfig) -> float:
    """Nats a learned token."""
    sums = [eval_step(params, batch, config=config) for batch in given]
    return float(sum(total for total, _ in sums)) / max(float(sum(count for _, count in sums)), 1.0)


class Stopped(Exception):
    """The run was asked to end, and has saved its state."""


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM sets; schedulers send it some time before they kill.

    Of several hosts each may hear of it at another step: there JAX's own service listens, and `_asked_to_end` asks it.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread() or jax.process_count() > 1:
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def _asked_to_end(stop: threading.Event, step: int) -> bool:
    return multihost_utils.reached_preemption_sync_point(step) if jax.process_count() > 1 else stop.is_set()


def matmul_peak(dtype: str) -> float:
    """FLOP/s of a large product of `dtype` on all devices of the run, from the best of five on one."""
    cpu = jax.default_backend() == "cpu"
    side = 1024 if cpu else 8192
    square = jnp.ones((side, side), dtype)
    wide = jnp.float32 if cpu else None  # as model/products.py has it
    product = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=wide))
    product(square).block_until_ready()
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        product(square).block_until_ready()
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best * (jax.process_count() if cpu else jax.device_count())
