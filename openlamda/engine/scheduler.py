"""Who is drawn next: work waits in a bounded queue, joins a lane with room between two steps, and leaves when it ends.

Knows nothing of models: a `Lane` does the work. Its thread lives only while there is work.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from openlamda.engine.base import Cancelled, Limits, Overloaded


@dataclass(eq=False)
class Work:
    """A request, and what will come of it."""

    request: Any
    limits: Limits
    future: Future[Any] = field(default_factory=Future)
    abandoned: bool = False  # nobody waits for it

    def over(self) -> Exception | None:
        """Why it need not be done, if so."""
        try:
            self.limits.check()
        except Exception as error:
            return error
        return Cancelled("the request was abandoned") if self.abandoned else None


class Lane(Protocol):
    """Works that advance together."""

    def join(self, work: Work) -> None:
        """Take in a work, between two steps."""
        ...

    def start(self) -> None:
        """Begin a step and do not wait for it."""
        ...

    def finish(self) -> list[tuple[Work, Any]]:
        """Wait for the step; the works that ended with it, which have left, and what came of them."""
        ...

    def drop(self, work: Work) -> None:
        """Forget a work."""
        ...


class Scheduler:
    """Runs works, first come, first served.

    `find`: a lane with room for a work that is between two steps, or None. `most_waiting`: how many works may wait.
    """

    def __init__(self, find: Callable[[Work], Lane | None], most_waiting: int):
        self._find = find
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._running: dict[Lane, list[Work]] = {}
        self._thread: threading.Thread | None = None
        self._seconds = 0.1  # of one work, lately

    def run(self, requests: Sequence[Any], limits: Limits) -> list[Any]:
        """What comes of each request. Raises Overloaded where too many wait already; Cancelled and TimeoutError as
        `limits` has it; and whatever a lane raises.
        """
        limits.check()
        works = [Work(request, limits) for request in requests]
        with self._lock:
            if self._waiting and len(self._waiting) + len(works) > self._most_waiting:
                raise Overloaded(len(self._waiting), self._seconds * len(self._waiting))
            self._waiting.extend(works)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="openlamda-engine")
                self._thread.start()
        try:
            return [work.future.result() for work in works]
        finally:
            for work in works:
                work.abandoned = True  # after an error or an interrupt the others need not end

    def _loop(self) -> None:
        began = time.monotonic()
        while True:
            self._admit()
            with self._lock:
                if not self._running and not self._waiting:
                    self._thread = None
                    return
            for lane in list(self._running):
                ended = self._step(lane)
                if ended:
                    now = time.monotonic()
                    self._seconds += 0.1 * ((now - began) / ended - self._seconds)
                    began = now

    def _step(self, lane: Lane) -> int:
        """One step's end and the next one's beginning; how many works ended."""
        works = self._running[lane]
        try:
            finished = lane.finish()
            for work, result in finished:
                works.remove(work)
                work.future.set_result(result)
            for work in list(works):
                if (error := work.over()) is not None:
                    works.remove(work)
                    lane.drop(work)
                    work.future.set_exception(error)
            self._admit()
            if works:
                lane.start()
            else:
                self._running.pop(lane, None)
        except Exception as error:  # whatever a lane cannot do is told to those who wait for it
            self._running.pop(lane, None)
            for work in works:
                lane.drop(work)
                work.future.set_exception(error)
            return len(works)
        return len(finished)

    def _admit(self) -> None:
        """Let those in who wait, in their order, until there is no room for the next."""
        with self._lock:
            for work in [work for work in self._waiting if work.over() is not None]:
                self._waiting.remove(work)
                work.future.set_exception(work.over())
        while self._waiting:
            work = self._waiting[0]
            try:
                lane = self._find(work)
                if lane is None:
                    return
                lane.join(work)
            except Exception as error:
                with self._lock:
                    self._waiting.popleft()
                work.future.set_exception(error)
                continue
            with self._lock:
                self._waiting.popleft()
            if lane in self._running:
                self._running[lane].append(work)
            else:
                self._running[lane] = [work]
                lane.start()
