"""The toolset that ships, alone or with the user's searches, and the one that a tools file describes.

A tools file is TOML: a [[tool]] table for each tool, in the order in which results are joined (docs/own-tools.md).
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from openlamda import config
from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.base import Toolset
from openlamda.tools.calculator import Calculator
from openlamda.tools.calls import Limits, Partly
from openlamda.tools.kinds import KINDS, Named, ToolTable
from openlamda.tools.passages import Search
from openlamda.tools.search import SearchIndex, fits, read_facts, told
from openlamda.tools.searches import open_index
from openlamda.tools.translator import Translator
from openlamda.tools.websearch import web_search


def default_toolset(searches: Sequence[Search] = ()) -> Toolset:
    """The three tools in the paper's order (LaMDA, section 6.2).

    With other `searches`, a bundled fact comes before what they find where it answers all that was asked, else after.
    """
    facts = SearchIndex(read_facts())
    limits = Limits(timeout=Limits.timeout + 1, max_results=Limits.max_results * (1 + len(searches)))
    search = _Searches(facts, searches) if searches else facts
    return Toolset([Calculator(), Translator(), search], {search.name: limits} if searches else None)


def open_toolset(tools: Path | None = None, index: str = "", web: str = "") -> Toolset:
    """The toolset of a tools file; or the one that ships, with an index (a folder, or the URL of one on OpenSearch) and
    a web search (`searxng=URL`).

    Raises UserError where one of them cannot be used, and for a tools file beside the others, which it can name itself.
    """
    if tools is not None and (index or web):
        raise UserError("--tools: the file names all tools; expected --tools, or --index and --web, not both")
    if tools is not None:
        return read_toolset(tools)
    return default_toolset([*([open_index(index)] if index else []), *([web_search(web)] if web else [])])


def read_toolset(path: Path | None) -> Toolset:
    """The toolset of a tools file, or the one that ships. Raises UserError with file, table and key."""
    if path is None:
        return default_toolset()
    values = config.read(path)
    tables = values.pop("tool", [])
    if values:
        raise UserError(f"{path}: no setting {next(iter(values))!r}; expected [[tool]] tables alone")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{path}: no [[tool]] table, expected one for each tool")
    tools: dict[str, tuple[Named, ToolTable]] = {}
    try:
        for number, table in enumerate(tables, 1):
            where = f"{path}: tool {number}"
            settings = config.convert(KINDS[_kind(table, where)], table, where)
            try:
                name, _ = settings.named(), settings.limits()
                if name in tools:
                    raise UserError(f"name: {name!r} occurs twice, expected names of their own")
                tools[name] = Named(name, settings.open(path.parent)), settings
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
    except UserError:
        Toolset([tool for tool, _ in tools.values()]).close()
        raise
    limits = {name: settings.limits() for name, (_, settings) in tools.items()}
    return Toolset([tool for tool, _ in tools.values()], limits)


def _kind(table: dict, where: str) -> str:
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(KINDS)}"
        raise UserError(f"{where}: kind {kind!r}; {hint}")
    return kind


class _Searches:
    """The facts that answer a query in whole, then what other searches find, then the other facts.

    One that fails, or hangs, costs neither the facts nor what the others found.
    """

    name = SearchIndex.name

    def __init__(self, facts: SearchIndex, searches: Sequence[Search]):
        self._facts, self._searches = facts, Toolset(searches)

    def __call__(self, query: str) -> list[Result]:
        found = self._facts.search(query)
        answer = self._searches.ask(query)
        fitting = [told(fact) for fact in found if fits(query, fact)]
        results = [*fitting, *answer.results, *(told(fact) for fact in found if not fits(query, fact))]
        if answer.failure:
            raise Partly(results, answer.failure)
        return results

    def close(self) -> None:
        self._searches.close()
