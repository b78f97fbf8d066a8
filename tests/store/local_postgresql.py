"""A PostgreSQL server of one's own, in a temporary folder and on a free port, that may be stopped and started.

For the tests of the store and for benchmarks/serve.py. Needs the server's programs: Debian's package `postgresql`.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

SECRET = "s3cret"


@dataclass(frozen=True)
class Server:
    """A server that `started` gave."""

    folder: Path
    binaries: Path
    port: int
    options: str = ""

    def url(self, database: str = "postgres") -> str:
        """For `open_store`."""
        return f"postgresql://openlamda:{SECRET}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """The URL of a new database."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        return self.url(database)

    def start(self) -> None:
        """Returns once it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {self.options}"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "-t", "60", "start")

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is a crash: nothing is tidied up, the next start recovers."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "-t", "60", "stop")

    def freeze(self) -> None:
        """All its processes stand still, and its machine goes on acknowledging what they are sent."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """They go on."""
        self._send(signal.SIGCONT)

    def _send(self, what: signal.Signals) -> None:
        first = (self.folder / "data" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for process in (first, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), what)

    def run(self, program: str, *arguments: str) -> None:
        """One of PostgreSQL's programs, as an ordinary user: the server will not run as root."""
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        environment = os.environ | {"LC_ALL": "C"}
        command = [*as_user, str(self.binaries / program), *arguments]
        # what pg_ctl leaves running keeps its standard output: no pipes here
        with open(self.folder / "out", "a+b") as out:
            done = subprocess.run(command, stdout=out, stderr=out, env=environment, cwd=self.folder, timeout=120)
            out.seek(0)
            assert done.returncode == 0, out.read().decode(errors="replace")


def lacking() -> str | None:
    """Why no server can be started here; None where one can."""
    if binaries() is None:
        return "no PostgreSQL server on this machine: apt-get install postgresql"
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL will not run as root, and there is no setpriv to leave it"
    return None


def binaries() -> Path | None:
    """Where PostgreSQL's programs are: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    places = (
        [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((place for place in places if (place / "initdb").exists()), None)


@contextlib.contextmanager
def started(options: str = "") -> Iterator[Server]:
    """A server that runs, with further `options` of its own; nothing is left of it afterwards."""
    programs = binaries()
    assert programs is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="openlamda-postgresql-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Server(folder, programs, port, options)
    try:
        (folder / "password").write_text(SECRET)
        (folder / "password").chmod(0o644)
        secret = ["--pwfile", str(folder / "password"), "-A", "scram-sha-256"]
        server.run("initdb", "-D", str(folder / "data"), "-U", "openlamda", "-E", "UTF8", "--no-sync", *secret)
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
