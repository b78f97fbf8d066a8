"""A server of the Model Context Protocol, as somebody else would write it: started by test_mcp.py."""

import os
import sys
import threading
import time

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ResourceLink, TextContent

server = MCPServer("books")


@server.tool(description="Finds books.")
def find(subject: str, limit: int, genre: str = "") -> dict:
    """The first `limit` books on a subject."""
    books = [
        {
            "blurb": " ".join(f"{subject} {genre} {n}".split()),
            "at": {"href": f"https://example.org/{n}"},
            "called": f"B{n}",
        }
        for n in range(9)
    ]
    return {"found": {"books": [*books[:limit], {"no": "blurb"}]}}


@server.tool()
def plain(query: str) -> str:
    """Says it back."""
    return f"You said {query}."


@server.tool(structured_output=False)
def blocks(query: str) -> list:
    """Text and links."""
    link = ResourceLink(uri="https://example.org/a", name="a", title="A", description="About a", type="resource_link")
    bad = ResourceLink(uri="javascript:alert(1)", name="b", type="resource_link")
    return [TextContent(type="text", text="First"), link, bad]


@server.tool()
def fails(query: str) -> str:
    """Fails."""
    raise ToolError(f"no {query} here")


@server.tool()
def hangs(query: str) -> str:
    """Takes its time."""
    time.sleep(2)
    return "late"


@server.tool()
def dies(query: str) -> str:
    """Ends the server."""
    os._exit(1)


@server.tool()
def leaves(query: str) -> str:
    """Ends the server once it has answered."""
    threading.Timer(0.3, os._exit, (1,)).start()
    return "Bye."


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
