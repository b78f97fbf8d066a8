"""`openlamda tools`."""

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from openlamda.dialog.trace import printable
from openlamda.tools.snippet import marks
from openlamda.tools.toolset import open_toolset


def ask(
    query: Annotated[str, Parameter(allow_leading_hyphen=True)], *, index: str = "", web: str = "", json: bool = False
) -> None:
    """Ask the toolset: calculator, translator, search, in that order.

    Example: openlamda tools ask "135+7721"

    Parameters
    ----------
    query
        A calculation, "X in LANGUAGE", or anything to look up.
    index
        Look up in this index, too: a folder that `openlamda index` made, or http://HOST:9200/NAME on OpenSearch.
    web
        Look up on the web, too: searxng=URL or brave=URL of a service's JSON search.
    json
        Print a list of objects with text, url and title.
    """
    results, failure = open_toolset(index, web).ask(query)
    if failure:
        print(printable(f"failed: {failure}"), file=sys.stderr)
    if json:
        print(msgspec.json.encode(results).decode())
        return
    console = Console(soft_wrap=True, emoji=False)
    for result in results:
        text = Text(printable(result.text))
        for start, end in marks(query, text.plain) if result.url else ():
            text.stylize("bold", start, end)
        if result.url:
            text.append(printable(f"   {result.url}"), style="dim")
        console.print(text, highlight=False)
