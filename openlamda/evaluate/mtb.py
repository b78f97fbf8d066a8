"""The Mini-Turing Benchmark (Adiwardana et al. 2020, arXiv 2001.09977): the contexts that SSI votes are about."""

from collections import Counter
from collections.abc import Sequence

from openlamda.errors import UserError
from openlamda.text.dialog import Dialog

TURNS = {1: 315, 2: 500, 3: 662}  # contexts by number of turns, 1477 in all (LaMDA, section 5)


def check(contexts: Sequence[Dialog]) -> None:
    """Raises UserError where `contexts` are not the whole benchmark: another set of them gives figures of its own."""
    found = Counter(len(context.turns) for context in contexts)
    if found != TURNS:
        counts = ", ".join(f"{count} of {turns} turns" for turns, count in sorted(found.items())) or "none"
        raise UserError(f"MTB: {len(contexts)} contexts ({counts}), expected {TURNS} by number of turns, 1477 in all")
