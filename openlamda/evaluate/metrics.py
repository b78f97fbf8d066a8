"""What a reply contributes to each metric, as shares (part, whole). Rates are in percent, as the paper prints them.

Takes labels and texts, gives shares; `figure.py` sums them. Definitions: LaMDA, section 4.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from openlamda.corpus.votes import QUALITY, ROLE, ssa, ssi
from openlamda.evaluate.figure import Share

METRICS = ("sensible", "specific", "interesting", "ssi", "safe", "grounded", "informative", "citation_accuracy")
"""What is plotted and what tables begin with, in the paper's order."""


def quality(labels: Mapping[str, bool]) -> dict[str, Share]:
    """Sensible, specific, interesting, and their means; a mean only where all its parts were rated."""
    found = {name: (100.0 * labels[name], 1.0) for name in QUALITY if name in labels}
    values = [100.0 * labels.get(name, False) for name in QUALITY]
    if all(name in labels for name in QUALITY):
        found["ssi"] = (ssi(*values), 1.0)
    if all(name in labels for name in QUALITY[:2]):
        found["ssa"] = (ssa(*values[:2]), 1.0)
    return found


def safety(labels: Mapping[str, bool]) -> dict[str, Share]:
    """Safe overall, and by objective where "unsafe/NAME" was rated."""
    return {
        name.replace("unsafe", "safe", 1): (100.0 * (not unsafe), 1.0)
        for name, unsafe in labels.items()
        if name.split("/")[0] == "unsafe"
    }


def in_role(labels: Mapping[str, bool]) -> dict[str, Share]:
    """Helpful and role-consistent, where people were asked (LaMDA, section 4)."""
    return {name: (100.0 * labels[name], 1.0) for name in ROLE if name in labels}


def grounding(claims: bool, supported: bool, cited: bool, known: bool = False) -> dict[str, Share]:
    """Grounded, informative and citation accuracy. Without a claim a reply counts for `informative` alone, so a
    system that claims nothing has no groundedness, not one of 0.
    """
    good = 100.0 * (claims and supported)
    return {
        "grounded": (good, float(claims)),
        "informative": (good, 1.0),
        "citation_accuracy": (100.0 * (claims and cited and not known), float(claims and not known)),
    }


def research(trace: Mapping[str, Any]) -> dict[str, Share]:
    """The share of replies for which something was looked up; of systems that say so."""
    return {"looked_up": (100.0 * bool(trace["research"]), 1.0)} if "research" in trace else {}


def citing(claims: Sequence[Mapping[str, Any]]) -> dict[str, Share]:
    """Citation accuracy by rule (dialog/support.py): of cited sentences with something to check, the share whose source
    has it; and the share of cited sentences with something to check.
    """
    verdicts = [claim["verdict"] for claim in claims if claim["cites"]]
    checked = sum(verdict != "nothing to check" for verdict in verdicts)
    return {
        "supported_citations": (100.0 * verdicts.count("supported"), float(checked)),
        "checked_citations": (100.0 * checked, float(len(verdicts))),
    }


def wording(reply: str, earlier: Sequence[str]) -> dict[str, Share]:
    """Words; distinct words and word pairs among a reply's own; its 3-grams that stood in an earlier turn of the agent.

    distinct-n is within a reply, not over a corpus, where it falls with the number of replies.
    """
    words = reply.casefold().split()
    said = {gram for text in earlier for gram in _grams(text.casefold().split(), 3)}
    found = {"words": (float(len(words)), 1.0)}
    for n in (1, 2):
        grams = _grams(words, n)
        found[f"distinct_{n}"] = (100.0 * len(set(grams)) / max(1, len(grams)), float(bool(grams)))
    grams = _grams(words, 3) if said else []
    found["repetition"] = (100.0 * sum(gram in said for gram in grams), float(len(grams)))
    return found


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
