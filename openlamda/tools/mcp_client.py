"""A tool of a Model Context Protocol server: a command that is started, or a URL. Needs the extra `mcp`.

Takes a query, gives results. The official client is asynchronous: it lives in a thread of its own.
"""

import asyncio
import json
import os
import threading
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.calls import is_address

try:
    from mcp import Client, StdioServerParameters, stdio_client
    from mcp_types import CallToolResult, EmbeddedResource, ResourceLink, TextContent, TextResourceContents
    from mcp_types import Tool as Described
except ModuleNotFoundError:
    raise UserError("a tool of a Model Context Protocol server needs mcp: pip install 'openlamda[mcp]'") from None

T = TypeVar("T")
_lock = threading.Lock()
START = 60.0  # seconds that a server may take to start: some download themselves first


@dataclass(frozen=True)
class Fields:
    """Where a JSON answer has its results: the key of the list (a.b: within a), and those of an item."""

    items: str = "result"
    text: str = "text"
    url: str = "url"
    title: str = "title"


def server_of(command: Sequence[str], url: str, environment: Mapping[str, str]) -> StdioServerParameters | str:
    """Where a server is. Raises UserError that names the key of the tools file."""
    if bool(command) == bool(url):
        raise UserError("command, url: expected one of them")
    if url:
        parsed = urlsplit(url)
        if parsed.scheme not in ("http", "https") or not parsed.hostname:
            raise UserError(f"url: {url!r}, expected http:// or https:// and a host")
        return url
    return StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(environment))


_connections: weakref.WeakValueDictionary[str, "Connection"] = weakref.WeakValueDictionary()


def connection_to(server: StdioServerParameters | str) -> "Connection":
    """The connection to a server, one for all of its tools."""
    with _lock:
        connection = _connections.get(repr(server))
        if connection is None:
            connection = _connections[repr(server)] = Connection(server)
        return connection


