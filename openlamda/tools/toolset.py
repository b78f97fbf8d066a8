"""The toolset that ships, and the one that a tools file describes.

A tools file is TOML: a [[tool]] table for each tool, in the order in which results are joined (docs/own-tools.md).
"""

import difflib
from pathlib import Path

from openlamda import config
from openlamda.errors import UserError
from openlamda.tools.base import Toolset
from openlamda.tools.kinds import KINDS, CalculatorTable, Named, SearchTable, ToolTable, TranslatorTable


def default_toolset() -> Toolset:
    """The three tools in the paper's order (LaMDA, section 6.2)."""
    tables = CalculatorTable(kind="calculator"), TranslatorTable(kind="translator"), SearchTable(kind="search")
    return Toolset([table.open(Path()) for table in tables])


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
