"""Replies under way: a bounded pool of threads, whose jobs tell what they do, can be called off, and have a deadline.

Knows nothing of HTTP. Whoever waits stays in the event loop; only the job is in a thread.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from openlamda.dialog.telling import Stage, Tell
from openlamda.engine.base import Limits, Overloaded

T = TypeVar("T")
Job = Callable[[Limits, Tell], T]


class Task(Generic[T]):
    """A job that waits for a thread or runs in one."""

    def __init__(self, job: Job[T], deadline: float):
        self._job = job
        self._cancelled = threading.Event()
        self._limits = Limits(time.monotonic() + deadline, self._cancelled)
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Stage | None] = asyncio.Queue()
        self._ended: asyncio.Future[T] = self._loop.create_future()
        self._ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # else asyncio warns

    def cancel(self) -> None:
        """Nobody waits any more: the engine lets go of it within a few steps."""
        self._cancelled.set()

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

    def run(self) -> None:
        """The job, in a thread."""
        try:
            self._limits.check()
            result = self._job(self._limits, lambda stage: self._post(self._told.put_nowait, stage))
            self._post(self._end, result, None)
        except BaseException as error:
            self._post(self._end, None, error)

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
    """Runs at most `count` jobs at once; `most_waiting` more may wait."""

    def __init__(self, count: int, most_waiting: int):
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="openlamda-reply")
        self._count, self._most_waiting = count, most_waiting
        self._lock = threading.Lock()
        self._under_way = 0
        self._took: deque[float] = deque([1.0], maxlen=32)  # seconds of the last jobs

    @property
    def under_way(self) -> int:
        """How many jobs run or wait."""
        return self._under_way

    @property
    def waiting(self) -> int:
        """How many jobs wait for a thread."""
        return max(0, self._under_way - self._count)

    def start(self, job: Job[T], deadline: float) -> Task[T]:
        """The job under way. Raises Overloaded where too many wait already."""
        with self._lock:
            if self._under_way >= self._count + self._most_waiting:
                each = sum(self._took) / len(self._took) / self._count
                raise Overloaded(self.waiting, max(1.0, each * self.waiting))
            self._under_way += 1
        task = Task(job, deadline)

        def run() -> None:
            began = time.monotonic()
            try:
                task.run()
            finally:
                with self._lock:
                    self._under_way -= 1
                    self._took.append(time.monotonic() - began)

        self._pool.submit(run)
        return task

    def close(self) -> None:
        """Wait for what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)
