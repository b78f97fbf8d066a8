"""Several servers on one port: processes that share a listening socket, watched, and started again where one ends.

Each has the model for itself and all have one store. Their figures are written where each can add all of them up.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from openlamda.errors import UserError
from openlamda.serve.metrics import FOLDER

log = logging.getLogger(__name__)
AGAIN = 1.0  # seconds until one that ended is started again, doubled each time that it soon ends
MOST_AGAIN = 30.0
SOON = 10.0
_watcher: BaseProcess | None = None  # of this process, if it is a replica
MISTAKE = 2  # exit code: what the user asked for cannot be


class Replicas:
    """`count` processes that each call `serve` with the socket."""

    def __init__(self, serve: Callable[[socket.socket], None], listening: socket.socket, count: int):
        self._serve, self._listening, self._count = serve, listening, count
        self._spawn = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess | None] = [None] * count
        self._began, self._wait = [0.0] * count, [AGAIN] * count
        self._again = [False] * count
        self._stopping = self._mistaken = False

    def run(self) -> None:
        """Until a signal says stop: it is passed on, and each ends what it began. So they do where one finds at its
        first start that what is asked for cannot be, such as a model that is not there: then with exit code 2.
        """
        with tempfile.TemporaryDirectory(prefix="openlamda-figures-") as folder:
            os.environ[FOLDER] = folder
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._stop)
            if hasattr(signal, "SIGHUP"):
                signal.signal(signal.SIGHUP, self._pass_on)
            while not self._stopping:
                self._look()
                time.sleep(0.2)
            self._pass_on(signal.SIGTERM, None)  # here, where none is just being started
            for process in self._processes:
                if process is not None:
                    process.join()
            if self._mistaken:
                sys.exit(MISTAKE)

    def _look(self) -> None:
        for place, process in enumerate(self._processes):
            if process is not None and process.is_alive():
                continue
            if process is not None:
                lived = time.monotonic() - self._began[place]
                self._wait[place] = min(MOST_AGAIN, self._wait[place] * 2) if lived < SOON else AGAIN
                log.error("a replica ended", extra={"replica": place, "exit_code": process.exitcode})
                if process.exitcode == MISTAKE and not self._again[place]:  # later a file may be about to be replaced
                    self._stopping = self._mistaken = True
                    return
                self._again[place] = True
                _forget(process.pid)
                self._processes[place], self._began[place] = None, time.monotonic() + self._wait[place]
            if time.monotonic() >= self._began[place] and not self._stopping:
                started = self._spawn.Process(
                    target=_serve_watched, args=(self._serve, self._listening), name=f"replica-{place}"
                )
                started.start()
                self._processes[place], self._began[place] = started, time.monotonic()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        for process in self._processes:
            if process is not None and process.is_alive() and process.pid is not None:
                os.kill(process.pid, number)


def tell_all() -> None:
    """In a replica: all of them load the model again."""
    if _watcher is not None and _watcher.pid is not None:
        os.kill(_watcher.pid, signal.SIGHUP)


def _serve_watched(serve: Callable[[socket.socket], None], listening: socket.socket) -> None:
    """In a replica: serves, and ends as by SIGTERM where the process that watches it was killed."""
    global _watcher
    parent = _watcher = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="openlamda-parent", daemon=True).start()
    try:
        serve(listening)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(MISTAKE)


def _forget(pid: int | None) -> None:
    """What a replica that is gone had waiting is nobody's any more."""
    folder = os.environ.get(FOLDER)
    for path in Path(folder).glob(f"gauge_live*_{pid}.db") if folder else ():
        path.unlink(missing_ok=True)
