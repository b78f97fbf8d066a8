"""Which candidate is said: filter first, then rank. Pure functions over scores; knows no model."""

from collections.abc import Mapping

WEIGHTS = {"sensible": 3.0, "specific": 1.0, "interesting": 1.0}  # LaMDA, section 6.1
GROUNDED_WEIGHT = 3.0  # ours, added where snippets were read; the paper gives none


def is_safe(scores: Mapping[str, float], thresholds: Mapping[str, float]) -> bool:
    """Whether P(safe) and each objective's own "safe/NAME" reach their thresholds; what was not judged passes."""
    safety = (name for name in thresholds if name.split("/")[0] == "safe")
    return all(scores.get(name, 1.0) >= thresholds[name] for name in safety)


def lacking(scores: Mapping[str, float], thresholds: Mapping[str, float]) -> str | None:
    """The first score that is below a threshold, safety aside; what was not judged passes."""
    return next(
        (name for name, least in thresholds.items() if name.split("/")[0] != "safe" and scores.get(name, 1.0) < least),
        None,
    )


def quality(scores: Mapping[str, float]) -> float:
    """3 P(sensible) + P(specific) + P(interesting), and groundedness where it was judged."""
    total = sum(weight * scores.get(name, 0.0) for name, weight in WEIGHTS.items())
    return total + GROUNDED_WEIGHT * scores.get("grounded", 0.0)


def likelihood(logprob: float, length: int, alpha: float = 1.0) -> float:
    """Score of a model without judges: logprob over length^alpha (LaMDA, section 3, leaves the form open)."""
    return logprob / max(length, 1) ** alpha
