"""A decoder's shape, and the shapes that have names."""

from dataclasses import dataclass
from typing import Literal


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


PRESETS = {
    # ships in the package: two CPU cores train it in an hour or two and answer in under two seconds
    "nano": ModelConfig(num_layers=4, d_model=128, num_heads=4, d_head=64, d_ff=1024, vocab_size=4096),
    "2b": ModelConfig(num_layers=10, d_model=2560, num_heads=40, d_ff=20_480),  # 2,179,138,560 weights
    "8b": ModelConfig(num_layers=16, d_model=4096, num_heads=64, d_ff=32_768),  # 8,721,174,528 weights
    "137b": ModelConfig(num_layers=64, d_model=8192, num_heads=128, d_ff=65_536),  # 137,702,416,384 weights
}
