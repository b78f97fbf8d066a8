"""The toolset: one string in, a list of results out (paper, section 6.2).

Knows nothing of models or dialogs. A tool that cannot read the query returns [].
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from openlamda.text.dialog import Result


class Tool(Protocol):
    """Anything callable that answers a query."""

    name: str

    def __call__(self, query: str) -> list[Result]:
        """Results in rank order; [] where the query is not for this tool."""
        ...


class Toolset:
    """Tools asked in order, their results concatenated. The paper's order: calculator, translator, search."""

    def __init__(self, tools: Sequence[Tool]):
        self.tools = tuple(tools)

    def __call__(self, query: str) -> list[Result]:
        """All results of all tools for `query`."""
        return self.ask(query)[0]

    def ask(self, query: str) -> tuple[list[Result], str | None]:
        """All results, and what failed: a broken tool costs neither the reply nor what the others found."""
        results, failures = [], []
        for tool in self.tools:
            try:
                found = list(tool(query))
                if not all(isinstance(result, Result) for result in found):
                    raise TypeError(f"expected a list of Result, got {found!r:.80}")
                results += found
            except Exception as failure:
                failures.append(f"{tool.name}: {type(failure).__name__}: {failure}")
                logging.getLogger(__name__).info("%s on %r", failures[-1], query)
        return results, "; ".join(failures) or None

    def turn(self) -> "Cursor":
        """A fresh view for one dialog turn, in which asking again gives the next result."""
        return Cursor(self)


class Cursor:
    """One turn's use of a toolset: the same query asked again yields the next-ranked result (paper, section 6.2)."""

    def __init__(self, toolset: Toolset):
        self._toolset = toolset
        self._asked: Counter[str] = Counter()
        self.failure: str | None = None  # of the last query

    def next(self, query: str) -> Result | None:
        """The first result not yet given for this wording of the query, or None when they are used up."""
        key = " ".join(query.casefold().split())
        results, self.failure = self._toolset.ask(query)
        index = self._asked[key]
        self._asked[key] += 1
        return results[index] if index < len(results) else None
