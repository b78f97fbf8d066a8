"""`openlamda model show`."""

import dataclasses
import json as jsonlib
import math

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
