"""Batches made by several processes: cutting text into subwords keeps one core busy, and a GPU asks for more of them.

Worker i of n makes the batches i, i + n, i + 2n ... from a stream of its own, so that the order is the same every time.
"""

import multiprocessing
import queue
import signal
from collections.abc import Callable, Generator, Iterator
from itertools import count, islice
from typing import Any

AHEAD = 4  # batches that each worker may have ready
PATIENCE = 1.0  # seconds between two looks at whether the other side still lives


def in_turns(make: Callable[[int], Iterator[Any]], workers: int, first: int) -> Generator[Any, None, None]:
    """What `make(0)` ... `make(workers - 1)` give, one of each in turn, without the first so many.

    `make` and what it gives are pickled. Raises in the caller what a worker raises, RuntimeError where one has died.
    """
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(AHEAD) for _ in range(workers)]
    running = [
        context.Process(target=_work, args=(make, number, _given(first, workers, number), queues[number]), daemon=True)
        for number in range(workers)
    ]
    for process in running:
        process.start()
    try:
        for step in count(first):
            yield _taken(queues[step % workers], running[step % workers])
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.join()


def _given(first: int, workers: int, number: int) -> int:
    """How many of the first batches were worker `number`'s."""
    return (first - number + workers - 1) // workers


def _taken(ready: Any, process: Any) -> Any:
    while True:
        try:
            made = ready.get(timeout=PATIENCE)
        except queue.Empty:
            if not process.is_alive() and ready.empty():
                raise RuntimeError(f"a process that makes batches ended with code {process.exitcode}") from None
            continue
        if isinstance(made, Exception):
            raise made
        return made


def _work(make: Callable[[int], Iterator[Any]], number: int, skipped: int, ready: Any) -> None:
    for number_of in (signal.SIGINT, signal.SIGTERM):  # may go to the whole group; the caller ends the workers
        signal.signal(number_of, signal.SIG_IGN)
    try:
        for made in islice(make(number), skipped, None):
            if not _handed(made, ready):
                return
    except Exception as error:
        _handed(error, ready)


def _handed(made: Any, ready: Any) -> bool:
    """Whether it was taken into the queue; not where the caller has died."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        try:
            ready.put(made, timeout=PATIENCE)
        except queue.Full:
            continue
        return True
    ready.cancel_join_thread()  # nobody takes what waits in it
    return False
