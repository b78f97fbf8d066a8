"""The model judges replies: P(attribute) by the rating it would say next (LaMDA, section 6.1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from openlamda.config import check_keys
from openlamda.engine.base import LanguageModel, Tokens
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog
from openlamda.text.grammar import ATTRIBUTES, Grammar
from openlamda.text.tokenizer import Symbol


@dataclass(frozen=True, kw_only=True)
class Judges:
    """What a model directory's judges.json says: which attributes were trained, and the safety threshold."""

    attributes: tuple[str, ...] = ()  # none: replies are ranked by likelihood
    safe: float = 0.5  # candidates with a lower P(safe) are dropped

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
        if not 0 <= judges.safe <= 1:
            raise UserError(f"{path}: safe is {judges.safe}, expected a probability")
        for attribute in judges.attributes:
            if attribute not in ATTRIBUTES:
                raise UserError(f"{path}: attribute {attribute!r}, expected one of {', '.join(ATTRIBUTES)}")
        return judges


def scores(
    model: LanguageModel,
    grammar: Grammar,
    attributes: Sequence[str],
    context: Dialog,
    replies: Sequence[Tokens],
    snippets: Sequence[str] = (),
) -> list[dict[str, float]]:
    """P of the desired rating for each reply and attribute: unsafe is given as "safe" = P(UNSAFE says NO).

    All replies and attributes are read in one forward over their common prefix; GROUNDED, which also reads the
    snippets, in a second one, and only where there are any.
    """
    found: list[dict[str, float]] = [{} for _ in replies]
    alone = [name for name in attributes if name != "grounded"]
    groups = [(alone, ())] + ([(["grounded"], snippets)] if snippets and "grounded" in attributes else [])
    for names, read in groups:
        asked = [(i, name) for i in range(len(replies)) for name in names]
        pairs = [(*replies[i], ATTRIBUTES[name], rating) for i, name in asked for rating in (Symbol.YES, Symbol.NO)]
        logprobs = model.score(grammar.judge(context, snippets=read).tokens, pairs)
        for (i, name), yes, no in zip(asked, logprobs[::2], logprobs[1::2], strict=True):
            if name == "unsafe":
                found[i]["safe"] = _probability(no[-1], yes[-1])
            else:
                found[i][name] = _probability(yes[-1], no[-1])
    return found


def _probability(wanted: float, other: float) -> float:
    """Softmax of two logprobs; 0 where they are no numbers, so that a broken model's replies are never safe."""
    gap = other - wanted
    return 0.0 if math.isnan(gap) else 1 / (1 + math.exp(min(700.0, gap)))
