"""Batches from several processes come in one order, go on where a run stopped, and tell what went wrong."""

import lzma
import os
from collections.abc import Iterator
from itertools import islice

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


def test_a_dead_worker_is_noticed():
    with pytest.raises(RuntimeError, match="ended with code 3"):
        list(islice(in_turns(dying, 2, 0), 4))


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
