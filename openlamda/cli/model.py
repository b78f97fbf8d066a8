"""`openlamda model show`."""

import dataclasses
import json as jsonlib
import math

from rich.console import Console
from rich.table import Table

from openlamda.errors import UserError
from openlamda.model.config import PRESETS


def show(preset: str = "nano", *, relative_bias: str = "per_layer", json: bool = False) -> None:
    """Print every weight of a preset and the exact total.

    Parameters
    ----------
    preset
        nano, 2b, 8b or 137b.
    relative_bias
        per_layer (the paper's count) or shared (T5).
    json
        Print an object with the configuration, the weights and the total.
    """
    from openlamda.model.params import count, table

    if preset not in PRESETS:
        raise UserError(f"preset {preset!r}, expected one of {', '.join(PRESETS)}")
    if relative_bias not in ("per_layer", "shared"):
        raise UserError(f"relative bias {relative_bias!r}, expected per_layer or shared")
    config = dataclasses.replace(PRESETS[preset], relative_bias=relative_bias)
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
