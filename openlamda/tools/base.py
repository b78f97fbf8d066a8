"""The toolset: one string in, a list of results out (paper, section 6.2).

Knows nothing of models or dialogs. A tool that cannot read the query returns [].
"""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol

from openlamda.text.dialog import Result
from openlamda.tools.cache import ResultCache
from openlamda.tools.calls import Call, Limits, Worker


class Tool(Protocol):
    """Anything callable that answers a query."""

    name: str

    def __call__(self, query: str) -> list[Result]:
        """Results in rank order; [] where the query is not for this tool."""
        ...


@dataclass(frozen=True)
class Answer:
    """What tools gave for a query, in their order, and a call for each of them."""

    results: list[Result]
    calls: list[Call]

    @property
    def failure(self) -> str | None:
        """What failed, in one line."""
        return "; ".join(f"{call.tool}: {call.failure}" for call in self.calls if call.failure) or None


class Toolset:
    """Tools asked at once, their results concatenated in order. The paper's order: calculator, translator, search.

    `limits` bounds tools by name; what has none there has the default ones.
    """

    def __init__(self, tools: Sequence[Tool], limits: Mapping[str, Limits] | None = None):
        self.tools = tuple(tools)
        self._workers = [Worker(tool, (limits or {}).get(tool.name, Limits())) for tool in self.tools]
        self._cache = ResultCache()

    def __call__(self, query: str) -> list[Result]:
        """All results of all tools for `query`."""
        return self.ask(query).results

    def ask(self, query: str) -> Answer:
        """All results, and what failed: a broken tool costs neither the reply nor what the others found."""
        return self._ask(range(len(self.tools)), query)

    def ask_one(self, name: str, query: str) -> Answer:
        """As `ask`, of the tool with that name alone."""
        return self._ask([n for n, tool in enumerate(self.tools) if tool.name == name], query)

    def _ask(self, numbers: Sequence[int], query: str) -> Answer:
        kept = {n: self._cache.get((n, query)) for n in numbers}
        running = {n: self._workers[n].start(query) for n in numbers if kept[n] is None}
        results: list[Result] = []
        calls: list[Call] = []
        for n in numbers:
            name, found, ms, failure = self.tools[n].name, kept[n], 0.0, None
            if found is None:
                found, ms, failure = running[n].wait()
                if failure is None:
                    self._cache.put((n, query), found, self._workers[n].limits.cache_seconds)
                else:
                    logging.getLogger(__name__).info("%s: %s", name, failure)
            results += found
            calls.append(Call(name, query, round(ms, 2), n not in running, len(found), failure))
        return Answer(results, calls)

    def only(self, names: Collection[str]) -> "Toolset":
        """The same tools, of which those with these names alone are asked."""
        other, kept = copy(self), [n for n, tool in enumerate(self.tools) if tool.name in names]
        other.tools, other._workers = tuple(self.tools[n] for n in kept), [self._workers[n] for n in kept]
        other._cache = ResultCache()  # its keys are places in the list
        return other

    def turn(self) -> "Cursor":
        """A fresh view for one dialog turn, in which asking again gives the next result."""
        return Cursor(self)

    def close(self) -> None:
        """Close what tools hold open, such as the servers that they started."""
        for tool in self.tools:
            close = getattr(tool, "close", None)
            if callable(close):
                close()


class Cursor:
    """One turn's use of a toolset: the same query asked again yields the next-ranked result (paper, section 6.2)."""

    def __init__(self, toolset: Toolset):
        self._toolset = toolset
        self._given: Counter[str] = Counter()
        self.last = Answer([], [])  # to the last query

    def next(self, query: str) -> Result | None:
        """The first result not yet given for this wording of the query, or None when they are used up."""
        key = " ".join(query.casefold().split())
        self.last = self._toolset.ask(query)
        given = self._given[key]
        if given >= len(self.last.results):
            return None
        self._given[key] += 1  # only now: after a failure the first result is still to come
        return self.last.results[given]
