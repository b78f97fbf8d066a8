"""A toolset offered to others as a Model Context Protocol server. Needs the extra `mcp`.

Each tool is offered by its name, takes a query, and gives a list of results with text, url, title and time.
"""

from collections.abc import Callable
from importlib import metadata
from typing import Annotated

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.base import Tool, Toolset

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp_types import ToolAnnotations
    from pydantic import Field
except ModuleNotFoundError:
    raise UserError("serving tools needs mcp: pip install 'openlamda[mcp]'") from None

MAX_QUERY = 2_000  # characters
BUNDLED = {
    "calculator": 'Arithmetic in signs or plain words, such as "135+7721" or "20% of 85". No result for anything else.',
    "translator": 'Translates a word or short phrase: "hello in French". No result for anything else.',
    "search": "Looks facts up and gives passages with their address, best first.",
    "index": "Searches documents and gives passages with their address, best first.",
    "web": "Searches the web and gives what pages say, with their address, best first.",
}
Query = Annotated[str, Field(description="What to calculate, translate or look up, as text.", max_length=MAX_QUERY)]


def server(toolset: Toolset) -> MCPServer:
    """The server; `run("stdio")` serves it. A tool that fails answers with an error."""
    offered = MCPServer("openlamda", version=metadata.version("openlamda"))
    for tool in toolset.tools:
        offered.add_tool(
            _asking(toolset, tool.name),
            name=tool.name,
            description=described(tool),
            annotations=ToolAnnotations(read_only_hint=True),
        )
    return offered


def described(tool: Tool) -> str:
    """What a tool says of itself, or the first line of its docstring."""
    said = getattr(tool, "description", "") or BUNDLED.get(tool.name, "")
    return said or (type(tool).__doc__ or tool.name).strip().splitlines()[0]


def _asking(toolset: Toolset, name: str) -> Callable[[str], list[Result]]:
    def ask(query: Query) -> list[Result]:
        answer = toolset.ask_one(name, query)
        if answer.failure and not answer.results:
            raise ToolError(answer.failure)
        return answer.results

    return ask
