"""`openlamda tools`."""

from typing import Annotated

import msgspec
from cyclopts import Parameter

from openlamda.dialog.trace import printable
from openlamda.tools.toolset import default_toolset


def ask(query: Annotated[str, Parameter(allow_leading_hyphen=True)], *, json: bool = False) -> None:
    """Ask the toolset: calculator, translator, search, in that order.

    Example: openlamda tools ask "135+7721"

    Parameters
    ----------
    query
        A calculation, "X in LANGUAGE", or anything to look up.
    json
        Print a list of objects with text, url and title.
    """
    results = default_toolset()(query)
    if json:
        print(msgspec.json.encode(results).decode())
        return
    for result in results:
        print(printable(f"{result.text}   {result.url}" if result.url else result.text))
