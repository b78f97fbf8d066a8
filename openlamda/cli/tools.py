"""`openlamda tools`."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from openlamda.dialog.trace import printable
from openlamda.tools.snippet import marks
from openlamda.tools.toolset import open_toolset


def ask(
    query: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    tools: Path | None = None,
    index: str = "",
    web: str = "",
    json: bool = False,
) -> None:
    """Ask the toolset: calculator, translator, search, in that order, or your own tools.

    Example: openlamda tools ask "135+7721"

    Parameters
    ----------
    query
        A calculation, "X in LANGUAGE", or anything to look up.
    tools
        A tools file (docs/own-tools.md); default: the three that ship.
    index
        Look up in this index, too: a folder that `openlamda index` made, or http://HOST:9200/NAME on OpenSearch.
    web
        Look up on the web, too: searxng=URL or brave=URL of a service's JSON search. What is looked up is sent there.
        A key is read from OPENLAMDA_WEB_KEY.
    json
        Print a list of objects with text, url, title and the time at which the tool gave it.
    """
    toolset = open_toolset(tools, index, web)
    answer = toolset.ask(query)
    toolset.close()
    if answer.failure:
        print(printable(f"failed: {answer.failure}"), file=sys.stderr)
    if json:
        print(msgspec.json.encode(answer.results).decode())
        return
    console = Console(soft_wrap=True, emoji=False)
    for result in answer.results:
        text = Text(printable(result.text))
        for start, end in marks(query, text.plain) if result.url else ():
            text.stylize("bold", start, end)
        if result.url:
            text.append(printable(f"   {result.url}"), style="dim")
        console.print(text, highlight=False)


def serve_mcp(*, tools: Path | None = None, index: str = "", web: str = "") -> None:
    """Offer the toolset as a Model Context Protocol server on standard input and output.

    For programs that speak the protocol, which start this command themselves.

    Parameters
    ----------
    tools
        A tools file (docs/own-tools.md); default: the three that ship.
    index
        Look up in this index, too: a folder that `openlamda index` made, or http://HOST:9200/NAME on OpenSearch.
    web
        Look up on the web, too: searxng=URL or brave=URL of a service's JSON search. What is looked up is sent there.
        A key is read from OPENLAMDA_WEB_KEY.
    """
    from openlamda.tools.mcp_server import server  # an extra

    toolset = open_toolset(tools, index, web)
    try:
        server(toolset).run("stdio")
    finally:
        toolset.close()
