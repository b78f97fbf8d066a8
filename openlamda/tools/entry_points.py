"""Tools of other Python packages, found by the entry point group `openlamda.tools`.

An entry point names a class or function; called with the settings of the tools file it gives a tool.
"""

from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any, cast

from openlamda.errors import UserError
from openlamda.text.dialog import Result

GROUP = "openlamda.tools"


def open_entry_point(entry: str, settings: dict[str, Any]) -> Callable[[str], Iterable[Result]]:
    """The tool of an installed entry point. Raises UserError that names the key of the tools file."""
    found = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if entry not in found:
        there = f"expected one of {', '.join(sorted(found))}" if found else "no installed package has any"
        raise UserError(f"entry: no entry point {entry!r} in group {GROUP!r}; {there}")
    try:
        tool = found[entry].load()(**settings)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"entry: {entry!r} did not start with these settings: {type(error).__name__}: {error}"
        ) from None
    if not callable(tool):
        raise UserError(f"entry: {entry!r} gave {type(tool).__name__}, expected something that takes a query")
    return cast(Callable[[str], Iterable[Result]], tool)
