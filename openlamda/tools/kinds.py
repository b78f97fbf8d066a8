"""What a [[tool]] table of a tools file may say, a dataclass a kind. `open` gives the tool, or raises UserError.

A new backend is a dataclass here and a line in KINDS; the settings that all tables have are `ToolTable`'s.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.base import Tool
from openlamda.tools.calculator import Calculator
from openlamda.tools.calls import Limits
from openlamda.tools.entry_points import open_entry_point
from openlamda.tools.search import SearchIndex, read_facts
from openlamda.tools.searches import open_index
from openlamda.tools.translator import Translator
from openlamda.tools.websearch import web_search


class Named:
    """A tool under the name that the tools file gives it."""

    def __init__(self, name: str, tool: Callable[[str], Iterable[Result]]):
        self.name, self._tool = name, tool
        self.description: str = getattr(tool, "description", "")

    def __call__(self, query: str) -> list[Result]:
        """What the tool gives."""
        return list(self._tool(query))

    def close(self) -> None:
        """Close what the tool holds open."""
        close = getattr(self._tool, "close", None)
        if callable(close):
            close()


@dataclass(frozen=True, kw_only=True)
class ToolTable:
    """The settings that every [[tool]] table may have."""

    kind: str
    name: str = ""  # in traces and towards clients; "": the kind's own
    timeout: float = Limits.timeout
    max_results: int = Limits.max_results
    max_characters: int = Limits.max_characters
    cache_seconds: float = Limits.cache_seconds

    def limits(self) -> Limits:
        """Raises UserError for a limit that nothing could keep."""
        for name, least in (("timeout", 0.001), ("max_results", 1), ("max_characters", 1), ("cache_seconds", 0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise UserError(f"{name}: {value}, expected at least {least}")
        return Limits(
            timeout=self.timeout,
            max_results=self.max_results,
            max_characters=self.max_characters,
            cache_seconds=self.cache_seconds,
        )

    def named(self) -> str:
        """The tool's name. Raises UserError for one that is no plain word."""
        if self.name and not re.fullmatch(r"[\w-]{1,64}", self.name, re.ASCII):
            raise UserError(f"name: {self.name!r}, expected at most 64 letters, digits, _ or -")
        return self.name or self.default_name()

    def default_name(self) -> str:
        """The name where the table gives none."""
        return self.kind

    def open(self, folder: Path) -> Callable[[str], Iterable[Result]]:
        """The tool, ready to be asked; paths in its settings are relative to `folder`, the tools file's."""
        raise NotImplementedError


class CalculatorTable(ToolTable):
    """`kind = "calculator"`: arithmetic in signs or plain words."""

    def open(self, folder: Path) -> Tool:
        """The calculator."""
        return Calculator()


class TranslatorTable(ToolTable):
    """`kind = "translator"`: single words and short phrases."""

    def open(self, folder: Path) -> Tool:
        """The dictionary, Apertium where it is installed, and the server that the environment names."""
        return Translator()


class SearchTable(ToolTable):
    """`kind = "search"`: the bundled knowledge."""

    def open(self, folder: Path) -> Tool:
        """The index over the bundled facts."""
        return SearchIndex(read_facts())


@dataclass(frozen=True, kw_only=True)
class EntryPointTable(ToolTable):
    """`kind = "entry_point"`: a tool of another Python package."""

    entry: str
    settings: dict[str, Any] = field(default_factory=dict)  # handed over as keyword arguments

    def default_name(self) -> str:
        """The entry point's name."""
        return self.entry

    def open(self, folder: Path) -> Callable[[str], Iterable[Result]]:
        """The tool that the entry point gives."""
        return open_entry_point(self.entry, self.settings)


@dataclass(frozen=True, kw_only=True)
class McpTable(ToolTable):
    """`kind = "mcp"`: a tool of a Model Context Protocol server, started as a command or reached by URL."""

    tool: str  # the server's name for it
    command: tuple[str, ...] = ()  # program (a path where it has a slash) and arguments
    url: str = ""
    environment: dict[str, str] = field(default_factory=dict)  # of the command, beside a few harmless variables
    argument: str = ""  # that takes the query; "": the only text that the tool asks for
    arguments: dict[str, Any] = field(default_factory=dict)  # the others, the same for every query
    items: str = "result"  # key of the list in a JSON answer
    text: str = "text"  # keys of one item
    link: str = "url"
    title: str = "title"

    def default_name(self) -> str:
        """The server's name for the tool."""
        return self.tool

    def open(self, folder: Path) -> Callable[[str], Iterable[Result]]:
        """The tool, its server reached once."""
        from openlamda.tools.mcp_client import Fields, McpTool, server_of  # an extra, and slow to import

        command = self.command
        if command and "/" in command[0]:
            command = (str((folder / Path(command[0]).expanduser()).absolute()), *command[1:])
        server = server_of(command, self.url, self.environment)
        fields = Fields(self.items, self.text, self.link, self.title)
        return McpTool(server, self.tool, self.argument, self.arguments, fields, self.timeout)


@dataclass(frozen=True, kw_only=True)
class IndexTable(ToolTable):
    """`kind = "index"`: passages that `openlamda index` took in, in a folder or on an OpenSearch server."""

    path: str  # or http://HOST:9200/NAME

    def open(self, folder: Path) -> Callable[[str], Iterable[Result]]:
        """The index, opened to be read."""
        return open_index(self.path, beside=folder, timeout=self.timeout)


@dataclass(frozen=True, kw_only=True)
class WebTable(ToolTable):
    """`kind = "web"`: a web search service that answers in JSON."""

    service: str  # searxng=URL or brave=URL

    def open(self, folder: Path) -> Callable[[str], Iterable[Result]]:
        """The service; nothing is sent before it is asked."""
        return web_search(self.service, named="service", timeout=self.timeout)


KINDS: dict[str, type[ToolTable]] = {
    "calculator": CalculatorTable,
    "translator": TranslatorTable,
    "search": SearchTable,
    "index": IndexTable,
    "web": WebTable,
    "entry_point": EntryPointTable,
    "mcp": McpTable,
}
