"""Systems answer the same contexts; replies and ratings are kept as they come; figures are computed from rows.

Takes a suite's tables, gives rows, figures and comparisons. Knows nothing of files of results.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from openlamda.evaluate import claims, metrics
from openlamda.evaluate.contexts import Context
from openlamda.evaluate.figure import Comparison, Figure, Share, compare, figure
from openlamda.evaluate.kept import Kept, key
from openlamda.evaluate.raters import Judge, Rater
from openlamda.evaluate.systems import Said, System

VERSION = 2  # raised when a kept reply would come out different
RATINGS = 1  # raised when a kept rating would


@dataclass(frozen=True)
class Row:
    """A system's reply to a context, its labels, and what it contributes to each metric: (metric, rater) -> share."""

    system: str
    context: Context
    said: Said
    labels: Mapping[str, bool] | None
    scores: Mapping[str, float] | None
    shares: Mapping[tuple[str, str], Share] = field(default_factory=dict)


def answer(
    systems: Mapping[str, System],
    contexts: Sequence[Context],
    rater: Rater | None,
    kept: Kept,
    seed: int,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """A row for each system and context. `told(done, total)` hears of progress."""
    rows, total = [], len(systems) * len(contexts)
    for name, system in systems.items():
        for context in contexts:
            turns = [[turn.author, turn.text] for turn in context.dialog.turns]
            # without a role no key of its own, so that replies kept before there were roles are found
            within = {"role": asdict(context.role)} if context.role else {}
            asked = key(version=VERSION, system=dict(system.identity), context=turns, seed=seed, **within)
            value = kept.get(asked)
            if value is None:
                value = asdict(system.reply(context.dialog, seed, context.role))
                kept.put(asked, value)
            said = Said(value["text"], tuple(value["sources"]), value["trace"])
            labels, scores = _rated(rater, context, said, turns, within, kept)
            by = rater.name if rater else ""
            rows.append(Row(name, context, said, labels, scores, _shares(context, said, labels, by)))
            told(len(rows), total)
        system.close()
    return rows


def _rated(
    rater: Rater | None, context: Context, said: Said, turns: Any, within: Mapping[str, Any], kept: Kept
) -> tuple[dict[str, bool] | None, dict[str, float] | None]:
    if not isinstance(rater, Judge):
        return (rater.labels(context, said) if rater else None), None
    read: dict[str, Any] = {"context": turns, "reply": said.text, "knowledge": list(context.knowledge), **within}
    asked = key(version=RATINGS, rater=dict(rater.identity), **read)
    found = kept.get(asked)
    if found is None:
        found = rater.scores(context, said.text)
        kept.put(asked, found)
    return rater.decide(found), found


def _shares(
    context: Context, said: Said, labels: Mapping[str, bool] | None, rater: str
) -> dict[tuple[str, str], Share]:
    earlier = [turn.text for turn in context.dialog.turns]
    own = [turn.text for turn in context.dialog.turns if turn.author == "agent"]
    found = {(name, ""): share for name, share in metrics.wording(said.text, own).items()}
    found |= {(name, ""): share for name, share in metrics.research(said.trace).items()}
    if "claims" in said.trace:
        found |= {(name, "automatic"): share for name, share in metrics.citing(said.trace["claims"]).items()}
    rated = labels or {}
    for name, share in (metrics.quality(rated) | metrics.safety(rated) | metrics.in_role(rated)).items():
        found[name, rater] = share
    if "claims" in rated and "grounded" in rated:
        voted = metrics.grounding(
            rated["claims"], rated["grounded"], rated.get("cited", False), rated.get("known", False)
        )
        if "cited" not in rated:
            del voted["citation_accuracy"]
        found |= {(name, rater): share for name, share in voted.items()}
    elif context.knowledge and rater != "votes":
        new = claims.claimed(said.text, earlier)
        good = claims.supported(new, context.knowledge)
        for name, share in metrics.grounding(bool(new), good, bool(said.sources)).items():
            found[name, "automatic"] = share
    return found


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Each metric of each system on each set of contexts, named "set/metric"."""
    return [figure(name, system, found, by) for (name, system, by), found in _grouped(rows).items()]


def comparisons(rows: Sequence[Row], pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
    """Each pair of systems on each metric that both have."""
    grouped = _grouped(rows)
    return [
        compare(name, a, b, found, grouped[name, b, by], by)
        for a, b in pairs
        for (name, system, by), found in grouped.items()
        if system == a and (name, b, by) in grouped
    ]


def _grouped(rows: Sequence[Row]) -> dict[tuple[str, str, str], list[tuple[str, Share]]]:
    grouped = defaultdict(list)
    for row in rows:
        for (name, by), share in row.shares.items():
            grouped[f"{row.context.set}/{name}", row.system, by].append((row.context.dialog_id, share))
    return dict(grouped)
