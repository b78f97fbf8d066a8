"""Figures over rows, their intervals, and paired comparisons. Knows nothing of what was measured.

A row gives each metric a share (part, whole); a figure is the sum of parts over the sum of wholes. Rows of one dialog
are drawn together, so intervals are honest where a dialog has several rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2_000

Share = tuple[float, float]  # part, whole


@dataclass(frozen=True)
class Figure:
    """A metric of a system; None where no row counts. `rater` is "automatic", "votes", or "" where none is needed."""

    metric: str
    system: str
    value: float | None
    low: float | None
    high: float | None
    n: int  # rows that count
    rater: str = ""


@dataclass(frozen=True)
class Comparison:
    """System `a` less system `b` on the contexts that both answered; p by a paired permutation test, two-sided."""

    metric: str
    a: str
    b: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int  # dialogs
    rater: str = ""


def figure(metric: str, system: str, rows: Sequence[tuple[str, Share]], rater: str = "") -> Figure:
    """The figure of (dialog, share) rows with its 95 % percentile interval by resampling dialogs (fixed seed)."""
    sums = _by_dialog(rows)
    n = sum(whole > 0 for _, (_, whole) in rows)
    if not n:
        return Figure(metric, system, None, None, None, 0, rater)
    share_D2 = np.array(list(sums.values()), float)
    low, high = _interval(_ratio(share_D2[_drawn(len(share_D2))].sum(1)))
    return Figure(metric, system, float(_ratio(share_D2.sum(0))), low, high, n, rater)


def compare(
    metric: str, a: str, b: str, rows_a: Sequence[tuple[str, Share]], rows_b: Sequence[tuple[str, Share]],
    rater: str = "",
) -> Comparison:  # fmt: skip
    """`a` less `b` over dialogs in both. Under the null a dialog's two answers could as well be swapped."""
    sums_a, sums_b = _by_dialog(rows_a), _by_dialog(rows_b)
    both = [dialog for dialog in sums_a if dialog in sums_b]
    a_D2 = np.array([sums_a[dialog] for dialog in both], float).reshape(-1, 2)
    b_D2 = np.array([sums_b[dialog] for dialog in both], float).reshape(-1, 2)
    if not a_D2[:, 1].sum() or not b_D2[:, 1].sum():
        return Comparison(metric, a, b, None, None, None, None, len(both), rater)
    difference = float(_ratio(a_D2.sum(0)) - _ratio(b_D2.sum(0)))
    drawn = _drawn(len(both))
    low, high = _interval(_ratio(a_D2[drawn].sum(1)) - _ratio(b_D2[drawn].sum(1)))
    swap = np.random.default_rng(1).random((RESAMPLES, len(both), 1)) < 0.5
    first, second = np.where(swap, b_D2, a_D2).sum(1), np.where(swap, a_D2, b_D2).sum(1)
    under_null = _ratio(first) - _ratio(second)
    under_null = under_null[~np.isnan(under_null)]
    extreme = int((np.abs(under_null) >= abs(difference) - 1e-12).sum())
    return Comparison(metric, a, b, difference, low, high, (extreme + 1) / (len(under_null) + 1), len(both), rater)


def _by_dialog(rows: Sequence[tuple[str, Share]]) -> Mapping[str, Share]:
    sums: dict[str, Share] = {}
    for dialog, (part, whole) in rows:
        before = sums.get(dialog, (0.0, 0.0))
        sums[dialog] = (before[0] + part, before[1] + whole)
    return sums


def _drawn(dialogs: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, dialogs, (RESAMPLES, dialogs))


def _ratio(share_2: np.ndarray) -> np.ndarray:
    whole = share_2[..., 1]
    return np.where(whole > 0, share_2[..., 0] / np.where(whole > 0, whole, 1), np.nan)


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
