"""`openlamda train`."""

import os
import platform
import sys
from pathlib import Path

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


def train(recipe: Path, *overrides: str, output: Path = Path("runs"), quiet: bool = False) -> None:
    """Run one training stage; started again on the same directory, it goes on where it stopped.

    Example: openlamda train recipes/nano-pretrain.toml data=~/data steps=1000

    Parameters
    ----------
    recipe
        A TOML file (see recipes/).
    overrides
        Settings changed for this run, as key=value (optimizer.learning_rate=1e-3).
    output
        Where run directories go; the run is named after its recipe.
    quiet
        Print only the path of the finished model.
    """
    if platform.libc_ver()[0] == "glibc" and "GLIBC_TUNABLES" not in os.environ:
        os.execve(sys.executable, [sys.executable, "-m", "openlamda", *sys.argv[1:]], {**os.environ, **KEEP_MEMORY})
    try:
        from openlamda.train.loop import Stopped, run
    except ModuleNotFoundError as error:
        raise UserError(f"training needs {error.name}: pip install 'openlamda[train]'") from None
    from openlamda.loading import training_names

    settings = config.load(Recipe, recipe, overrides)
    try:
        print(run(settings, output / recipe.stem, training_names(), (lambda values: None) if quiet else _progress))
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(143)


def _progress(values: dict[str, float]) -> None:
    minutes = values["seconds_left"] / 60
    print(
        f"step {values['step']}/{values['steps']}  loss {values['loss']:.3f}  copied {values['copied']:.0%}  "
        f"{values['tokens_per_second']:,.0f} tokens/s  {values['share_of_peak']:.0%} of matmul peak  "
        f"{minutes:.0f} min left",
        file=sys.stderr,
        flush=True,
    )
