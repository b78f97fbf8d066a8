"""Judges against labels: probabilities that mean what they say, thresholds, reliability. Pure functions over numbers.

A judge gives each row a gap, logit of YES minus logit of NO; a label says whether YES was right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Platt:
    """P(YES) = sigmoid(slope * gap + intercept) (Platt 1999). The default is the model's own probability."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Bin:
    """Rows whose P lies in one tenth: their mean P, the share whose label is true, their number."""

    predicted: float
    true: float
    n: int


@dataclass(frozen=True)
class Threshold:
    """The P from which on a row counts as YES, and what precision and recall it had where it was chosen."""

    value: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Calibrated:
    """How a judge was calibrated, and what it did on the `rows` (of them `yes` labelled yes) by which that was done."""

    platt: Platt
    threshold: Threshold
    expected_calibration_error: float
    reliability: tuple[Bin, ...]
    rows: int
    yes: int
    too_long: int = 0  # rows that were left out, longer than the model was trained on


def fit(gaps: Sequence[float], labels: Sequence[bool]) -> Platt:
    """The Platt scaling of greatest likelihood, with Platt's smoothed targets, so that separable rows have one, too;
    the model's own P where so few rows are no evidence against it (BIC, Schwarz 1978): what chance puts into two
    hundred rows moves P by more than such a model is off.

    Classes keep the weights that they have in the rows: P is right where they are as rare as here. ValueError where
    there are not both labels.
    """
    gap, label = np.asarray(gaps, float), np.asarray(labels, bool)
    yes, no = int(label.sum()), int((~label).sum())
    if not yes or not no:
        raise ValueError(f"{yes} rows labelled yes and {no} no, expected both")
    target = np.where(label, (yes + 1) / (yes + 2), 1 / (no + 2))

    from scipy.optimize import minimize  # not for those who only read judges
    from scipy.special import expit

    def loss(ab: np.ndarray) -> tuple[float, np.ndarray]:
        z = ab[0] * gap + ab[1]
        error = expit(z) - target
        return float(np.mean(np.logaddexp(0, z) - target * z)), np.array([np.mean(error * gap), np.mean(error)])

    own = np.array([1.0, 0.0])
    best = minimize(loss, own, jac=True, method="BFGS").x
    gained = len(gap) * (loss(own)[0] - loss(best)[0])  # nats
    return Platt(*map(float, best)) if gained > len(own) / 2 * np.log(len(gap)) else Platt()


def probabilities(gaps: Sequence[float], platt: Platt) -> np.ndarray:
    """P(YES) of each gap."""
    from scipy.special import expit

    return expit(platt.slope * np.asarray(gaps, float) + platt.intercept)


def reliability(p: Sequence[float], labels: Sequence[bool], bins: int = 10) -> list[Bin]:
    """Bins of equal width that hold at least one row, in rising order (Guo et al. 2017, section 2)."""
    p_N, label_N = np.asarray(p, float), np.asarray(labels, float)
    place_N = np.minimum((p_N * bins).astype(int), bins - 1)
    found = []
    for place in np.unique(place_N):
        inside = place_N == place
        found.append(Bin(float(p_N[inside].mean()), float(label_N[inside].mean()), int(inside.sum())))
    return found


def expected_calibration_error(p: Sequence[float], labels: Sequence[bool], bins: int = 10) -> float:
    """Mean distance of predicted and true share over bins of equal width, weighted by rows (Guo et al. 2017)."""
    found = reliability(p, labels, bins)
    return sum(b.n * abs(b.predicted - b.true) for b in found) / sum(b.n for b in found)


def threshold(
    p: Sequence[float], labels: Sequence[bool], *, precision: float | None = None, recall: float | None = None
) -> Threshold:
    """With `precision`: the lowest threshold that reaches it, so that most rows are found; the most precise one where
    none does. With `recall`: the highest threshold that reaches it. ValueError where no label is true.
    """
    p_N, label_N = np.asarray(p, float), np.asarray(labels, bool)
    if not label_N.any():
        raise ValueError("no row is labelled yes, expected some")
    order = np.argsort(-p_N, kind="stable")
    last_of_value = np.append(np.diff(p_N[order]) != 0, True)  # rows of equal P pass together
    hits = np.cumsum(label_N[order])[last_of_value]
    precision_K = hits / (np.flatnonzero(last_of_value) + 1)
    recall_K = hits / label_N.sum()
    if precision is not None:
        reached = np.flatnonzero(precision_K >= precision)
        k = reached[-1] if len(reached) else int(np.argmax(precision_K))
    else:
        k = int(np.argmax(recall_K >= (1.0 if recall is None else recall)))
    value = float(p_N[order][last_of_value][k])
    return Threshold(value, float(precision_K[k]), float(recall_K[k]))
