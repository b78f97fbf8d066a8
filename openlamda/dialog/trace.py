"""How a reply came to be: every candidate, query and second, for people and for JSON."""

import unicodedata
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from openlamda.dialog.support import Claim
from openlamda.text.dialog import Result
from openlamda.tools.calls import Call

_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """`text` without what could move a terminal's cursor or reorder its line; newlines and tabs stay, and so do the
    joiners that scripts and emoji are written with.
    """
    moves = ("Cc", "Zl", "Zp", "Cs")
    return "".join(
        "\ufffd" if c in _REORDERING or (c not in "\n\t" and unicodedata.category(c) in moves) else c for c in text
    )


@dataclass
class Considered:
    """A candidate and its fate: `dropped` says why it could not be chosen."""

    text: str
    logprob: float
    scores: dict[str, float] = field(default_factory=dict)
    dropped: str | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Asked:
    """A query and what came back: nothing, a result, or the tool's error."""

    query: str
    result: Result | None
    error: str | None = None


@dataclass
class Trace:
    """Filled while a reply is made. Rounds of candidates are named "draft" and "final"; timings are seconds.

    `rule` names what answered without a model, if anything did (dialog/disclosure.py). `calls` are what each tool did
    for each query, `claims` the sentences of the reply and their support.
    """

    seed: int
    rounds: dict[str, list[Considered]] = field(default_factory=dict)
    research: list[Asked] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    rule: str | None = None

    def had_it_chosen(self, place: int) -> "Trace":
        """The same, of a reply that was another candidate of the last round."""
        name, candidates = next(reversed(self.rounds.items()))
        others = [replace(candidate, chosen=i == place) for i, candidate in enumerate(candidates)]
        return replace(self, rounds=self.rounds | {name: others}, claims=[])

    def to_json(self) -> dict[str, Any]:
        """Plain values: candidates of the last round and of every round, research, calls, claims, timings, seed."""
        name, candidates = next(reversed(self.rounds.items()), ("draft", []))
        return {
            "round": name,
            "candidates": [vars(candidate) for candidate in candidates],
            "rounds": {round: [vars(candidate) for candidate in drawn] for round, drawn in self.rounds.items()},
            "research": [
                {
                    "query": asked.query,
                    "results": [] if asked.result is None else [vars(asked.result)],
                    "error": asked.error,
                }
                for asked in self.research
            ],
            "calls": [vars(call) for call in self.calls],
            "claims": [vars(claim) for claim in self.claims],
            "timings": self.timings,
            "seed": self.seed,
            "rule": self.rule,
        }

    def render(self) -> Group:
        """Tables for a terminal. Texts of models and tools are shown as they are, never as markup."""
        parts: list[Any] = [] if self.rule is None else [Text(f"said by the rule of {self.rule}: no model was asked")]
        for name, candidates in self.rounds.items():
            table = Table(title=f"{name}: {len(candidates)} candidates", title_justify="left")
            columns = [key for key in ("sensible", "specific", "interesting", "safe", "grounded")
                       if any(key in candidate.scores for candidate in candidates)]  # fmt: skip
            for column in ("", "candidate", "logprob", *columns, "dropped"):
                table.add_column(column)
            for c in sorted(candidates, key=lambda c: (not c.chosen, c.dropped is not None)):
                shown = [f"{c.scores[key]:.2f}" if key in c.scores else "" for key in columns]
                table.add_row(
                    "*" if c.chosen else "", Text(printable(c.text)), f"{c.logprob:.1f}", *shown, c.dropped or ""
                )
            parts.append(table)
        for asked in self.research:
            came = asked.error or (asked.result.text if asked.result else "nothing found")
            parts.append(Text(printable(f'looked up "{asked.query}": {came}')))
        for call in self.calls:
            came = call.failure or f"{call.results} results"
            took = "from the cache" if call.cached else f"{call.ms:.1f} ms"
            parts.append(Text(printable(f'{call.tool} on "{call.query}": {came}, {took}')))
        for claim in self.claims:
            marks = "".join(f"[{k}]" for k in claim.cites)
            lacking = f" ({', '.join(claim.missing)})" if claim.missing else ""
            parts.append(Text(printable(f"{claim.verdict}{lacking}: {claim.text} {marks}".rstrip())))
        parts.append(Text("  ".join(f"{name} {seconds:.2f} s" for name, seconds in self.timings.items())))
        return Group(*parts)
