"""Batches are a function of the step: shuffled, complete, the same rows for any number of hosts; bad shards named."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus import shards as directory
from openlamda.corpus.batches import Shards, permuted
from openlamda.corpus.files import write_array
from openlamda.errors import UserError
from openlamda.text.tokenizer import train

ROWS, TOKENS = 37, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    """Shards of 20, 10 and 7 rows and 5 for validation; row n holds n + 20 in its first place."""
    import hashlib

    folder = tmp_path_factory.mktemp("shards")
    files = []
    for name, (start, stop) in {"a.npy": (0, 20), "b.npy": (20, 30), "c.npy": (30, 37), "v.npy": (37, 42)}.items():
        rows = np.zeros((stop - start, 2, TOKENS), np.uint16)
        rows[:, 0, :3], rows[:, 1, :3] = 30, 1
        rows[:, 0, 0] = np.arange(start, stop) + 20
        path = folder / name
        write_array(path, rows)
        files.append(directory.ShardFile(path.name, len(rows), hashlib.sha256(path.read_bytes()).hexdigest()))
    sha256 = hashlib.sha256(tokenizer.model).hexdigest()
    manifest = directory.Manifest(1, sha256, 400, TOKENS, ROWS, ROWS * 3, 0, {}, tuple(files[:3]), {}, files[3])
    directory.write(folder, manifest)
    return folder


def rows_of(batch):
    tokens, segments = batch
    assert tokens.dtype == segments.dtype == np.int32 and tokens.shape == segments.shape
    assert (tokens[:, 1:3] == 30).all() and (segments[:, :3] == 1).all() and not segments[:, 3:].any()
    return (tokens[:, 0] - 20).tolist()


def test_rows_for_validation_are_in_no_batch(folder):
    shards = Shards(folder)
    kept = rows_of(shards.validation(4))
    seen = {row for step in range(3 * ROWS) for row in rows_of(shards.batch(step, 4))}
    assert kept == list(range(ROWS, ROWS + 4)) and seen == set(range(ROWS))
    with pytest.raises(UserError, match="5 rows for validation, expected 6"):
        shards.validation(6)


def test_an_epoch_has_every_row_once_and_the_next_another_order(folder):
    shards = Shards(folder)
    assert (shards.rows, shards.tokens, shards.row_tokens) == (ROWS, ROWS * 3, TOKENS)
    stream = [row for step in range(ROWS) for row in rows_of(shards.batch(step, 4))]
    epochs = [stream[ROWS * n : ROWS * (n + 1)] for n in range(4)]
    assert all(sorted(epoch) == list(range(ROWS)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert epochs[0] != list(range(ROWS))
    other = [row for step in range(ROWS) for row in rows_of(shards.batch(step, 4, seed=1))]
    assert other != stream


def test_a_run_goes_on_by_its_step(folder):
    first = [rows_of(Shards(folder).batch(step, 5, seed=3)) for step in range(30)]
    again = Shards(folder)
    assert [rows_of(again.batch(step, 5, seed=3)) for step in range(17, 30)] == first[17:]


@given(st.integers(1, 3000), st.integers(-5, 2**70), st.integers(0, 5))
def test_a_shuffle_is_a_permutation(size, seed, epoch):
    assert sorted(permuted(np.arange(size), size, seed, epoch).tolist()) == list(range(size))


def test_a_shuffle_is_even():
    """Where the first of 8 goes, over 4000 epochs: each place 500 times, give or take 5 standard deviations (21)."""
    counts = np.bincount([int(permuted(np.zeros(1, np.int64), 8, 0, epoch)[0]) for epoch in range(4000)], minlength=8)
    assert abs(counts - 500).max() < 5 * 21
    order = permuted(np.arange(100_000), 100_000, 0, 0)
    assert abs(np.corrcoef(order, np.arange(100_000))[0, 1]) < 0.02
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.02


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "expected the shard"),
        (lambda path: path.write_bytes(b""), "expected the shard"),
        (lambda path: path.write_bytes(b"not an array"), "expected the shard"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\1"), "has changed"),
        (lambda path: write_array(path, np.zeros((10, 2, TOKENS), np.int64)), r"int64 .*expected \(10, 2, 8\)"),
        (lambda path: write_array(path, np.zeros((9, 2, TOKENS), np.uint16)), r"expected \(10, 2, 8\)"),
    ],
)
def test_a_bad_shard_is_named(copy, damage, message):
    damage(copy / "b.npy")
    with pytest.raises(UserError, match=rf"b\.npy: .*{message}"):
        Shards(copy)


def test_another_tokenizer_is_refused(folder, tokenizer):
    Shards(folder, tokenizer)
    with pytest.raises(UserError, match=r"manifest\.json: made with tokenizer"):
        Shards(folder, train(["the river is long and the city is blue"] * 50, 300))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("{", "expected the manifest"),
        ("[]", "expected the manifest"),
        ('{"version": 9}', "version 9, expected 1"),
        ('{"version": 1}', "missing required field"),
    ],
)
def test_a_bad_manifest_is_named(copy, text, message):
    (copy / "manifest.json").unlink()
    if text is not None:
        (copy / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=rf"manifest\.json: .*{message}"):
        Shards(copy)


def test_a_shard_is_never_unpickled(copy):
    np.save(copy / "b.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"b\.npy"):
        Shards(copy)
    assert json.loads((copy / "manifest.json").read_text())["version"] == 1
