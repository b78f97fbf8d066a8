"""A crowd at `openlamda serve`: streaming chats for some minutes, and whether each reply is in the store exactly once.

    pip install -e '.[dev]' && python benchmarks/serve.py -o DIR
    python benchmarks/serve.py --kill 3 -o DIR                       # SIGKILL of the server under load, three times
    python benchmarks/serve.py --postgresql --stop-postgres 2 -o DIR   # the database stopped and started under load

Starts the server (the model that ships) with a store of its own. Each chatter is a browser: a session, conversations of
four exchanges, the next question as soon as the answer is there. A 429 or a 503 is waited out as it says, and the same
request sent again under the same id; so is one that broke off. Afterwards the clients' `done` events are compared with
the store's rows. DIR gets results.json and the server's log; exit code 1 where anything is missing or doubled, and for
errors that were not meant.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from openlamda.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "store"))
from chatters import Seen, chatter
from local_postgresql import started

BROKEN = {"RemoteProtocolError", "ReadError", "ConnectError", "WriteError", "broken off"}  # what a kill looks like
PATIENCE = 300.0  # seconds until the last answers have come


@dataclass
class Running:
    """The server under test, which can be killed and started again on its port."""

    port: int
    store: str
    workers: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it is ready."""
        command = [sys.executable, "-m", "openlamda", "serve", "--port", str(self.port), "--workers", str(self.workers)]
        environment = os.environ | {"OPENLAMDA_STORE": self.store}
        environment.setdefault("XDG_CACHE_HOME", str(self.folder / "cache"))
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + 600
        while time.monotonic() < until:
            with contextlib.suppress(httpx2.HTTPError):
                if httpx2.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise SystemExit(f"the server did not start, see {self.folder / 'server.log'}")

    def end(self, how: signal.Signals) -> None:
        """Sends the signal and waits."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(120)

    def memory(self) -> float:
        """MiB that it holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text() if self.process else ""
        return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)


async def watch(server: Running, seen: Seen) -> None:
    """Looks at the memory every few seconds."""
    while True:
        with contextlib.suppress(OSError):
            seen.memory.append((time.monotonic() - seen.begun, server.memory()))
        await asyncio.sleep(5)


async def disturb(times: int, seconds: float, stop: Any, start: Any, seen: Seen) -> None:
    """Stops and starts something `times` times, evenly over the run."""
    for _ in range(times):
        await asyncio.sleep(seconds / (times + 1))
        before = len(seen.done)
        begun = time.monotonic()
        await asyncio.to_thread(stop)
        await asyncio.sleep(3)
        await asyncio.to_thread(start)
        up = time.monotonic()
        while len(seen.done) == before:
            await asyncio.sleep(0.1)
        seen.outages.append({"down": round(up - begun, 1), "next_reply": round(time.monotonic() - up, 1)})


async def crowd(arguments: argparse.Namespace, server: Running, database: Any) -> Seen:
    """All chatters, and what disturbs them."""
    seen = Seen()
    url, until = f"http://127.0.0.1:{server.port}", seen.begun + arguments.seconds
    beside = [asyncio.create_task(watch(server, seen))]
    if arguments.kill:
        kill = (lambda: server.end(signal.SIGKILL), server.start)
        beside.append(asyncio.create_task(disturb(arguments.kill, arguments.seconds, *kill, seen)))
    if arguments.stop_postgres:
        stop = (lambda: database.stop("fast"), database.start)
        beside.append(asyncio.create_task(disturb(arguments.stop_postgres, arguments.seconds, *stop, seen)))
    chatters = [asyncio.create_task(chatter(number, url, seen, until)) for number in range(arguments.chats)]
    done, late = await asyncio.wait(chatters, timeout=arguments.seconds + PATIENCE)
    for task in (*late, *beside):
        task.cancel()
    for task in done:
        if task.exception() is not None:
            seen.errors[f"client: {task.exception()!r}"] += 1
    seen.errors["no answer in the end"] += len(late)
    return seen


def compare(seen: Seen, url: str) -> dict[str, int]:
    """The clients' `done` events beside the store's rows."""
    with contextlib.closing(open_store(url)) as store:
        kept: Counter[tuple[str, str]] = Counter()
        said: Counter[tuple[str, str]] = Counter()
        for user, talk in seen.talks:
            found = store.conversation(user, talk)
            for message in found.messages if found else ():
                if message.author == "user":
                    said[talk, message.text] += 1
                else:
                    kept[message.reply_id or "", message.text] += 1
    told = {(reply["id"], reply["text"]) for reply in seen.done}
    asked = Counter((reply["talk"], reply["said"]) for reply in seen.done)
    return {
        "told": len(seen.done),
        "kept": kept.total(),
        "missing": sum(reply not in kept for reply in told),
        "twice": sum(count > 1 for count in (*kept.values(), *said.values(), *asked.values())),
        "kept, not told": len(kept.keys() - told),
    }


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of them is."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else float("nan")


def report(arguments: argparse.Namespace, seen: Seen, compared: dict[str, int]) -> dict[str, Any]:
    """All figures as plain values."""
    measured = {"first stage": seen.stage, "first text": seen.text, "done": seen.whole}
    times = {name: (percentile(values, 0.5), percentile(values, 0.95)) for name, values in measured.items()}
    meant = BROKEN if arguments.kill else set()
    faults = Counter({name: count for name, count in seen.errors.items() if count and name not in meant})
    return {
        "chats": arguments.chats,
        "seconds": round(seen.took),
        "store": "PostgreSQL" if arguments.postgresql else "SQLite",
        "replies": len(seen.done),
        "replies a second": round(len(seen.done) / seen.took, 2),
        "seconds to (p50, p95)": times,
        "deliberate": dict(seen.deliberate),
        "broken off by kills": {name: count for name, count in seen.errors.items() if name in meant},
        "errors": dict(faults),
        "memory, MiB": [(round(at), round(size)) for at, size in seen.memory],
        "outages, s": seen.outages,
        "store and clients": compared,
    }


@contextlib.contextmanager
def databases(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Any]]:
    """The URL of an empty store, and the PostgreSQL server that has it, if one has."""
    if not arguments.postgresql:
        yield f"sqlite:///{folder / 'store.db'}", None
        return
    with started() as database:
        yield database.create("crowd"), database


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chats", type=int, default=100, help="how many chat at once (default: 100)")
    parser.add_argument("--seconds", type=float, default=120, help="how long they ask (default: 120)")
    parser.add_argument("--workers", type=int, default=4, help="of the server (default: 4)")
    parser.add_argument("--postgresql", action="store_true", help="the store is on a PostgreSQL started for it")
    parser.add_argument("--kill", type=int, default=0, metavar="N", help="SIGKILL the server so many times")
    parser.add_argument("--stop-postgres", type=int, default=0, metavar="N", help="stop PostgreSQL so many times")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    if arguments.stop_postgres and not arguments.postgresql:
        parser.error("--stop-postgres wants --postgresql")
    arguments.output.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as temporary, databases(arguments, Path(temporary)) as (url, database):
        server = Running(port, url, arguments.workers, arguments.output)
        try:
            server.start()
            seen = asyncio.run(crowd(arguments, server, database))
        finally:
            server.end(signal.SIGTERM)
        found = report(arguments, seen, compare(seen, url))
    (arguments.output / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    for name, value in found.items():
        print(f"{name:<24} {value}")
    compared = found["store and clients"]
    if found["errors"] or compared["missing"] or compared["twice"] or compared["kept, not told"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
