"""`openlamda model show`, `average` and `convert`."""

import dataclasses
import json as jsonlib
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from openlamda.config import assigned
from openlamda.errors import UserError
from openlamda.model.config import PRESETS, changed


def show(preset: str = "nano", *overrides: str, json: bool = False) -> None:
    """Print every weight of a preset and the exact total.

    Example: openlamda model show 137b activation=swiglu two_thirds_width=true

    Parameters
    ----------
    preset
        nano, 2b, 8b or 137b.
    overrides
        Fields changed, as key=value: relative_bias=shared (T5), activation=relu (or gelu, silu, glu, bilinear, reglu,
        geglu, swiglu), d_ff=NUMBER, two_thirds_width=true (the cost of an ungated feed-forward), ...
    json
        Print an object with the configuration, the weights and the total.
    """
    from openlamda.model.params import count, table

    if preset not in PRESETS:
        raise UserError(f"preset {preset!r}, expected one of {', '.join(PRESETS)}")
    config = changed(PRESETS[preset], assigned(overrides))
    weights = table(config)
    if json:
        shapes = {name: {"shape": weight.shape, "axes": weight.axes} for name, weight in weights.items()}
        print(
            jsonlib.dumps({"config": dataclasses.asdict(config), "weights": shapes, "total": count(config)}, indent=2)
        )
        return
    rows = Table("weight", "shape", "axes", "count")
    for name, weight in weights.items():
        axes = ", ".join(axis or "-" for axis in weight.axes)
        rows.add_row(name, str(weight.shape), axes, f"{math.prod(weight.shape):,}")
    rows.add_row("total", "", "", f"{count(config):,}")
    Console().print(rows)


def average(*models: Path, output: Annotated[Path, Parameter(name=["--output", "-o"])]) -> None:
    """Write the model whose weights are the mean of several, each fine-tuned from the same one or from one another.

    What a stage added and what it forgot are halved; the mean is often better than both (Wortsman et al. 2022). Judges
    are calibrated anew by a stage with [judges]; none are written.

    Example: openlamda model average runs/before/model runs/after/model -o runs/mean/model

    Parameters
    ----------
    models
        Model directories of one shape and one tokenizer.
    output
        The model directory to write.
    """
    from openlamda.model import weights

    if len(models) < 2:
        raise UserError(f"{len(models)} models, expected two or more")
    if (output / "judges.json").exists():
        raise UserError(f"{output}: judges.json there is of another model, expected a new directory")
    params, config = weights.load_float32(models[0])
    tokenizer = _tokenizer(models[0])
    for directory in models[1:]:
        others, shape = weights.load_float32(directory)
        if shape != config or _tokenizer(directory) != tokenizer:
            raise UserError(f"{directory}: another shape or tokenizer than {models[0]}, expected the same")
        params = {name: params[name] + others[name] for name in params}
    weights.save(output, {name: total / len(models) for name, total in params.items()}, config, tokenizer)


def convert(
    model: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    dtype: Literal["int8", "bfloat16", "float32"],
) -> None:
    """Write a model directory again with its weights in another dtype; its card says so.

    int8 takes half the memory of bfloat16 and a quarter of float32; what that costs: docs/engine.md. It is for use:
    training goes on from float32 or bfloat16.

    Example: openlamda model convert runs/lamda/model -o lamda-int8 --dtype int8

    Parameters
    ----------
    model
        A model directory.
    output
        The model directory to write; there must be none.
    dtype
        int8: matrices with a float32 scale for each output, all else as it is. float32 and bfloat16: all weights; those
        that were int8 stay as coarse as they were.
    """
    from openlamda.model import weights

    if output.exists():
        raise UserError(f"{output}: is there already, expected a new directory")
    arrays, config = weights.read(model)
    tokenizer = _tokenizer(model)
    card = f"Weights converted from {arrays['embed'].dtype} to {dtype} by `openlamda model convert`; "
    card += "figures above, and judges.json, are of the weights before.\n"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as folder:
            new = Path(folder) / "model"
            weights.save(new, arrays, config, tokenizer, dtype)
            for name in ("judges.json", "README.md"):
                if (model / name).exists():
                    shutil.copyfile(model / name, new / name)
            with (new / "README.md").open("a", encoding="utf-8") as file:
                file.write(("\n" if file.tell() else "") + card)
            os.replace(new, output)
    except OSError as error:
        raise UserError(f"{output}: {error.strerror}, expected a place for a new directory") from None


def _tokenizer(directory: Path) -> bytes:
    try:
        return (directory / "tokenizer.model").read_bytes()
    except OSError as error:
        raise UserError(f"{directory}: no tokenizer.model ({error.strerror}), expected a model directory") from None
