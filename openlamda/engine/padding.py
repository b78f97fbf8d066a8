"""Sizes that arrays are padded to, so that few shapes are compiled."""

from collections.abc import Sequence


def padded_size(size: int, sizes: Sequence[int]) -> int:
    """The smallest of `sizes`, which rise, that holds `size`; beyond the last, a multiple of it."""
    for candidate in sizes:
        if size <= candidate:
            return candidate
    return -(-size // sizes[-1]) * sizes[-1]
