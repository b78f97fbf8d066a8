"""A question on its way: started, its stages told, called off where whoever asked has gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from starlette.requests import Request

from openlamda.dialog.telling import Stage, Tell
from openlamda.engine.base import Cancelled, Limits
from openlamda.serve.parts import Parts
from openlamda.serve.sse import PING
from openlamda.serve.workers import Task

T = TypeVar("T")


def start(parts: Parts, job: Callable[[Limits, Tell], T]) -> Task[T]:
    """The job under way. Raises Overloaded where too many wait."""
    task = parts.workers.start(job, parts.settings.deadline)
    parts.metrics.waiting.set(parts.workers.waiting)
    parts.metrics.under_way.set(parts.workers.under_way)
    return task


async def outcome(parts: Parts, request: Request, job: Callable[[Limits, Tell], T]) -> T:
    """What comes of a job. Raises Cancelled where the client leaves before."""
    task = start(parts, job)
    ended, left = asyncio.ensure_future(task.result()), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise Cancelled("the client left")
        return ended.result()
    finally:
        task.cancel()
        for waiting in (ended, left):
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await waiting


async def stages(task: Task[T]) -> AsyncIterator[Stage | None]:
    """The task's stages, None from time to time between them; it is called off where nobody takes them any more."""
    ended = False
    try:
        async for stage in task.stages(PING):
            yield stage
        ended = True
    finally:
        if not ended:
            task.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
