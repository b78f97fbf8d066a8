"""Who labels replies: people's votes by the paper's rules, or a judge that is not under test or rules ("automatic")."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from openlamda.corpus import ratings, votes
from openlamda.corpus.objectives import Objectives
from openlamda.dialog.judge import Judges, scores
from openlamda.dialog.lamda import Lamda
from openlamda.errors import UserError
from openlamda.evaluate import in_role
from openlamda.evaluate.contexts import Context
from openlamda.evaluate.systems import Open, Said, System, weights_hash
from openlamda.text.dialog import Dialog

MAX_TOKENS = 256  # of a reply that a judge reads


@dataclass(frozen=True, kw_only=True)
class RaterConfig:
    """The [rater] table: a ratings file, a model directory whose judges rate, or rules for replies in a role."""

    kind: Literal["votes", "judge", "rules"]
    path: str = ""  # of votes or judge
    threshold: float = 0.5  # a judge's least P of a true label


class Rater(Protocol):
    """Labels replies."""

    name: str  # "votes" or "automatic"
    identity: Mapping[str, object]

    def labels(self, context: Context, said: Said) -> dict[str, bool] | None:
        """Attribute -> label; None where nobody rated this reply."""
        ...


class Votes:
    """People's votes on exactly these replies to exactly these contexts. Nothing is kept: the file is the record."""

    name = "votes"

    def __init__(self, path: Path, objectives: Objectives):
        self.identity: Mapping[str, object] = {}
        self._labels = {}
        same: dict[tuple[Dialog, str], ratings.Rated] = {}
        for row in ratings.read([path], objectives).rows:  # of two systems that said the same, all raters count
            before = same.get((row.context, row.response), row).ballots
            ballots = {ballot.rater: ballot for ballot in (*row.ballots, *before)}
            same[row.context, row.response] = replace(row, ballots=tuple(ballots.values()))
        for row in same.values():
            found = ratings.labels(row, objectives)
            for question in ("claims", "cited", "known", *votes.ROLE):
                asked = [ballot.votes[question] for ballot in row.ballots if question in ballot.votes]
                if asked:
                    found[question] = votes.most(asked, "yes")
            self._labels[row.context, row.response] = found

    def labels(self, context: Context, said: Said) -> dict[str, bool] | None:
        """By the paper's rules (corpus/votes.py)."""
        return self._labels.get((context.dialog, said.text))


class Judge:
    """A model's judges, each P against the threshold. Raises UserError where the model is itself under test."""

    name = "automatic"

    def __init__(self, config: RaterConfig, directory: Path, systems: Sequence[System], open_model: Open):
        weights = weights_hash(directory)
        if any(system.identity.get("weights") == weights for system in systems):
            raise UserError(f"rater: {directory} has the weights of a system under test, expected another model")
        judges = Judges.read(directory)
        if not judges.attributes:
            raise UserError(f"rater: {directory} has no judges, expected attributes in its judges.json")
        file = (directory / "judges.json").read_text(encoding="utf-8")
        self.identity: Mapping[str, object] = {"weights": weights, "judges": file}
        self._directory, self._open, self._threshold = directory, open_model, config.threshold
        self._lamda: Lamda | None = None

    def scores(self, context: Context, reply: str) -> dict[str, float]:
        """P of the desired rating by score name; "grounded" only where the context has knowledge."""
        if self._lamda is None:
            self._lamda = self._open(self._directory)
        lamda = self._lamda if context.role is None else self._lamda.playing(context.role)
        tokens = tuple(lamda.tokenizer.encode(reply))[:MAX_TOKENS]
        return scores(lamda.model, lamda.grammar, lamda.judges, lamda.fit(context.dialog), [tokens], context.knowledge)[
            0
        ]

    def decide(self, found: Mapping[str, float]) -> dict[str, bool]:
        """Labels from scores. Specific and interesting are false where what they rest on is, as in people's votes."""
        true = {name: p >= self._threshold for name, p in found.items()}
        doubted = False
        for name in votes.QUALITY:
            if name in true:
                true[name] = true[name] and not doubted
                doubted = not true[name]
        return {
            name.replace("safe", "unsafe", 1) if name.split("/")[0] == "safe" else name:
            not value if name.split("/")[0] == "safe" else value
            for name, value in true.items()
        }  # fmt: skip

    def labels(self, context: Context, said: Said) -> dict[str, bool] | None:
        """By `scores` and `decide`."""
        return self.decide(self.scores(context, said.text))


class Rules:
    """Helpful and role-consistent (in_role.py), of replies in a role; what a rule cannot judge has no label."""

    name = "automatic"
    identity: Mapping[str, object] = {}

    def labels(self, context: Context, said: Said) -> dict[str, bool] | None:
        """Either, both or none of the two."""
        if context.role is None:
            return None
        found = {"helpful": in_role.helpful(context, said), "role_consistent": in_role.consistent(context, said)}
        return {name: label for name, label in found.items() if label is not None}
