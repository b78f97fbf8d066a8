"""A call is bounded in time, number and size; a short while later it is answered from the cache."""

import itertools
import subprocess
import sys
import threading
import time

import pytest

from openlamda.text.dialog import Result
from openlamda.tools import calls
from openlamda.tools.base import Toolset
from openlamda.tools.cache import ResultCache
from openlamda.tools.calls import Limits, Partly

SOON = Limits(timeout=0.3)


class Tool:
    def __init__(self, ask, name="tool"):
        self.name, self._ask, self.asked = name, ask, 0

    def __call__(self, query):
        self.asked += 1
        return self._ask(query)


def test_a_tool_that_hangs_costs_its_time_and_nothing_else():
    end = threading.Event()
    hangs = Tool(lambda query: [Result("late")] if end.wait(60) else [], "slow")
    toolset = Toolset([hangs, Tool(lambda query: [Result("quick")])], {"slow": SOON})
    began = time.monotonic()
    answer = toolset.ask("x")
    assert time.monotonic() - began < 5
    assert [result.text for result in answer.results] == ["quick"]
    assert answer.failure == "slow: no answer within 0.3 seconds"
    slow, quick = answer.calls
    assert (slow.tool, slow.results) == ("slow", 0) and (quick.tool, quick.results, quick.failure) == ("tool", 1, None)
    assert quick.ms < 300 <= slow.ms  # its own time, not that of the one that was waited for
    end.set()
    assert [result.text for result in toolset.ask("y").results] == ["late", "quick"]  # of this call, not of the first


def test_a_tool_that_always_hangs_does_not_gather_threads(monkeypatch):
    monkeypatch.setattr(calls, "AT_ONCE", 3)
    end = threading.Event()
    toolset = Toolset([Tool(lambda query: end.wait(60) and [])], {"tool": Limits(timeout=0.01)})
    failures = [toolset.ask(str(n)).failure for n in range(5)]
    assert failures == ["tool: no answer within 0.01 seconds"] * 3 + ["tool: 3 calls of it have not come back yet"] * 2
    end.set()


def test_a_program_ends_although_a_tool_hangs():
    code = (
        "import time; from openlamda.tools.base import Toolset; from openlamda.tools.calls import Limits\n"
        "class Slow:\n name = 'slow'\n def __call__(self, query): time.sleep(600)\n"
        "print(Toolset([Slow()], {'slow': Limits(timeout=0.01)}).ask('x').failure)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "slow: no answer within 0.01 seconds\n"


def test_a_tool_that_ends_the_program_ends_its_call_alone():
    assert Toolset([Tool(lambda query: sys.exit(3))]).ask("x").failure == "tool: RuntimeError: SystemExit: 3"


def test_results_are_bounded_in_number_and_size():
    endless = Tool(lambda query: (Result(str(n) * 99, "https://example.org", "t" * 999) for n in itertools.count()))
    results = Toolset([endless], {"tool": Limits(max_results=3, max_characters=10)})("x")
    assert [result.text for result in results] == ["0" * 10, "1" * 10, "2" * 10]
    assert all(result.title == "t" * calls.MAX_TITLE and result.fetched for result in results)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "https://e.org/\nx",
        "",
        "java\tscript:x",
    ],
)
def test_an_address_that_a_browser_would_run_is_refused(url):
    answer = Toolset([Tool(lambda query: [Result("x", url)])]).ask("x")
    assert not answer.results and "expected http, https, file or a path" in str(answer.failure)


def test_a_result_with_an_odd_address_costs_the_others_nothing():
    odd, good = Result("x", "doc:12"), Result("y", "https://e.org/a")
    answer = Toolset([Tool(lambda query: [odd, good, odd])]).ask("x")
    assert answer.results == [good] and answer.failure is None


@pytest.mark.parametrize("url", ["https://e.org/a?b=c", "http://e.org", "file:///a/b.md", "notes/a.md#b"])
def test_pages_and_files_are_addresses(url):
    assert Toolset([Tool(lambda query: [Result("x", url)])])("x")[0].url == url


def test_the_same_query_is_asked_once_and_the_trace_says_so():
    tool = Tool(lambda query: [Result(query)])
    toolset = Toolset([tool])
    first, second = toolset.ask("x"), toolset.ask("x")
    assert first.results == second.results and first.results[0].fetched == second.results[0].fetched
    assert [answer.calls[0].cached for answer in (first, second)] == [False, True]
    assert toolset("X") == [Result("X")] and tool.asked == 2


def test_failures_are_not_kept_and_neither_is_anything_without_time_to_live():
    tool = Tool(lambda query: 1 / 0)
    toolset = Toolset([tool])
    assert [toolset.ask("x").failure for _ in range(2)] == ["tool: ZeroDivisionError: division by zero"] * 2
    fresh = Tool(lambda query: [])
    toolset = Toolset([fresh], {"tool": Limits(cache_seconds=0)})
    assert toolset("x") == toolset("x") == []
    assert (tool.asked, fresh.asked) == (2, 2)


def test_after_a_failure_the_first_result_is_still_to_come():
    answers = iter([OSError("down"), [Result("1"), Result("2")]])

    def ask(query):
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    turn = Toolset([Tool(ask)]).turn()
    assert turn.next("x") is None and turn.last.failure
    assert [turn.next("x") for _ in range(3)] == [*turn.last.results, None]


def test_what_is_kept_has_an_end_and_a_bound():
    now = 0.0
    cache = ResultCache(capacity=2, clock=lambda: now)
    cache.put("a", [Result("1")], 10)
    cache.put("b", [], 20)
    assert cache.get("a") == [Result("1")] and cache.get("b") == [] and cache.get("c") is None
    now = 10.0
    assert cache.get("a") is None and cache.get("b") == []
    for key in "cd":
        cache.put(key, [Result(key)], 10)
    assert (cache.get("b"), cache.get("c"), cache.get("d")) == (None, [Result("c")], [Result("d")])


def test_what_a_tool_has_counts_although_a_part_of_it_failed():
    def ask(query):
        raise Partly([Result("1", query)], "the other half is down")

    toolset = Toolset([Tool(ask)])
    for url, failure in (("a.md", "the other half is down"), ("javascript:x", "expected http")):
        answer = toolset.ask(url)
        assert len(answer.results) == (url == "a.md") and failure in str(answer.failure)


def test_one_tool_can_be_asked_alone():
    toolset = Toolset([Tool(lambda query: [Result("1")], "a"), Tool(lambda query: [Result("2")], "b")])
    assert toolset.ask_one("b", "x").results == [Result("2")]
    assert toolset("x") == [Result("1"), Result("2")]
