"""A database that answers or says soon that it does not: connections, transactions and their errors.

Takes a checked URL (opening.py). Knows nothing of what is in the tables.
"""

import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from openlamda.store.records import StoreUnavailable
from openlamda.store.tables import holdable

T = TypeVar("T")
WAIT = 2  # seconds for a connection
BUSY = 5  # seconds for another's transaction
QUIET = 1  # second in which nobody asks a server that has just been silent
_SILENCE = ("Silent", "ConnectionTimeout")
_SNAPSHOT = "REPEATABLE READ"
_CLASHES = ("40001", "40P01")  # serialization failure, deadlock: nothing was written, so once more
_STANDBY = "25006"  # read-only: another server has become the one to write to


class Database:
    """Transactions on SQLite or PostgreSQL. For many threads; many processes may have one each on the same database."""

    def __init__(self, url: sa.URL):
        self.shown = shown(url)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = _sqlite(url) if self.is_sqlite else _postgresql(url)
        # A read sees one state, however many statements it is made of. SQLite's transactions do so anyway.
        self._reading = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_SNAPSHOT)
        # SQLite has one writer at a time; threads queue here, not in its retries. Who is next holds a lock of its own:
        # else who has just written would write again before the others are awake.
        self._one_writer, self._next_writer = threading.Lock(), threading.Lock()
        self._silent_until = 0.0

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state and writes nothing."""
        with self._named(), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is all there, on the disk, once this ends, or not at all where it raises."""
        if not self.is_sqlite:
            with self._named(), self.engine.begin() as connection:
                yield connection
            return
        self._take_turn()
        try:
            with self._named(), self.engine.connect() as connection:
                connection.execution_options(writes=True)
                with connection.begin():
                    yield connection
        finally:
            self._one_writer.release()

    def _take_turn(self) -> None:
        end = time.monotonic() + BUSY
        if self._next_writer.acquire(timeout=BUSY):
            try:
                if self._one_writer.acquire(timeout=max(0, end - time.monotonic())):
                    return
            finally:
                self._next_writer.release()
        raise StoreUnavailable(f"{self.shown} is busy: no turn to write for {BUSY} seconds")

    def retry(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` gives in one transaction that writes; once more where it clashed with another one."""
        for attempt in range(5):
            try:
                with self.write() as connection:
                    return work(connection)
            except _Clash:
                time.sleep(0.01 * 2**attempt)
        raise StoreUnavailable(f"{self.shown} is busy: the same rows were written by others 5 times")

    def forget(self) -> None:
        """Empties SQLite's log, in which pages of before a deletion still stand; if somebody reads them, later."""
        if self.is_sqlite:
            with self._named(), self.engine.connect() as connection:
                connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def close(self) -> None:
        """Ends all connections."""
        self.engine.dispose()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Says what the database's errors mean. A silent server is left alone for a moment, so that not each of many
        who wait for it waits through its timeout.
        """
        if time.monotonic() < self._silent_until:
            raise StoreUnavailable(f"{self.shown} does not answer")
        try:
            yield
        except exc.TimeoutError:
            raise StoreUnavailable(f"{self.shown} is busy: no connection free for {WAIT} seconds") from None
        except exc.DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if type(error.orig).__name__ in _SILENCE:
                self._silent_until = time.monotonic() + QUIET
            if state == _STANDBY:
                self.engine.dispose()  # the next connection may find the other server under the same name
                raise unavailable(self.shown, error) from None
            if state in _CLASHES:
                raise _Clash(f"{self.shown}: transactions clashed") from None
            if isinstance(error, (exc.OperationalError, exc.InterfaceError)) or error.connection_invalidated:
                raise unavailable(self.shown, error) from None
            raise


class _Clash(StoreUnavailable):
    """Two transactions that cannot both be; this one was taken back."""


def shown(url: sa.URL) -> str:
    """A URL for people: without password, user and options."""
    if url.get_backend_name() == "sqlite":
        return f"the store {url.database}"
    port = f":{url.port}" if url.port else ""
    return f"the store postgresql://{url.host or ''}{port}/{url.database or ''}"


def unavailable(shown: str, error: exc.DBAPIError) -> StoreUnavailable:
    """With SQLite's word for what happened or the kind of PostgreSQL's error, never with values."""
    reason = getattr(error.orig, "sqlite_errorname", None) or type(error.orig).__name__
    return StoreUnavailable(f"{shown} does not answer ({reason})")


def _json(value: Any) -> str:
    """JSON that PostgreSQL takes, too: null for what is no number, text as it can be kept."""
    return json.dumps(_holdable(value), allow_nan=False)


def _holdable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_holdable(name): _holdable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_holdable(inner) for inner in value]
    if isinstance(value, str):
        return holdable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _set(connection: sqlite3.Connection, name: str, value: object) -> None:
    """Sets a pragma. The change to WAL beside another's is refused at once, whatever busy_timeout says."""
    until = time.monotonic() + BUSY
    while True:
        try:
            connection.execute(f"PRAGMA {name}={value}").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url, hide_parameters=True, json_serializer=_json, pool_size=8, max_overflow=16, pool_timeout=BUSY
    )

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # no transactions by the driver's guess: they begin below
        # busy_timeout first: the change to WAL may have to wait for another process that opens. WAL: who reads never
        # waits for who writes. synchronous=FULL: the log is flushed at each commit, so what was acknowledged is there
        # after a power cut as well (NORMAL keeps the database whole, but may lose the last commits); a killed process
        # alone loses nothing in either. secure_delete: what a user has deleted is overwritten, not only unlinked.
        for name, value in (
            ("busy_timeout", BUSY * 1000),
            ("journal_mode", "WAL"),
            ("synchronous", "FULL"),
            ("foreign_keys", "ON"),
            ("secure_delete", "ON"),
        ):
            _set(connection, name, value)

    @event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        # IMMEDIATE takes the lock before the first read: a transaction that reads, then writes, cannot find the
        # database changed in between, which SQLite would refuse without waiting.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    """Transactions that write are READ COMMITTED, the server's default, with rows locked where they are read to be
    changed.

    A commit is on the server's disk when it is acknowledged (`synchronous_commit`, on by default). Where the
    connection breaks during a commit, nobody knows whether it was: the caller asks again with the same request id.
    """
    arguments = {
        "connect_timeout": WAIT,
        "tcp_user_timeout": WAIT * 1000,
        "keepalives_idle": 5,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "application_name": "openlamda",
        "options": f"-c lock_timeout={BUSY}s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s",
    }
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    engine = sa.create_engine(
        url,
        connect_args=arguments,
        hide_parameters=True,
        json_serializer=_json,
        pool_pre_ping=True,  # a connection from before the server's restart is replaced, not handed out
        pool_size=8,
        max_overflow=8,
        pool_timeout=WAIT,
    )

    @event.listens_for(engine, "do_connect")
    def _(_dialect: Any, _record: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        from openlamda.store.silence import Watched  # psycopg is an extra of its own

        return Watched.connect(*arguments, **named)

    return engine
