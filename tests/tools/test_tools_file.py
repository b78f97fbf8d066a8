"""A tools file says which tools are asked in which order; every mistake in it names file, table and key."""

import re
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools import toolset as module
from openlamda.tools.calls import Limits
from openlamda.tools.entry_points import GROUP
from openlamda.tools.kinds import IndexTable, McpTable, WebTable
from openlamda.tools.searches import open_index
from openlamda.tools.toolset import default_toolset, open_toolset, read_toolset


class Weather:
    """A tool as another package would bring it."""

    name = "its own name"

    def __init__(self, unit="C"):
        if unit == "F":
            raise UserError("unit: 'F', expected 'C'")
        self._unit, self.closed = unit, False

    def __call__(self, query):
        return [Result(f"{query}: 20 {self._unit}", "https://example.org/weather", "Weather")]


def broken():
    """Gives something that takes no query."""
    return 3


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Two entry points, as if a package with them were installed."""
    found = {"weather": "Weather", "broken": "broken"}
    points = [metadata.EntryPoint(name, f"tools_of_a_package:{what}", GROUP) for name, what in found.items()]
    monkeypatch.setitem(sys.modules, "tools_of_a_package", SimpleNamespace(Weather=Weather, broken=broken))
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == GROUP else [])


def read(tmp_path, text):
    path = tmp_path / "tools.toml"
    path.write_text(text, encoding="utf-8")
    return read_toolset(path)


def test_without_a_file_there_are_the_papers_three_in_its_order():
    assert [tool.name for tool in read_toolset(None).tools] == ["calculator", "translator", "search"]
    assert [tool.name for tool in default_toolset().tools] == ["calculator", "translator", "search"]


def test_tools_are_asked_in_the_order_of_the_file_under_their_names(tmp_path):
    toolset = read(
        tmp_path,
        """
        [[tool]]
        kind = "entry_point"
        entry = "weather"
        settings = {unit = "K"}

        [[tool]]
        kind = "calculator"
        name = "sums"
        timeout = 2
        max_results = 1
        cache_seconds = 0.0
        """,
    )
    answer = toolset.ask("1+1")
    assert [result.text for result in answer.results] == ["1+1: 20 K", "2"]
    assert [call.tool for call in answer.calls] == ["weather", "sums"]
    assert toolset._workers[1].limits == Limits(timeout=2, max_results=1, cache_seconds=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no [[tool]] table"),
        ("tool = 3", "no [[tool]] table"),
        ("[tools]\na = 1", "no setting 'tools'; expected [[tool]] tables alone"),
        ("[[tool]]\nname = 'x'", "tool 1: kind None; expected one of calculator, translator"),
        ("[[tool]]\nkind = 'calculater'", "tool 1: kind 'calculater'; did you mean 'calculator'?"),
        ("[[tool]]\nkind = 'search'\ntimeuot = 3", "tool 1: no setting 'timeuot'; did you mean 'timeout'?"),
        ("[[tool]]\nkind = 'search'\ntimeout = 0", "tool 1: timeout: 0.0, expected at least 0.001"),
        ("[[tool]]\nkind = 'search'\ntimeout = nan", "tool 1: timeout: nan"),
        ("[[tool]]\nkind = 'search'\nmax_results = 'x'", "tool 1: Expected `int`, got `str`"),
        ("[[tool]]\nkind = 'search'\nname = 'a b'", "tool 1: name: 'a b', expected at most 64 letters"),
        ("[[tool]]\nkind = 'search'\n[[tool]]\nkind = 'search'", "tool 2: name: 'search' occurs twice"),
        ("[[tool]]\nkind = 'entry_point'", "tool 1: Object missing required field `entry`"),
        ("[[tool]]\nkind = 'entry_point'\nentry = 'wether'", "tool 1: entry: no entry point 'wether' in group"),
        ("[[tool]]\nkind = 'entry_point'\nentry = 'broken'", "tool 1: entry: 'broken' gave int, expected something"),
        (
            "[[tool]]\nkind = 'entry_point'\nentry = 'weather'\nsettings = {units = 'K'}",
            "tool 1: entry: 'weather' did not start with these settings: TypeError",
        ),
        (
            "[[tool]]\nkind = 'entry_point'\nentry = 'weather'\nsettings = {unit = 'F'}",
            "tool 1: unit: 'F', expected 'C'",
        ),
        ("[[tool]\n", "Expected"),
    ],
)
def test_a_mistake_names_file_table_and_key(tmp_path, text, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "tools.toml") + ": ") and message in str(error.value)


def test_the_tools_file_and_the_tool_in_the_docs_are_ones(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs/own-tools.md").read_text(encoding="utf-8")
    toml, code = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in ("toml", "python"))
    documented: dict[str, Any] = {}
    exec(code, documented)
    monkeypatch.setattr(sys.modules["tools_of_a_package"], "Weather", documented["Weather"])
    monkeypatch.setattr(McpTable, "open", lambda table, folder: lambda query: [Result(f"{table.tool}: {query}")])
    for kind in (IndexTable, WebTable):
        monkeypatch.setattr(kind, "open", lambda table, folder: lambda query: [])
    answer = read(tmp_path, toml).ask("weather in Sorn")
    assert [call.tool for call in answer.calls] == ["calculator", "search", "index", "web", "weather", "search_docs"]
    assert [result.text for result in answer.results][-2:] == ["weather in Sorn: 20 C", "search_docs: weather in Sorn"]
    assert read_toolset(tmp_path / "tools.toml")("K2")[-1].text == "search_docs: K2"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.toml: no such file"):
        read_toolset(tmp_path / "nowhere.toml")


def test_what_was_opened_is_closed_when_a_later_table_is_wrong(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(Weather, "close", lambda self: closed.append(self), raising=False)
    with pytest.raises(UserError):
        read(tmp_path, "[[tool]]\nkind = 'entry_point'\nentry = 'weather'\n[[tool]]\nkind = 'x'")
    assert len(closed) == 1
    assert module.KINDS.keys() >= {"calculator", "translator", "search", "entry_point", "mcp"}


def test_an_index_and_a_web_search_stand_in_a_tools_file(tmp_path):
    pytest.importorskip("tantivy")
    (tmp_path / "t.toml").write_text('[[tool]]\nkind = "index"\npath = "nowhere"\n')
    with pytest.raises(UserError, match=r"tool 1: .*nowhere"):
        read_toolset(tmp_path / "t.toml")
    (tmp_path / "t.toml").write_text('[[tool]]\nkind = "web"\nservice = "searxng=https://searx.example.org/search"\n')
    assert [tool.name for tool in read_toolset(tmp_path / "t.toml").tools] == ["web"]
    (tmp_path / "t.toml").write_text('[[tool]]\nkind = "web"\nservice = "x"\n')
    with pytest.raises(UserError, match="tool 1: service: 'x', expected searxng=URL"):
        read_toolset(tmp_path / "t.toml")
    with pytest.raises(UserError, match="--web: 'x', expected searxng=URL"):
        open_toolset(web="x")
    with pytest.raises(UserError, match="--web: url 'x'"):
        open_toolset(web="brave=x")
    with pytest.raises(UserError, match="not both"):
        open_toolset(tmp_path / "t.toml", index="there")


def test_the_time_of_a_table_is_that_of_its_requests(tmp_path, monkeypatch):
    times = []
    monkeypatch.setattr("openlamda.tools.http.GuardedClient.__init__", lambda *_, timeout, **__: times.append(timeout))
    service = "searxng=https://searx.example.org/search"
    WebTable(kind="web", service=service, timeout=25.0).open(tmp_path)
    IndexTable(kind="index", path="http://localhost:9200/books", timeout=30.0).open(tmp_path)
    assert times == [25.0, 30.0]


def test_an_index_under_an_address_of_another_kind_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"'htp://localhost:9200/x', expected a folder, or http://"):
        open_index("htp://localhost:9200/x", write=True)
    assert not list(tmp_path.iterdir())
