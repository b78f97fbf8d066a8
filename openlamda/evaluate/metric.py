"""One measured figure, with its interval. Knows nothing of what was measured."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Metric:
    """A figure over `n` rows; `low` and `high` bound its 95 % bootstrap interval."""

    name: str
    value: float
    low: float
    high: float
    n: int


def measure(name: str, rows: Sequence[T], figure: Callable[[Sequence[T]], float], resamples: int = 200) -> Metric:
    """`figure` of the rows, with the interval that resampling rows gives (percentile bootstrap, fixed seed).

    A resample on which the figure is undefined (ValueError or ZeroDivisionError) is left out.
    """
    rng = random.Random(0)
    values = []
    for _ in range(resamples):
        try:
            values.append(figure(rng.choices(rows, k=len(rows))))
        except (ValueError, ZeroDivisionError):
            continue
    values = sorted(value for value in values if value == value) or [float("nan")]
    low, high = values[int(0.025 * len(values))], values[min(len(values) - 1, int(0.975 * len(values)))]
    return Metric(name, figure(rows), low, high, len(rows))


def share(rows: Sequence[bool]) -> float:
    """The share of true rows."""
    return sum(rows) / len(rows)
