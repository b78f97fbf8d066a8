"""Tools of a Model Context Protocol server, and the toolset as one: the official package is on the other side."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.toolset import read_toolset

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import TextContent

from openlamda.cli.tools import serve_mcp
from openlamda.tools import mcp_client

BOOKS = str(Path(__file__).parent / "mcp_books.py")


def tools_file(tmp_path, *tables, server=f"command = ['{sys.executable}', '{BOOKS}']"):
    path = tmp_path / "tools.toml"
    path.write_text("\n".join(f"[[tool]]\nkind = 'mcp'\n{server}\n{table}" for table in tables), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def toolset(tmp_path_factory):
    """One tool of each kind of answer."""
    found = """
        tool = "find"
        argument = "subject"
        arguments = {limit = 2}
        items = "found.books"
        text = "blurb"
        link = "at.href"
        title = "called"
        """
    others = "tool = 'plain'", "tool = 'blocks'", "tool = 'fails'", "tool = 'hangs'\ntimeout = 0.3"
    toolset = read_toolset(tools_file(tmp_path_factory.mktemp("tools"), found, *others))
    yield toolset
    toolset.close()


def test_the_query_goes_into_its_argument_and_fields_of_json_become_results(toolset):
    assert toolset.ask_one("find", "tea").results == [
        Result("tea 0", "https://example.org/0", "B0"),
        Result("tea 1", "https://example.org/1", "B1"),
    ]


def test_text_and_links_are_results_and_a_link_that_is_no_page_is_not(toolset):
    assert toolset.ask_one("plain", "tea").results == [Result("You said tea.")]
    assert toolset.ask_one("blocks", "x").results == [Result("First"), Result("About a", "https://example.org/a", "A")]


def test_a_failure_of_the_server_is_in_the_trace(toolset):
    answer = toolset.ask_one("fails", "tea")
    assert not answer.results and "no tea here" in str(answer.failure)


def test_a_server_that_hangs_costs_its_time(toolset):
    began = time.monotonic()
    assert toolset.ask_one("hangs", "x").failure is not None
    assert time.monotonic() - began < 1.5
    assert toolset.ask_one("plain", "still there").results


def test_a_server_that_died_is_started_again(tmp_path):
    toolset = read_toolset(
        tools_file(tmp_path, "tool = 'dies'\ncache_seconds = 0", "tool = 'plain'\ncache_seconds = 0")
    )
    assert toolset.ask_one("dies", "x").failure
    assert toolset.ask_one("plain", "again").results == [Result("You said again.")]
    toolset.close()


def test_the_first_call_after_a_servers_death_is_answered(tmp_path):
    toolset = read_toolset(tools_file(tmp_path, "tool = 'leaves'", "tool = 'plain'\ncache_seconds = 0"))
    assert toolset.ask_one("leaves", "x").results == [Result("Bye.")]
    time.sleep(1)
    assert toolset.ask_one("plain", "again").results == [Result("You said again.")]
    toolset.close()


def test_a_server_that_is_never_ready_is_named_and_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(mcp_client, "START", 1.0)
    (tmp_path / "server").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    (tmp_path / "server").chmod(0o755)
    with pytest.raises(UserError, match=r"the server did not start: not ready within 1 seconds"):
        read_toolset(tools_file(tmp_path, "tool = 'x'", server="command = ['./server']"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("tool = 'fnd'", "tool 1: tool: the server has no 'fnd', expected one of find, plain"),
        (
            "tool = 'find'\nargument = 'about'",
            "tool 1: argument: the tool has no 'about', expected one of subject, limit",
        ),
        ("tool = 'find'\nargument = 'subject'", "tool 1: arguments: the tool asks for 'limit', expected a value"),
        ("tool = 'find'\narguments = {subject = 'x', limit = 1, genre = ''}", "tool 1: argument: none given"),
        ("tool = 'find'\narguments = {size = 1}", "tool 1: arguments: the tool has no 'size'"),
    ],
)
def test_a_tool_or_argument_that_the_server_has_not_is_named(tmp_path, table, message):
    with pytest.raises(UserError) as error:
        read_toolset(tools_file(tmp_path, table))
    assert message in str(error.value) and str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("", "command, url: expected one of them"),
        ("url = 'ftp://example.org'", "url: 'ftp://example.org', expected http:// or https://"),
        ("command = ['/nowhere/to/be/found']", "the server did not start: "),
        (f"command = ['{sys.executable}', '-c', '']", "the server did not start: "),
        ("url = 'http://127.0.0.1:9/mcp'", "the server did not start: "),
    ],
)
def test_a_server_that_cannot_be_reached_is_one_line(tmp_path, server, message):
    with pytest.raises(UserError) as error:
        read_toolset(tools_file(tmp_path, "tool = 'x'", server=server))
    assert f"tool 1: {message}" in str(error.value) and "\n" not in str(error.value)


def test_a_server_over_http(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, BOOKS, str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        toolset = read_toolset(tools_file(tmp_path, "tool = 'plain'", server=f"url = 'http://127.0.0.1:{port}/mcp'"))
        assert toolset("tea") == [Result("You said tea.")]
        toolset.close()
    finally:
        server.terminate()
        server.wait()


def test_the_toolset_is_a_server_for_the_official_client(tmp_path):
    path = tmp_path / "tools.toml"
    path.write_text("[[tool]]\nkind = 'calculator'\n[[tool]]\nkind = 'search'\nname = 'facts'\nmax_results = 1")
    command = [sys.executable, "-m", "openlamda", "tools", "serve-mcp", "--tools", str(path)]
    parameters = StdioServerParameters(command=command[0], args=command[1:], env={"PYTHONPATH": ":".join(sys.path)})

    async def asked():
        async with Client(stdio_client(parameters, sys.__stderr__ or sys.stderr)) as client:
            offered = (await client.list_tools()).tools
            sums = await client.call_tool("calculator", {"query": "135+7721"})
            facts = await client.call_tool("facts", {"query": "how high is K2"})
            prose = await client.call_tool("calculator", {"query": "hello"})
            long = await client.call_tool("calculator", {"query": "1+" * 2000 + "1"})
            return offered, sums, facts, prose, long

    offered, sums, facts, prose, long = asyncio.run(asked())
    assert [tool.name for tool in offered] == ["calculator", "facts"]
    for tool in offered:
        assert tool.description and tool.input_schema["required"] == ["query"]
        query = tool.input_schema["properties"]["query"]
        assert query["type"] == "string" and query["description"] and query["maxLength"] == 2000
        assert tool.output_schema is not None
    assert sums.structured_content["result"][0]["text"] == "7856"
    (fact,) = facts.structured_content["result"]
    assert fact["text"] == "K2 / height / 8,611 metres" and fact["url"].startswith("https://") and fact["fetched"]
    assert prose.structured_content == {"result": []} and not prose.is_error
    assert long.is_error and isinstance(long.content[0], TextContent)


def test_what_is_served_can_have_a_web_search_and_an_index(tmp_path):
    with pytest.raises(UserError, match="--web: 'x'"):
        serve_mcp(web="x")
    with pytest.raises(UserError, match="--tools"):
        serve_mcp(tools=tmp_path, index="x")


def test_a_tool_that_fails_answers_with_an_error():
    from openlamda.tools.base import Toolset
    from openlamda.tools.mcp_server import server

    class Down:
        """Is never there."""

        name = "down"

        def __call__(self, query):
            raise OSError("no network")

    async def asked():
        async with Client(server(Toolset([Down()]))) as client:
            return (await client.list_tools()).tools[0], await client.call_tool("down", {"query": "x"})

    tool, answer = asyncio.run(asked())
    assert tool.description == "Is never there."
    assert answer.is_error and "down: OSError: no network" in str(answer.content[0])
