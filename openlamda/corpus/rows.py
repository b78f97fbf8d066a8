"""What training and evaluation read: documents, dialogs, judged and researched replies. Knows nothing of tokens."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from openlamda.text.dialog import Dialog
from openlamda.text.grammar import Step


@dataclass(frozen=True)
class Document:
    """Running text."""

    id: str
    text: str


@dataclass(frozen=True)
class Talk:
    """A dialog of a corpus."""

    id: str
    dialog: Dialog


@dataclass(frozen=True)
class Judged:
    """A reply and what is known of it: attribute -> label, what raters named beside it (the hazard, the fault), and
    attribute -> P as a teacher believes (corpus/teacher.py).
    """

    id: str
    context: Dialog
    response: str
    labels: Mapping[str, bool] = field(default_factory=dict)
    snippets: tuple[str, ...] = ()
    kind: str = ""
    beliefs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Researched:
    """A reply with the look-ups that led to it; no steps: the draft was good."""

    id: str
    context: Dialog
    draft: str
    steps: tuple[Step, ...]
    reply: str


@dataclass(frozen=True)
class Answered:
    """A question, a passage, and the stretch of it that answers."""

    id: str
    question: str
    passage: str
    answer: str


@dataclass(frozen=True)
class Repeated:
    """A text that is said `times` times in a row."""

    id: str
    text: str
    times: int


def split(row_id: str) -> Literal["train", "dev", "test"]:
    """Where a row belongs: 80 % to train, 5 % to choose by (validation, calibration, thresholds), 15 % to test.

    What `held_back` keeps by default is a third of the test rows.
    """
    return "test" if held_back(row_id, 15) else "dev" if held_back(row_id, 20) else "train"


def held_back(row_id: str, percent: int = 5) -> bool:
    """Whether a row is kept for evaluation and never trained on: a fixed share by the hash of its id.

    Rows made of one original ("id#3", "id+", "id-") go the same way.
    """
    original = row_id.rstrip("+-").split("#")[0]
    return int.from_bytes(hashlib.sha1(original.encode()).digest()[:4], "big") % 100 < percent
