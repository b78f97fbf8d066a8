"""Which rows are worth training on: here by their length alone."""

from collections.abc import Callable
from dataclasses import dataclass

from openlamda.corpus.rows import Document, Talk


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is dropped."""

    min_words: int = 1


def make_cleaner(filters: Filters) -> Callable[[Document | Talk], Document | Talk | str]:
    """A function that gives the cleaned row, or the reason why it is dropped."""

    def cleaned(row: Document | Talk) -> Document | Talk | str:
        text = row.text if isinstance(row, Document) else " ".join(turn.text for turn in row.dialog.turns)
        return row if len(text.split()) >= filters.min_words else "too short"

    return cleaned
