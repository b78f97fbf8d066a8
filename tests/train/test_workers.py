"""Batches from several processes come in one order, go on where a run stopped, and tell what went wrong."""

import lzma
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from openlamda.train.feed import Feed
from openlamda.train.recipe import Recipe
from openlamda.train.workers import in_turns


def numbered(worker: int) -> Iterator[tuple[int, int]]:
    yield from ((worker, n) for n in range(1000))


def failing(worker: int) -> Iterator[int]:
    yield worker
    if worker == 1:
        raise ValueError("row 7 is no row")
    yield worker


def dying(worker: int) -> Iterator[int]:
    yield worker
    os._exit(3)


@pytest.mark.parametrize("first", [0, 1, 2, 7])
def test_workers_take_turns_from_any_place_on(first):
    whole = [(step % 3, step // 3) for step in range(20)]
    assert list(islice(in_turns(numbered, 3, first), 20 - first)) == whole[first:]


def test_what_a_worker_raises_is_raised():
    with pytest.raises(ValueError, match="row 7 is no row"):
        list(islice(in_turns(failing, 2, 0), 4))


def pids(worker: int) -> Iterator[int]:
    while True:
        yield os.getpid()


def test_workers_do_not_end_by_what_the_whole_run_is_sent():
    made = in_turns(pids, 2, 0)
    both = {next(made), next(made)}
    for pid in both:
        os.kill(pid, signal.SIGTERM)
    assert {next(made) for _ in range(40)} == both
    made.close()
    assert not any(map(lives, both))


def test_a_dead_worker_is_noticed():
    with pytest.raises(RuntimeError, match="ended with code 3"):
        list(islice(in_turns(dying, 2, 0), 4))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc to look for processes in")
def test_workers_end_with_a_killed_run():
    program = (
        "import os, sys; from itertools import islice; from openlamda.train.workers import in_turns\n"
        "def pids(worker):\n"
        "    while True: yield os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    print(*islice(made := in_turns(pids, 2, 0), 2), flush=True); sys.stdin.read()\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        run = subprocess.Popen([sys.executable, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with run:
            assert run.stdout
            workers = [int(pid) for pid in run.stdout.readline().split()]
            assert len(set(workers)) == 2 and all(map(lives, workers))
            run.kill()
    until = time.monotonic() + 20
    while any(map(lives, workers)):
        assert time.monotonic() < until, "workers are left"
        time.sleep(0.1)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_mixture_by_workers(tmp_path, tokenizer):
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    row = '{"id": "%d", "title": "", "text": "the small river ran under seven green bridges"}\n'
    (tmp_path / "doc_words.jsonl.xz").write_bytes(lzma.compress("".join(row % n for n in range(9)).encode()))
    recipe = Recipe(start="tiny", data=str(tmp_path), steps=4, batch_rows=2, row_tokens=64, mixture={"copy": 1.0},
                    feed_workers=2)  # fmt: skip
    feed = Feed(recipe, tokenizer, ["Nile", "Etna"])
    batches = [batch for batch, _ in feed.after(0)]
    assert len(batches) == 4
    ways = [[batch for batch, _ in islice(feed.stream(worker, {}), 2)] for worker in (0, 1)]
    for step, batch in enumerate(batches):
        np.testing.assert_array_equal(batch.tokens, ways[step % 2][step // 2].tokens)
    (last,) = [batch for batch, _ in feed.after(3)]
    np.testing.assert_array_equal(last.tokens, batches[3].tokens)
    assert not np.array_equal(batches[0].tokens, batches[1].tokens)
