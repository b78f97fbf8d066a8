"""The toolset that ships: calculator, translator, search over the bundled facts and over what the user adds."""

from collections.abc import Sequence
from pathlib import Path

from openlamda.text.dialog import Result
from openlamda.tools.base import Tool, Toolset
from openlamda.tools.calculator import Calculator
from openlamda.tools.index import PassageIndex
from openlamda.tools.opensearch import OpenSearchIndex
from openlamda.tools.passages import Search
from openlamda.tools.search import SearchIndex, fits, read_facts, told
from openlamda.tools.translator import Translator
from openlamda.tools.websearch import web_search


def default_toolset(searches: Sequence[Search] = ()) -> Toolset:
    """The three tools in the paper's order (LaMDA, section 6.2).

    With other `searches`, a bundled fact comes before what they find where it answers all that was asked, else after.
    """
    facts = SearchIndex(read_facts())
    search: list[Tool] = [_Facts(facts, True), *searches, _Facts(facts, False)] if searches else [facts]
    return Toolset([Calculator(), Translator(), *search])


def open_toolset(index: str = "", web: str = "") -> Toolset:
    """The toolset with an index (a folder, or the URL of one on OpenSearch) and a web search (`searxng=URL`).

    Raises UserError where either cannot be used.
    """
    searches: list[Search] = []
    if index:
        searches.append(open_index(index))
    if web:
        searches.append(web_search(web))
    return default_toolset(searches)


def open_index(where: str, *, write: bool = False) -> PassageIndex | OpenSearchIndex:
    """The index in a folder, or under an address that begins with http:// or https://."""
    if where.startswith(("http://", "https://")):
        return OpenSearchIndex(where, write=write)
    return PassageIndex(Path(where), write=write)


class _Facts:
    """The facts that answer a query in whole, or the others."""

    name = "facts"

    def __init__(self, facts: SearchIndex, fitting: bool):
        self._facts, self._fitting = facts, fitting

    def __call__(self, query: str) -> list[Result]:
        return [told(fact) for fact in self._facts.search(query) if fits(query, fact) == self._fitting]
