"""A decoder's shape, and the shapes that have names."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from openlamda.config import check_keys
from openlamda.errors import UserError

Activation = Literal["relu", "gelu", "silu", "glu", "bilinear", "reglu", "geglu", "swiglu"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A LaMDA decoder's shape. The paper's rules d_ff = 8 d_model and heads x d_head = 2 d_model leave few numbers."""

    num_layers: int
    d_model: int
    num_heads: int
    d_head: int = 128
    d_ff: int
    vocab_size: int = 32_000
    num_buckets: int = 32  # of relative distance; half of them exact, half logarithmic
    max_distance: int = 128  # from here on all distances share the last bucket
    relative_bias: Literal["per_layer", "shared"] = "per_layer"  # the paper's count | T5
    activation: Activation = "geglu"  # of the feed-forward; the paper's. relu, gelu and silu have no gate

    @property
    def gated(self) -> bool:
        """Whether the feed-forward has three matrices, one of them a gate, or two."""
        return self.activation not in ("relu", "gelu", "silu")


PRESETS = {
    # ships in the package: a GPU reads its text in two minutes, and two CPU cores answer in a quarter of a second
    "nano": ModelConfig(num_layers=4, d_model=256, num_heads=4, d_ff=2048, vocab_size=4096),  # 9,440,000 weights
    "2b": ModelConfig(num_layers=10, d_model=2560, num_heads=40, d_ff=20_480),  # 2,179,138,560 weights
    "8b": ModelConfig(num_layers=16, d_model=4096, num_heads=64, d_ff=32_768),  # 8,721,174,528 weights
    "137b": ModelConfig(num_layers=64, d_model=8192, num_heads=128, d_ff=65_536),  # 137,702,416,384 weights
}


def changed(config: ModelConfig, changes: Mapping[str, Any]) -> ModelConfig:
    """`config` with the fields of `changes`, as the table [model] of a recipe writes them.

    `two_thirds_width = true` is no field: it makes d_ff two thirds, rounded down, so that a gated feed-forward costs
    what an ungated one of the full width does (Shazeer 2020, section 2). Raises UserError for what makes no shape.
    """
    fields = dict(changes)
    two_thirds = fields.pop("two_thirds_width", False)
    check_keys(ModelConfig, fields, "model")
    hints = typing.get_type_hints(ModelConfig)
    for name, value in fields.items():
        options = typing.get_args(hints[name])
        if options and value not in options:
            raise UserError(f"model: {name} = {value!r}, expected one of {', '.join(options)}")
        if not options and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise UserError(f"model: {name} = {value!r}, expected a number from 1 on")
    new = dataclasses.replace(config, **fields)
    if new.num_buckets < 2 or new.max_distance <= new.num_buckets // 2:
        raise UserError(
            f"model: num_buckets = {new.num_buckets}, max_distance = {new.max_distance}, "
            "expected two buckets or more, half of them below the largest distance"
        )
    if two_thirds not in (True, False):
        raise UserError(f"model: two_thirds_width = {two_thirds!r}, expected true or false")
    if two_thirds and not new.gated:
        raise UserError(f"model: two_thirds_width is for gated activations, {new.activation} is not")
    return dataclasses.replace(new, d_ff=max(1, 2 * new.d_ff // 3)) if two_thirds else new
