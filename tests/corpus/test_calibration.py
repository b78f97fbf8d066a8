"""Calibration: known curves come back, the figures agree with sklearn's and with a count by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from openlamda.corpus.calibration import (
    Platt,
    expected_calibration_error,
    fit,
    probabilities,
    reliability,
    threshold,
)

ROWS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40)


def test_the_scaling_that_made_the_labels_is_found():
    rng = np.random.default_rng(0)
    gaps = rng.normal(0, 3, 20_000)
    labels = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * gaps - 1)))
    platt = fit(list(gaps), list(labels))
    assert platt.slope == pytest.approx(0.5, abs=0.03) and platt.intercept == pytest.approx(-1, abs=0.05)
    other = LogisticRegression(C=1e9).fit(gaps[:, None], labels)
    assert platt.slope == pytest.approx(other.coef_[0, 0], rel=1e-2)
    p = probabilities(list(gaps), platt)
    assert expected_calibration_error(list(p), list(labels)) < 0.01
    raw = 1 / (1 + np.exp(-gaps))
    assert expected_calibration_error(list(raw), list(labels)) > 0.1


def test_separable_rows_have_a_scaling_and_one_label_has_none():
    gaps = np.linspace(-0.2, 0.2, 200)
    platt = fit(list(gaps), list(gaps > 0))
    assert np.isfinite([platt.slope, platt.intercept]).all() and platt.slope > 10
    with pytest.raises(ValueError, match="2 rows labelled yes and 0 no"):
        fit([1.0, 2.0], [True, True])


def test_few_rows_do_not_move_a_judge_that_is_right_and_do_move_one_that_is_not():
    def found(of_truth: float, seed: int) -> Platt:
        rng = np.random.default_rng(seed)
        gaps = rng.normal(-1, 2, 200)
        return fit(list(gaps), list(rng.random(200) < 1 / (1 + np.exp(-of_truth * gaps))))

    right, wrong = ([found(of_truth, seed) for seed in range(40)] for of_truth in (1.0, 0.3))
    assert sum(platt == Platt() for platt in right) >= 36
    assert all(platt != Platt() and platt.slope < 0.6 for platt in wrong)


def test_reliability_by_hand():
    p, labels = [0.05, 0.07, 0.55, 1.0, 0.95], [False, True, True, True, False]
    assert [(round(b.predicted, 9), b.true, b.n) for b in reliability(p, labels)] == [
        (0.06, 0.5, 2),
        (0.55, 1.0, 1),
        (0.975, 0.5, 2),
    ]
    assert expected_calibration_error(p, labels) == pytest.approx((2 * 0.44 + 0.45 + 2 * 0.475) / 5)


@given(ROWS, st.floats(0.05, 1), st.booleans())
def test_a_threshold_keeps_its_word(rows, wanted, by_precision):
    p, labels = [value / 20 for value, _ in rows], [label for _, label in rows]
    if not any(labels):
        with pytest.raises(ValueError, match="no row is labelled yes"):
            threshold(p, labels, recall=wanted)
        return
    chosen = threshold(p, labels, precision=wanted) if by_precision else threshold(p, labels, recall=wanted)

    def figures(value: float) -> tuple[float, float]:
        passed = [label for q, label in zip(p, labels, strict=True) if q >= value]
        return sum(passed) / len(passed), sum(passed) / sum(labels)

    assert figures(chosen.value) == pytest.approx((chosen.precision, chosen.recall))
    every = {value: figures(value) for value in p}
    if by_precision:
        reaching = [value for value, (precision, _) in every.items() if precision >= wanted]
        best = max(precision for precision, _ in every.values())
        assert chosen.value == min(reaching) if reaching else chosen.precision == pytest.approx(best)
    else:
        assert chosen.value == max(value for value, (_, recall) in every.items() if recall >= wanted)
