"""Who is drawn next: work waits in a bounded queue, joins a lane with room between two steps, and leaves when it ends.

Knows nothing of models: a `Lane` does the work.
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

    def fits(self, work: Work) -> bool:
        """Whether there is room for a work."""
        ...

    def join(self, work: Work) -> None:
        """Take in a work, between two steps."""
        ...

    def step(self) -> list[tuple[Work, Any]]:
        """One step; the works that ended with it, which have left, and what came of them."""
        ...

    def drop(self, work: Work) -> None:
        """Forget a work."""
        ...


class Scheduler:
    """Runs works, first come, first served, in at most `lanes` lanes at a time, each in a thread of its own.

    `take`: an empty lane for a work; `give_back`: what is done with it when it is empty again. `most_waiting`: how many
    works may wait. A thread lives only while there is work for it.
    """

    def __init__(
        self, take: Callable[[Work], Lane], give_back: Callable[[Any], None], *, lanes: int, most_waiting: int
    ):
        self._take, self._give_back = take, give_back
        self._most_lanes, self._most_waiting = lanes, most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._threads = 0
        self._ends: deque[float] = deque(maxlen=64)  # when the last works ended

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._threads

    def run(self, requests: Sequence[Any], limits: Limits) -> list[Any]:
        """What comes of each request. Raises Overloaded where too many wait already, Cancelled and TimeoutError as
        `limits` says, and whatever a lane raises.
        """
        limits.check()
        works = [Work(request, limits) for request in requests]
        with self._lock:
            self._refuse_if_full(len(works))
            self._waiting.extend(works)
            for _ in range(min(len(works), self._most_lanes - self._threads)):
                self._threads += 1
                try:
                    threading.Thread(target=self._loop, name="openlamda-lane").start()
                except RuntimeError:  # the system has no more of them
                    self._threads -= 1
                    if not self._threads:
                        self._waiting.clear()
                        raise
        try:
            return [work.future.result() for work in works]
        finally:
            for work in works:
                work.abandoned = True  # after an error or an interrupt the others need not end

    def check(self, limits: Limits) -> None:
        """Raises what `run` would raise at once for one request; whoever has work to do before it may ask first."""
        limits.check()
        with self._lock:
            self._refuse_if_full(1)

    def _refuse_if_full(self, more: int) -> None:
        if self._waiting and len(self._waiting) + more > self._most_waiting:
            raise Overloaded(len(self._waiting), self._seconds_to_wait())

    def _seconds_to_wait(self) -> float:
        ends = list(self._ends)
        each = (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else 0.1
        return max(0.1, each * len(self._waiting))

    def _loop(self) -> None:
        while True:
            with self._lock:
                work = self._next(lambda work: True)
                if work is None:
                    self._threads -= 1
                    return
            self._run_lane(work)

    def _next(self, wanted: Callable[[Work], bool]) -> Work | None:
        """The first that waits, if the lane wants it; all that are not wanted any more are told so."""
        for work in list(self._waiting):
            if (error := work.over()) is not None:
                self._waiting.remove(work)
                work.future.set_exception(error)
        return self._waiting.popleft() if self._waiting and wanted(self._waiting[0]) else None

    def _run_lane(self, work: Work) -> None:
        works, sound = [work], True
        try:
            lane = self._take(work)
            lane.join(work)
            while works:
                for ended, result in lane.step():
                    works.remove(ended)
                    self._ends.append(time.monotonic())
                    ended.future.set_result(result)
                for unwanted in list(works):
                    if (error := unwanted.over()) is not None:
                        works.remove(unwanted)
                        unwanted.future.set_exception(error)
                        lane.drop(unwanted)
                while sound:
                    with self._lock:
                        more = self._next(lane.fits)
                    if more is None:
                        break
                    try:
                        lane.join(more)
                        works.append(more)
                    except Exception as error:  # its own; if it broke the lane, the next step tells the others
                        more.future.set_exception(error)
                        sound = False
            if sound:
                self._give_back(lane)
        except BaseException as error:  # the lane is not used again; who waits for it is told
            for work in works:
                work.future.set_exception(error)
