"""`openlamda tools`."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from openlamda.dialog.trace import printable
from openlamda.tools.toolset import read_toolset


def ask(
    query: Annotated[str, Parameter(allow_leading_hyphen=True)], *, tools: Path | None = None, json: bool = False
) -> None:
    """Ask the toolset: calculator, translator, search, in that order, or your own tools.

    Example: openlamda tools ask "135+7721"

    Parameters
    ----------
    query
        A calculation, "X in LANGUAGE", or anything to look up.
    tools
        A tools file (docs/own-tools.md); default: the three that ship.
    json
        Print a list of objects with text, url, title and the time at which the tool gave it.
    """
    toolset = read_toolset(tools)
    answer = toolset.ask(query)
    toolset.close()
    if answer.failure:
        print(printable(f"failed: {answer.failure}"), file=sys.stderr)
    if json:
        print(msgspec.json.encode(answer.results).decode())
        return
    for result in answer.results:
        print(printable(f"{result.text}   {result.url}" if result.url else result.text))


def serve_mcp(*, tools: Path | None = None) -> None:
    """Offer the toolset as a Model Context Protocol server on standard input and output.

    For programs that speak the protocol, which start this command themselves.

    Parameters
    ----------
    tools
        A tools file (docs/own-tools.md); default: the three that ship.
    """
    from openlamda.tools.mcp_server import server  # an extra

    toolset = read_toolset(tools)
    try:
        server(toolset).run("stdio")
    finally:
        toolset.close()
