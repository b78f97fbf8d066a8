"""Ratings files: replies with each rater's votes, and the labels that the paper's rules make of them.

A row is {"context": [turns], "response": text, "votes": [ballots]}, with "id" and "snippets" where there are any. The
id, or else what was said, decides which rows are trained on and which are kept to choose or to evaluate by. A ballot is
{"rater": name} and votes "yes", "no" or "maybe" on sensible, specific and interesting (5 raters), on grounded, claims,
cited, known, helpful and role_consistent (3), or on "objectives": {rule: vote} (3; corpus/objectives.py). Votes stay
apart by rater: who trains or studies agreement reads them again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openlamda.corpus import votes
from openlamda.corpus.objectives import Objectives
from openlamda.corpus.readers import read_lines
from openlamda.corpus.rows import Judged
from openlamda.corpus.votes import QUALITY, RATERS, ROLE, VOTES, Vote
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, dialog_from_json

GROUNDING = ("grounded", "claims", "cited", "known")
QUESTIONS = (*QUALITY, *GROUNDING, *ROLE)
NAMED = 10  # faults that a message lists


@dataclass(frozen=True)
class Ballot:
    """One rater's votes on one reply."""

    rater: str
    votes: Mapping[str, Vote] = field(default_factory=dict)
    objectives: Mapping[str, Vote] = field(default_factory=dict)


@dataclass(frozen=True)
class Rated:
    """A reply and all its ballots."""

    id: str
    context: Dialog
    response: str
    ballots: tuple[Ballot, ...]
    snippets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ratings:
    """The rows of some files, and how many rows or ballots were left out, by reason (only when read leniently)."""

    rows: tuple[Rated, ...]
    dropped: Counter[str]


class _Fault(Exception):
    """What is wrong with a row or a ballot: a reason to count by, and its particulars."""

    def __init__(self, reason: str, particulars: str):
        super().__init__(particulars)
        self.reason = reason


def read(paths: list[Path], objectives: Objectives, *, lenient: bool = False) -> Ratings:
    """All rows of `paths`. Raises UserError that names the faulty rows, whose count it gives; nothing is read then.

    `lenient`: faulty rows and ballots are left out and counted instead; what the others say stands, by the same rule
    of most votes.
    """
    rows: list[Rated] = []
    faults: list[str] = []
    dropped: Counter[str] = Counter()
    for path in paths:
        for place, value in read_lines(path):
            try:
                row, left_out = _row(value, objectives, lenient)
                dropped.update(left_out)
                rows.append(row)
            except _Fault as fault:
                faults.append(f"{place}: {fault}")
                dropped[fault.reason] += 1
    if faults and not lenient:
        more = f"\n... and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise UserError(f"{len(faults)} faulty row{'s' * (len(faults) > 1)}\n" + "\n".join(faults[:NAMED]) + more)
    return Ratings(tuple(rows), dropped)


def _row(value: dict[str, Any], objectives: Objectives, lenient: bool) -> tuple[Rated, list[str]]:
    try:
        context = dialog_from_json(value.get("context", value.get("messages")), "field 'context'")
    except UserError as error:
        raise _Fault("context", str(error)) from None
    response, given = value.get("response"), value.get("votes")
    if not isinstance(response, str) or not response.strip():
        raise _Fault("response", "field 'response' is no text, expected what was rated")
    snippets = value.get("snippets", [])
    if not isinstance(snippets, list) or not all(isinstance(snippet, str) for snippet in snippets):
        raise _Fault("snippets", "field 'snippets', expected a list of texts")
    if not isinstance(given, list) or not given:
        raise _Fault("votes", "field 'votes', expected a list of ballots, one for each rater")
    ballots: dict[str, Ballot] = {}
    left_out = []
    for number, ballot in enumerate(given, 1):
        try:
            read = _ballot(ballot, f"vote {number}", objectives)
            if read.rater in ballots:
                raise _Fault("duplicate rater", f"vote {number}: rater {read.rater!r} has voted already")
            ballots[read.rater] = read
        except _Fault as fault:
            if not lenient:
                raise
            left_out.append(fault.reason)
    row_id = value.get("id", _hash(context, response))  # decides what is trained on: the same wherever the row stands
    rated = Rated(str(row_id), context, response, tuple(ballots.values()), tuple(snippets))
    for name, count in _counts(rated).items():
        needed = RATERS["grounded" if name in GROUNDING else name if name in QUESTIONS else "safety"]
        if count < needed and not lenient:
            raise _Fault("too few raters", f"{name!r} has {count} votes, expected {needed} raters")
    if not _counts(rated):
        raise _Fault(left_out[-1] if left_out else "no vote", "no rater voted on anything, expected votes")
    return rated, left_out


def _ballot(value: Any, where: str, objectives: Objectives) -> Ballot:
    if not isinstance(value, dict):
        raise _Fault("ballot", f'{where} is {type(value).__name__}, expected {{"rater": ..., "sensible": "yes", ...}}')
    rater = value.get("rater")
    if not isinstance(rater, str) or not rater:
        raise _Fault("rater", f"{where}: field 'rater', expected a name")
    judged = value.get("objectives", {})
    if not isinstance(judged, dict):
        raise _Fault("ballot", f"{where}: field 'objectives' is {type(judged).__name__}, expected an object")
    asked = {name: vote for name, vote in value.items() if name not in ("rater", "objectives")}
    for known, given, kind in ((QUESTIONS, asked, "attribute"), (objectives.rules, judged, "objective")):
        for name, vote in given.items():
            if name not in known:
                raise _Fault(f"unknown {kind}", f"{where}: {kind} {name!r}, expected one of {', '.join(known)}")
            if vote not in VOTES:
                raise _Fault("no such vote", f"{where}: {name} is {vote!r}, expected one of {', '.join(VOTES)}")
    return Ballot(rater, asked, judged)


def _hash(context: Dialog, response: str) -> str:
    said = [*((turn.author, turn.text) for turn in context.turns), response]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def counted(row: Rated) -> list[dict[str, votes.Vote]]:
    """Each ballot's votes on questions as they count: cascaded."""
    asked = {name for ballot in row.ballots for name in ballot.votes}
    return [{**ballot.votes, **votes.cascade(ballot.votes, asked)} for ballot in row.ballots]


def _counts(row: Rated) -> Counter[str]:
    given = (*counted(row), *(ballot.objectives for ballot in row.ballots))
    return Counter(name for ballot in given for name in ballot)


def labels(row: Rated, objectives: Objectives) -> dict[str, bool]:
    """Attribute -> label by the paper's rules: sensible, specific, interesting, grounded, unsafe, and "unsafe/NAME" for
    each objective that was voted on and each family of them.
    """
    found = votes.quality([ballot.votes for ballot in row.ballots])
    grounded = [ballot.votes["grounded"] for ballot in row.ballots if "grounded" in ballot.votes]
    if grounded:
        found["grounded"] = votes.most(grounded, "yes")
    broken = votes.violated([ballot.objectives for ballot in row.ballots])
    if broken:
        found["unsafe"] = any(broken.values())
        for rule, family in objectives.rules.items():
            if rule in broken:
                found[f"unsafe/{family}"] = found.get(f"unsafe/{family}", False) or broken[rule]
        found |= {f"unsafe/{rule}": wrong for rule, wrong in broken.items()}
    return found


def judged(ratings: Ratings, objectives: Objectives) -> Iterator[Judged]:
    """The rows with their labels, as judges learn them."""
    for row in ratings.rows:
        yield Judged(row.id, row.context, row.response, labels(row, objectives), row.snippets)
