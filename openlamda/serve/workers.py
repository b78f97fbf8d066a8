"""Replies under way: a bounded pool of threads, whose jobs tell what they do, can be called off, and have a deadline.

Knows nothing of HTTP. Whoever waits stays in the event loop; only the job is in a thread.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from openlamda.dialog.telling import Stage, Tell
from openlamda.engine.base import Cancelled, Limits, Overloaded

T = TypeVar("T")
Job = Callable[[Limits, Tell], T]
USUAL = 1.0  # seconds of a job, before any was measured
IN_TIME = 0.5  # of the deadline: what is expected to take longer is not begun


class Task(Generic[T]):
    """A job that waits for a thread or runs in one."""

    def __init__(self, job: Job[T], deadline: float):
        self._job = job
        self._cancelled = threading.Event()
        self.when_cancelled: Callable[[], None] = lambda: None
        self._limits = Limits(time.monotonic() + deadline, self._cancelled)
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Stage | None] = asyncio.Queue()
        self._ended: asyncio.Future[T] = self._loop.create_future()
        self._ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # else asyncio warns

    def cancel(self) -> None:
        """Nobody waits any more: the engine lets go of it within a few steps."""
        if not self._cancelled.is_set():
            self._cancelled.set()
            self.when_cancelled()

    async def stages(self, ping: float) -> AsyncIterator[Stage | None]:
        """What the job tells until it ends; None where nothing was told for `ping` seconds."""
        while True:
            try:
                stage = await asyncio.wait_for(self._told.get(), ping)
            except TimeoutError:
                yield None
                continue
            if stage is None:
                return
            yield stage

    async def result(self) -> T:
        """What came of it. Raises what the job raised."""
        return await self._ended

    def run(self) -> bool:
        """The job, in a thread; whether it was wanted to its end."""
        try:
            self._limits.check()
            result = self._job(self._limits, lambda stage: self._post(self._told.put_nowait, stage))
            wanted = not self._cancelled.is_set()
            self._post(self._end, result, None)
        except BaseException as error:
            wanted = not isinstance(error, Cancelled)
            self._post(self._end, None, error)
        return wanted

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop has ended, and with it whoever waited
            self._cancelled.set()

    def _end(self, result: T, error: BaseException | None) -> None:
        self._told.put_nowait(None)
        if self._ended.done():
            return
        if error is not None:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(result)


class Workers:
    """Runs at most `count` jobs at once; `most_waiting` more may wait, and only as many as will be done in time.

    What a job takes is measured as its share of the machine: half of each second in which two run.
    """

    def __init__(self, count: int, most_waiting: int):
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="openlamda-reply")
        self._count, self._most_waiting = count, most_waiting
        self._lock = threading.Lock()
        self._under_way = self._running = 0
        self._shares, self._then = 0.0, time.monotonic()  # what one that ran all the time would have taken until then
        self._took: deque[float] = deque(maxlen=16)  # seconds of the last jobs, were each alone

    @property
    def under_way(self) -> int:
        """How many jobs run or wait."""
        return self._under_way

    @property
    def waiting(self) -> int:
        """How many jobs wait for a thread."""
        return max(0, self._under_way - self._count)

    def start(self, job: Job[T], deadline: float) -> Task[T]:
        """The job under way. Raises Overloaded where too many wait already, or so many that it would come late."""
        with self._lock:
            each = sum(self._took) / len(self._took) if self._took else USUAL
            expected, most = each * (self._under_way + 1), deadline * IN_TIME
            if self._under_way >= self._count + self._most_waiting or (self._under_way and expected > most):
                raise Overloaded(self.waiting, max(1.0, each, expected - most))
            self._under_way += 1
        task = Task(job, deadline)
        future = self._pool.submit(self._run, task)
        task.when_cancelled = lambda: self._free(future)
        return task

    def learn(self, seconds: float) -> None:
        """What a job took that ran elsewhere, alone."""
        with self._lock:
            self._took.append(seconds)

    def _run(self, task: Task[T]) -> None:
        with self._lock:
            self._turn(1)
            began = self._shares
        wanted = task.run()
        with self._lock:
            self._turn(-1)
            self._under_way -= 1
            if wanted:
                self._took.append(self._shares - began)

    def _turn(self, more: int) -> None:
        """Counts the time until now, and from now on one job more or less."""
        now = time.monotonic()
        if self._running:
            self._shares += (now - self._then) / self._running
        self._running, self._then = self._running + more, now

    def _free(self, future: Future[None]) -> None:
        """The place of a job that nobody waits for and that has not begun."""
        if future.cancel():
            with self._lock:
                self._under_way -= 1

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)
