"""A server that runs: it takes requests until it is told to stop, then ends what it began and takes nothing new.

SIGTERM: /readyz turns, new requests are refused, those under way end. SIGHUP: the model is loaded again. Connections
that dawdle with their headers are closed.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
import threading
import time
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from openlamda.errors import UserError
from openlamda.serve.errors import ApiError
from openlamda.serve.parts import Parts
from openlamda.serve.service import reloaded
from openlamda.store.records import StoreUnavailable

log = logging.getLogger(__name__)
HEADERS_WITHIN = 10.0  # seconds from a request's first byte to its last header
ENDING = 5  # seconds that connections have when what was under way has ended, or had its time
NOTICE = 1.0  # seconds in which a balancer may see that /readyz has turned
CONNECTIONS = 2048


class Prompt(H11Protocol):
    """HTTP/1.1 that waits only so long for headers."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A new connection: its first request is due."""
        super().connection_made(transport)
        self._due = self.loop.call_later(HEADERS_WITHIN, self._close)

    def data_received(self, data: bytes) -> None:
        """Some of a request."""
        super().data_received(data)
        begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not begun and self._due is not None:
            self._due.cancel()
            self._due = None
        elif begun and self._due is None:
            self._due = self.loop.call_later(HEADERS_WITHIN, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of it."""
        if self._due is not None:
            self._due.cancel()
        super().connection_lost(exc)

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's, which first lets requests end."""

    def __init__(self, config: uvicorn.Config, parts: Parts):
        super().__init__(config)
        self._parts = parts
        self._told, self._notice = 0.0, NOTICE
        self._reloading: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, and from then on SIGHUP is listened to."""
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second ends."""
        if self._parts.draining:
            super().handle_exit(sig, frame)
            return
        self._parts.draining, self._told = True, time.monotonic()
        self._notice = 0.0 if sig == signal.SIGINT else NOTICE
        self._captured_signals.append(sig)
        log.info("told to stop: what is under way ends, nothing new begins")

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now."""
        if self._parts.draining:
            waited = time.monotonic() - self._told
            idle = not self._parts.workers.under_way and waited >= self._notice
            if idle or waited > self._parts.settings.drain:
                return True
        return await super().on_tick(counter)

    def _reload(self) -> None:
        async def reload() -> None:
            try:
                await reloaded(self._parts, "SIGHUP")
            except (ApiError, StoreUnavailable) as error:
                log.error("reloading failed", extra={"error": str(error)})

        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(reload())


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserError where the address cannot be had."""
    asked = f"--host {host} --port {port}"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except (OSError, UnicodeError):
        raise UserError(f"{asked}: expected an address of this machine") from None
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(CONNECTIONS)
    except (OSError, OverflowError) as error:
        found.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise UserError(f"{asked}: in use, expected a port that is free, or 0 for any") from None
        raise UserError(f"{asked}: {error}, expected an address of this machine and a port of 0 to 65535") from None
    found.set_inheritable(True)
    return found


def config_of(parts: Parts, app: Starlette) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        http=Prompt,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),  # uvicorn would trust whoever is on this machine
        timeout_keep_alive=30,
        timeout_graceful_shutdown=ENDING,
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=parts.settings.max_header,
    )


def run(app: Starlette, listening: socket.socket) -> None:
    """Serve until a signal says stop."""
    parts: Parts = app.state.parts
    Server(config_of(parts, app), parts).run(sockets=[listening])