class Connection:
    """A server that is kept open, and opened anew at the next call when it was lost. From any thread."""

    def __init__(self, server: StdioServerParameters | str):
        self._server = server
        self._lock = threading.Lock()
        self._open: tuple[Client, asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def tools(self) -> list[Described]:
        """What the server offers."""

        async def listed(client: Client) -> list[Described]:
            found, page = [], await client.list_tools()
            found += page.tools
            while page.next_cursor and len(found) < 1000:
                page = await client.list_tools(cursor=page.next_cursor)
                found += page.tools
            return found

        return self._within(START, listed)

    def call(self, tool: str, arguments: dict[str, Any], timeout: float) -> CallToolResult:
        """The answer of one of its tools."""
        return self._within(timeout, lambda client: client.call_tool(tool, arguments))

    def _within(self, seconds: float, ask: Any) -> Any:
        was_open = self._open is not None
        try:
            return self._once(seconds, ask)
        except TimeoutError:
            raise
        except Exception:
            if not was_open:
                raise
        return self._once(seconds, ask)  # the server may have died since the last call

    def _once(self, seconds: float, ask: Any) -> Any:
        running = None
        try:
            client, loop, _ = self._opened()
            asking = ask(client)
            try:
                running = asyncio.run_coroutine_threadsafe(asking, loop)
            except RuntimeError:  # its loop is closed
                asking.close()
                raise
            return running.result(seconds)
        except TimeoutError:
            if running is not None:
                running.cancel()
            raise
        except Exception:
            self.close()  # whatever is wrong with it, what comes next begins with a fresh one
            raise

    def _opened(self) -> tuple[Client, asyncio.AbstractEventLoop, asyncio.Event]:
        with self._lock:
            if self._open is None:
                ready: Future[tuple[Client, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
                threading.Thread(target=lambda: _run(self._serve(ready), ready), daemon=True).start()
                self._open = ready.result()
            return self._open

    async def _serve(self, ready: Future) -> None:
        server = self._server
        with open(os.devnull, "w") as log:  # a server's log is not to be mixed into a chat
            opened = Client(server if isinstance(server, str) else stdio_client(server, log))
            async with asyncio.timeout(START) as limit, opened as client:
                limit.reschedule(None)
                stop = asyncio.Event()
                ready.set_result((client, asyncio.get_running_loop(), stop))
                await stop.wait()

    def close(self) -> None:
        """Leave the server; one that was started ends."""
        with self._lock:
            if self._open is not None:
                _, loop, stop = self._open
                self._open = None
                if not loop.is_closed():
                    loop.call_soon_threadsafe(stop.set)


def _run(serving: Coroutine[Any, Any, None], ready: Future) -> None:
    try:
        asyncio.run(serving)
    except BaseException as failure:  # told to whoever waits; later ones are told by the call that meets them
        if not ready.done():
            ready.set_exception(RuntimeError(_first(failure)))


def _first(failure: BaseException) -> str:
    """The first cause in a group of failures, in one line."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, TimeoutError):
        return f"not ready within {START:g} seconds"
    return f"{type(failure).__name__}: {failure}"


class McpTool:
    """One tool of a server, asked with the query as one of its arguments.

    Raises UserError, when it is made, for a server that does not answer, and for a tool or an argument that it has not.
    """

    def __init__(
        self,
        server: StdioServerParameters | str,
        tool: str,
        argument: str = "",
        arguments: Mapping[str, Any] | None = None,
        fields: Fields = Fields(),
        timeout: float = 10.0,
    ):
        self.name, self._arguments, self._fields, self._timeout = tool, dict(arguments or {}), fields, timeout
        self._connection = connection_to(server)
        try:
            try:
                offered = {described.name: described for described in self._connection.tools()}
            except Exception as failure:
                raise UserError(f"the server did not start: {str(failure) or type(failure).__name__}") from None
            if tool not in offered:
                raise UserError(f"tool: the server has no {tool!r}, expected one of {', '.join(offered) or 'none'}")
            self._argument = argument_for(offered[tool].input_schema, argument, self._arguments)
        except UserError:
            self.close()
            raise
        self.description = offered[tool].description or ""

    def __call__(self, query: str) -> list[Result]:
        """What the server's tool gives for `query`."""
        arguments = {**self._arguments, self._argument: query}
        return results_of(self._connection.call(self.name, arguments, self._timeout), self._fields)

    def close(self) -> None:
        """Leave the server."""
        self._connection.close()


def argument_for(schema: Mapping[str, Any], argument: str, fixed: Mapping[str, Any]) -> str:
    """The argument that takes the query: the one that is named, or the only text that a tool's input asks for.

    Raises UserError that names the key of the tools file.
    """
    properties, required = schema.get("properties", {}), schema.get("required", [])
    for name in (*([argument] if argument else []), *fixed):
        if name not in properties:
            key = "argument" if name == argument else "arguments"
            raise UserError(f"{key}: the tool has no {name!r}, expected one of {', '.join(properties) or 'none'}")
    if not argument:
        texts = [name for name, about in properties.items() if about.get("type") == "string" and name not in fixed]
        asked = [name for name in texts if name in required] or texts
        if len(asked) != 1:
            raise UserError(f"argument: none given, expected one of {', '.join(asked) or 'none that takes a text'}")
        argument = asked[0]
    for name in required:
        if name != argument and name not in fixed:
            raise UserError(f"arguments: the tool asks for {name!r}, expected a value for it")
    return argument


def results_of(answer: CallToolResult, fields: Fields) -> list[Result]:
    """The results in a tool's answer: items of its JSON, or else texts and links. Raises RuntimeError for an error."""
    texts = [block.text for block in answer.content if isinstance(block, TextContent)]
    if answer.is_error:
        raise RuntimeError(" ".join(" ".join(texts).split())[:300] or "the tool gave no reason")
    value = answer.structured_content
    if value is None and len(texts) == 1 and texts[0].lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(texts[0])
        except (ValueError, RecursionError):
            value = None
    items = value if isinstance(value, list) else _at(value, fields.items)
    if isinstance(items, list):
        return [result for item in items if (result := _item(item, fields)) is not None]
    found = []
    for block in answer.content:
        if isinstance(block, TextContent):
            found.append(Result(block.text))
        elif isinstance(block, ResourceLink) and is_address(str(block.uri)):
            found.append(Result(block.description or block.name, str(block.uri), block.title or block.name))
        elif isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
            url = str(block.resource.uri)
            found.append(Result(block.resource.text, url if is_address(url) else None))
    return found


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _item(item: Any, fields: Fields) -> Result | None:
    if isinstance(item, str):
        return Result(item)
    text, url, title = (_at(item, key) for key in (fields.text, fields.url, fields.title))
    if not isinstance(text, str) or not text.strip():
        return None
    return Result(text, url if isinstance(url, str) and url else None, title if isinstance(title, str) else None)
