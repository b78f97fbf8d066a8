"""A store on each database: SQLite in a file, and a PostgreSQL of one's own, started for these tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from openlamda.store import open_store
from openlamda.store.records import KeptReply
from openlamda.store.store import Store


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server in a folder, on a port of its own; it may be stopped and started."""

    folder: Path
    binaries: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://openlamda:s3cret@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        return self.url(database)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "-t", "60", "start")

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "-t", "60", "stop")

    def run(self, program: str, *arguments: str) -> None:
        """As an ordinary user: the server will not run as root."""
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        environment = os.environ | {"PGPASSWORD": "s3cret", "LC_ALL": "C"}
        command = [*as_user, str(self.binaries / program), *arguments]
        # what pg_ctl leaves running keeps its standard output: no pipes here
        with open(self.folder / "out", "a+b") as out:
            done = subprocess.run(command, stdout=out, stderr=out, env=environment, cwd=self.folder, timeout=120)
            out.seek(0)
            assert done.returncode == 0, out.read().decode(errors="replace")


def binaries() -> Path | None:
    """Where PostgreSQL's programs are: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    places = (
        [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((place for place in places if (place / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The server of this session of tests."""
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine: apt-get install postgresql")
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL will not run as root, and there is no setpriv to leave it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="openlamda-postgresql-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Server(folder, programs, port)
    try:
        (folder / "password").write_text("s3cret")
        (folder / "password").chmod(0o644)
        secret = ["--pwfile", str(folder / "password"), "-A", "scram-sha-256"]
        server.run("initdb", "-D", str(folder / "data"), "-U", "openlamda", "-E", "UTF8", "--no-sync", *secret)
        server.start()
        yield server
        server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.create(f"test_{os.urandom(8).hex()}")


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
