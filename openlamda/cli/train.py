"""`openlamda train`."""

import os
import platform
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from openlamda import config
from openlamda.errors import UserError
from openlamda.train.recipe import Recipe

# Training frees and takes again the same large blocks in each step. Left to itself, glibc hands them back to the
# system each time, and the page faults take half of the run (measured: 212 -> 2,500 tokens/s).
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_ARENA_MAX": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


def train(
    recipe: Path,
    *overrides: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("runs"),
    quiet: bool = False,
) -> None:
    """Run one training stage, or several told in one file; started again on the same directory, it goes on where it
    stopped.

    Example: openlamda train recipes/nano.toml data=~/data -o runs

    On several hosts start the same command on each: under Slurm, Open MPI, GKE or Cloud TPU they find each other;
    elsewhere set JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    Parameters
    ----------
    recipe
        A TOML file (see recipes/).
    overrides
        Settings changed for this run, as key=value (optimizer.learning_rate=1e-3); of one stage among several, as
        STAGE.key=value.
    output
        Where run directories go; the run is named after its recipe.
    quiet
        Print only the path of the finished model.
    """
    if platform.libc_ver()[0] == "glibc" and "GLIBC_TUNABLES" not in os.environ:
        os.execve(sys.executable, [sys.executable, "-m", "openlamda", *sys.argv[1:]], {**os.environ, **KEEP_MEMORY})
    try:
        from openlamda.train import hosts
        from openlamda.train.loop import Stopped, run
    except ModuleNotFoundError as error:
        raise UserError(f"training needs {error.name}: pip install 'openlamda[train]'") from None
    from openlamda import stages
    from openlamda.loading import training_names

    directory = output / recipe.stem
    several = stages.read(recipe, overrides, directory) if "stage" in config.read(recipe) else None
    settings = None if several else config.load(Recipe, recipe, overrides)
    hosts.join()
    try:
        if several:
            print(stages.run(several, (lambda name, values: None) if quiet else _stage_progress))
        elif settings:
            print(run(settings, directory, training_names(), (lambda values: None) if quiet else _progress))
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(143)


def _stage_progress(name: str, values: dict[str, float]) -> None:
    print(f"{name}: ", end="", file=sys.stderr)
    if "seen" in values:
        print(f"{values['seen']:,} turns judged, {values['kept']:,} kept", file=sys.stderr, flush=True)
    else:
        _progress(values)


def _progress(values: dict[str, float]) -> None:
    shown = [f"step {values['step']}/{values['steps']}", f"loss {values['loss']:.3f}"]
    if "validation_loss" in values:
        shown.append(f"validation {values['validation_loss']:.3f}")
    if "copied" in values:
        shown.append(f"copied {values['copied']:.0%}")
    if values["skipped"]:
        shown.append(f"{values['skipped']:.0f} skipped")
    shown.append(f"{values['tokens_per_second']:,.0f} tokens/s")
    shown.append(f"{values['share_of_peak']:.0%} of matmul peak")
    shown.append(f"{values['seconds_left'] / 60:.0f} min left")
    print("  ".join(shown), file=sys.stderr, flush=True)
