"""What became of the rows: counted by each task, added up by source; the table of LaMDA's appendix E comes from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from openlamda.corpus.files import text_of
from openlamda.corpus.rows import Document, Talk

EXAMPLE = 160  # characters
PROBLEMS = 20  # kept of each task, and shown of all


@dataclass
class Drop:
    """How many rows went for one reason, and the first of them."""

    count: int
    id: str
    text: str
    first: int = -1  # number of the row that it repeats
    like: str = ""  # and its id


@dataclass
class Report:
    """Counts that grow. Documents, dialogs, utterances, words, tokens are of the rows that stay, each once."""

    read: int = 0
    masked: int = 0  # rows in which cleaning changed the text: personal data
    documents: int = 0
    dialogs: int = 0
    utterances: int = 0
    words: int = 0
    tokens: int = 0
    drops: dict[str, Drop] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)  # ("file:line", "what was found, what was expected")
    problem_count: int = 0

    def drop(self, reason: str, row: Document | Talk, first: int = -1) -> None:
        """Count a row that goes."""
        if reason in self.drops:
            self.drops[reason].count += 1
        else:
            self.drops[reason] = Drop(1, row.id, " ".join(text_of(row)[: 4 * EXAMPLE].split())[:EXAMPLE], first)

    def problem(self, where: str, what: str) -> None:
        """Note what could not be read."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS:
            self.problems.append((where, what))

    def keep(self, row: Document | Talk, tokens: int) -> None:
        """Count a row that stays."""
        if isinstance(row, Document):
            self.documents += 1
        else:
            self.dialogs += 1
            self.utterances += len(row.dialog.turns)
        self.words += len(text_of(row).split())
        self.tokens += tokens


def total(reports: Iterable[Report]) -> Report:
    """The sum; of several examples and problems, the first."""
    result = Report()
    for report in reports:
        for name in ("read", "masked", "documents", "dialogs", "utterances", "words", "tokens", "problem_count"):
            setattr(result, name, getattr(result, name) + getattr(report, name))
        for reason, drop in report.drops.items():
            if reason in result.drops:
                result.drops[reason].count += drop.count
            else:
                result.drops[reason] = Drop(drop.count, drop.id, drop.text, drop.first, drop.like)
        result.problems = (result.problems + report.problems)[:PROBLEMS]
    return result
