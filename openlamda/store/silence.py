"""A connection to PostgreSQL that gives up a server which has gone silent: one that is frozen, or whose disk hangs.

The kernel of such a machine acknowledges what it is sent, so no timeout of TCP's ever comes, and a server that does not
run keeps none of its own. A long statement is no silence: whoever waits for one asks on a second connection whether
anybody is there.
"""

import time
from collections.abc import Generator
from typing import Any

import psycopg

PATIENCE = 1.0  # seconds without an answer until the server is asked whether it is there; then twice as long, and so on


class Silent(psycopg.OperationalError):
    """The server answers nothing any more."""


class Watched(psycopg.Connection[Any]):
    """psycopg's connection, whose every wait for the server passes through `wait`."""

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        """As psycopg's, that wakes ten times a second. Raises Silent, and is closed then."""
        return super().wait(self._watched(gen), *arguments, **named)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        patience = PATIENCE
        due = time.monotonic() + patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > due:
                    if not self._anybody_there():
                        gen.close()
                        self.close()
                        raise Silent("no answer, on a new connection neither")
                    patience *= 2
                    due = time.monotonic() + patience
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value

    def _anybody_there(self) -> bool:
        """Whether a new connection is answered, be it with a refusal."""
        try:
            psycopg.connect(self.info.dsn, password=self.info.password, connect_timeout=2).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.OperationalError:
            return True
        return True
