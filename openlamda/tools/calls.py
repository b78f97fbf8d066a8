"""One call of one tool: bounded in time, in the number of results and in their size, whatever the tool does.

A call runs in a thread of its own, so that one that hangs can be left behind; what it brings later is discarded.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlsplit

from openlamda.text.dialog import Result

AT_ONCE = 32  # calls of one tool, those left behind included
MAX_TITLE = 300  # characters
MAX_URL = 2_000
SCHEMES = ("http", "https", "file", "")  # of a result's address; "": a path
ADDRESS = "http, https, file or a path, without spaces"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a call of a tool may take and bring."""

    timeout: float = 10.0  # seconds
    max_results: int = 8
    max_characters: int = 4_000  # of a result's text
    cache_seconds: float = 300.0  # that an answer is used again; 0: never


@dataclass(frozen=True)
class Call:
    """What became of a call: for the trace."""

    tool: str
    query: str
    ms: float
    cached: bool
    results: int
    failure: str | None = None


class Partly(Exception):
    """What a tool raises that has `results`, although some of what it asked failed."""

    def __init__(self, results: list[Result], failure: str):
        super().__init__(failure)
        self.results = results


class Worker:
    """Calls one tool, in daemon threads: neither a reply nor the end of the program waits for one that hangs."""

    def __init__(self, ask: Callable[[str], Iterable[Result]], limits: Limits):
        self._ask, self.limits = ask, limits
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def start(self, query: str) -> "Running":
        """Begin a call."""
        future: Future[list[Result]] = Future()
        running = Running(future, time.monotonic(), self.limits.timeout)
        if not self._free.acquire(blocking=False):
            future.set_exception(TimeoutError(f"{AT_ONCE} calls of it have not come back yet"))
            return running
        try:
            threading.Thread(target=self._run, args=(query, running), daemon=True).start()
        except RuntimeError as error:  # no thread is to be had
            self._free.release()
            future.set_exception(error)
        return running

    def _run(self, query: str, running: "Running") -> None:
        try:
            try:
                results, failure = bounded(self._ask(query), self.limits), None
            except Partly as partly:
                results, failure = [], Partly(bounded(partly.results, self.limits), str(partly))
        except Exception as error:
            results, failure = [], error
        except BaseException as error:  # a tool that wants to end the program ends its call alone
            results, failure = [], RuntimeError(f"{type(error).__name__}: {error}")
        self._free.release()
        running.end(results, failure)


class Running:
    """A call that was begun."""

    def __init__(self, future: "Future[list[Result]]", began: float, timeout: float):
        self._future, self._began, self._timeout = future, began, timeout
        self._ended: float | None = None

    def end(self, results: list[Result], failure: Exception | None) -> None:
        """The call is over; whoever waits hears of it."""
        self._ended = time.monotonic()
        if failure is None:
            self._future.set_result(results)
        else:
            self._future.set_exception(failure)

    def wait(self) -> tuple[list[Result], float, str | None]:
        """Results, the milliseconds that they took, and what failed."""
        results, failure = [], None
        try:
            results = self._future.result(max(0.0, self._began + self._timeout - time.monotonic()))
        except Partly as partly:
            results, failure = partly.results, str(partly)
        except TimeoutError as late:
            failure = str(late) or f"no answer within {self._timeout:g} seconds"
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
        return results, 1000 * ((self._ended or time.monotonic()) - self._began), failure


def bounded(found: Iterable[Result], limits: Limits) -> list[Result]:
    """The first results, cut to size, with the time at which they came.

    One whose address is no page's, `javascript:` say, is left out. Raises ValueError where that leaves none, and
    TypeError for anything but results.
    """
    results, refused = [], None
    for result in islice(found, limits.max_results):
        if not isinstance(result, Result):
            raise TypeError(f"expected a list of Result, got {result!r:.80}")
        if result.url is not None and not is_address(result.url):
            refused = result.url
            continue
        title = result.title[:MAX_TITLE] if result.title else result.title
        now = datetime.now(UTC).isoformat(timespec="seconds")
        results.append(replace(result, text=result.text[: limits.max_characters], title=title, fetched=now))
    if refused is not None and not results:
        raise ValueError(f"a result's address is {refused!r:.80}, expected {ADDRESS}")
    return results


def is_address(url: str) -> bool:
    """Whether `url` names a page or a file, and nothing that a browser would run."""
    if not url or len(url) > MAX_URL or any(c.isspace() or ord(c) < 32 for c in url):
        return False
    try:
        return urlsplit(url).scheme in SCHEMES
    except ValueError:
        return False
