"""The model judges replies: P(attribute) by the rating it would say next (LaMDA, section 6.1)."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from openlamda.config import check_keys
from openlamda.corpus.calibration import Calibrated, Platt
from openlamda.engine.base import LanguageModel, Tokens
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog
from openlamda.text.grammar import ATTRIBUTES, Grammar
from openlamda.text.tokenizer import Symbol

WINDOW = 320  # tokens of context that the turns of a corpus are judged with


@dataclass(frozen=True, kw_only=True)
class Judges:
    """What a model directory's judges.json says. Attributes are those of the grammar or "unsafe/NAME"; their scores
    are named alike, but for "safe" and "safe/NAME".
    """

    attributes: tuple[str, ...] = ()  # none: replies are ranked by likelihood
    thresholds: dict[str, float] = field(default_factory=lambda: {"safe": 0.5})
    """Score -> least P. A candidate below that of "safe" or "safe/NAME" is dropped; `openlamda filter` keeps by all."""
    calibration: dict[str, Calibrated] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> "Judges":
        """The judges of a model directory; none where it has no judges.json."""
        path = directory / "judges.json"
        if not path.is_file():
            return cls()
        try:
            values = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            check_keys(cls, values, str(path))
            judges = msgspec.convert(values, cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{path}: {error}") from None
        for attribute in judges.attributes:
            name, slash, part = attribute.partition("/")
            if name not in ATTRIBUTES or (slash and (name != "unsafe" or not part)):
                raise UserError(
                    f"{path}: attribute {attribute!r}, expected one of {', '.join(ATTRIBUTES)} or unsafe/..."
                )
        known = [score_name(attribute) for attribute in judges.attributes]
        for name, value in judges.thresholds.items():
            if known and name not in known:
                raise UserError(f"{path}: threshold {name!r}, expected one of {', '.join(known)}")
            if not 0 <= value <= 1:
                raise UserError(f"{path}: threshold {name} is {value}, expected a probability")
        return judges

    def of_safety(self) -> "Judges":
        """Those alone that decide what may be said."""
        names = [name for name in self.attributes if name.split("/")[0] == "unsafe"]
        thresholds = {name: least for name, least in self.thresholds.items() if name.split("/")[0] == "safe"}
        calibration = {name: self.calibration[name] for name in names if name in self.calibration}
        return Judges(attributes=tuple(names), thresholds=thresholds, calibration=calibration)


def score_name(attribute: str) -> str:
    """The name of an attribute's score, which wants more of it: "safe" for "unsafe", else the same."""
    return attribute.replace("unsafe", "safe", 1) if attribute.split("/")[0] == "unsafe" else attribute


def scores(
    model: LanguageModel,
    grammar: Grammar,
    judges: Judges,
    context: Dialog,
    replies: Sequence[Tokens],
    snippets: Sequence[str] = (),
) -> list[dict[str, float]]:
    """P of the desired rating for each reply, by `score_name`: of UNSAFE that is NO, of the others YES.

    All replies and attributes are read in one forward over their common prefix; GROUNDED, which also reads the
    snippets, in a second one, and only where there are any.
    """
    found: list[dict[str, float]] = [{} for _ in replies]
    alone = [name for name in judges.attributes if name != "grounded"]
    groups = [(alone, ())] + ([(["grounded"], snippets)] if snippets and "grounded" in judges.attributes else [])

    def rate(group: tuple[list[str], Sequence[str]]) -> list[list[float]]:
        questions = [grammar.question(name).tokens for name in group[0]]
        prefix = grammar.judge(context, snippets=group[1]).tokens
        return model.rate(prefix, replies, questions, Symbol.YES, Symbol.NO)

    with ThreadPoolExecutor(len(groups)) as pool:  # both at once
        for (names, _), rated in zip(groups, pool.map(rate, groups), strict=True):
            for place, gaps in zip(found, rated, strict=True):
                named = zip(names, gaps, strict=True)
                place |= {score_name(name): probability(gap, name, judges) for name, gap in named}
    return found


def probability(gap: float, attribute: str, judges: Judges) -> float:
    """P of the desired rating from the logit of YES less that of NO, calibrated where the judges are.

    0 where the gap is no number, so that a broken model's replies are never safe.
    """
    if math.isnan(gap):
        return 0.0
    calibrated = judges.calibration.get(attribute)
    platt = calibrated.platt if calibrated else Platt()
    logit = platt.slope * gap + platt.intercept
    wanted = -logit if attribute.split("/")[0] == "unsafe" else logit
    return 1 / (1 + math.exp(min(700.0, -wanted)))
