"""A store on each database: SQLite in a file, and a PostgreSQL of one's own, started for these tests."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from openlamda.store import open_store
from openlamda.store.records import KeptReply
from openlamda.store.store import Store
from openlamda.store.tables import metadata

sys.path.insert(0, str(Path(__file__).parent))
from local_postgresql import Server, lacking, started


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The server of this session of tests; what they stop is servers, not machines, so nothing need be on a disk."""
    if why := lacking():
        pytest.skip(why)
    with started("-c fsync=off -c full_page_writes=off") as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind in which there is nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.create(f"test_{os.urandom(8).hex()}")


@pytest.fixture(scope="session")
def emptied(postgresql: Server) -> str:
    """The URL of a database with the tables in it."""
    url = postgresql.create("emptied")
    open_store(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store of each kind with empty tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    emptied: str = request.getfixturevalue("emptied")
    names = ", ".join(table.name for table in metadata.sorted_tables if table.name != "facts")
    with psycopg.connect(emptied) as connection:
        connection.execute(f"TRUNCATE {names}".encode())
    return emptied


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store on each kind of database."""
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def kept() -> Callable[..., KeptReply]:
    """Makes replies as a server keeps them."""
    return _kept


def _kept(text: str = "It is 5,895 metres high.", **changes) -> KeptReply:
    values = {"finish_reason": "stop", "verified": True, "sources": [{"k": 1, "url": "https://example.org"}]}
    values |= {"trace": {"candidates": [{"text": text, "scores": {"safe": 0.9}}]}, "role": "lamda", "model": "nano"}
    return KeptReply(text=text, **(values | {"seed": 7, "usage": {"completion_tokens": 9}} | changes))
