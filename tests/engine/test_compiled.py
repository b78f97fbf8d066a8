"""Compiled functions that are kept on disk: found again, told apart, made anew where a file is of no use."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from openlamda.engine import ahead, compiled
from openlamda.engine.base import Sampling, TextTree
from openlamda.engine.compiled import Compiled
from openlamda.engine.local import LocalModel
from openlamda.model import params as weights
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)
PARAMS = weights.init(TINY, jax.random.key(3))


def scaled(x: jax.Array, *, by: int) -> jax.Array:
    return x * by


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder where the engine's functions are kept."""
    monkeypatch.setattr(compiled, "_folder", tmp_path)
    of_jax = compiled.jax_keeps_in()
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()  # else one that was used is used on
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", of_jax)
    compilation_cache.reset_cache()


@pytest.fixture
def folder(kept, monkeypatch):
    """The same, where no function is known yet."""
    monkeypatch.setattr(compiled, "_functions", {})
    return kept


def started() -> tuple[Compiled, list[tuple[int, ...]]]:
    """The function as a new process has it, and the shapes that it is traced for."""
    traced: list[tuple[int, ...]] = []

    def seen(x: jax.Array, *, by: int) -> jax.Array:
        traced.append(x.shape)
        return scaled(x, by=by)

    seen.__name__ = scaled.__name__
    return Compiled(seen, static=("by",), donate=()), traced


def test_code_that_nobody_uses_is_removed_after_a_month(tmp_path):
    month = 31 * 86400
    for name, age in (("a" * 16, 0), ("b" * 16, month), ("c" * 16, month), ("jax", month)):
        (tmp_path / name / "model").mkdir(parents=True)
        os.utime(tmp_path / name, times=(time.time() - age, time.time() - age))
    compiled.remove_unused(tmp_path, "b" * 16)
    assert {path.name for path in tmp_path.iterdir()} == {"a" * 16, "b" * 16, "jax"}
    assert time.time() - (tmp_path / ("b" * 16)).stat().st_mtime < month


def test_a_later_start_traces_nothing_and_gives_the_same(folder):
    x = np.arange(5, dtype=np.float32)
    first, traced = started()
    np.testing.assert_array_equal(first(x, by=3), x * 3)
    np.testing.assert_array_equal(first(x + 1, by=3), (x + 1) * 3)
    assert traced == [(5,)]
    second, traced = started()
    np.testing.assert_array_equal(second(x, by=3), x * 3)
    assert traced == []


@pytest.mark.parametrize(
    ("x", "by"), [(np.ones(5, np.float32), 4), (np.ones(6, np.float32), 3), (np.ones(5, np.int32), 3)]
)
def test_other_shapes_dtypes_and_static_arguments_are_told_apart(folder, x, by):
    first, _ = started()
    first(np.ones(5, np.float32), by=3)
    second, traced = started()
    found = second(x, by=by)
    assert (found.dtype, found.tolist()) == (x.dtype, (x * by).tolist())
    assert traced == [x.shape]


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" + data])
def test_a_damaged_file_is_made_anew(folder, damage: Callable[[bytes], bytes]):
    first, _ = started()
    first(np.ones(5), by=3)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    second, traced = started()
    compiled.load_first(folder)
    assert second(np.ones(5), by=3).tolist() == [3] * 5
    assert traced == [(5,)]
    third, traced = started()
    assert third(np.ones(5), by=3).tolist() == [3] * 5
    assert traced == []


def test_what_a_start_needed_is_loaded_before_it_is_called(folder):
    first, _ = started()
    first(np.ones(5), by=3)
    second, traced = started()
    compiled.load_first(folder)
    for path in folder.iterdir():
        path.unlink()
    assert second(np.ones(5), by=3).tolist() == [3] * 5
    assert traced == []


@pytest.mark.parametrize("loaded", ["before", pytest.param("when called", marks=pytest.mark.slow)])
def test_an_engine_answers_the_same_by_what_an_earlier_start_compiled(kept, monkeypatch, loaded):
    jax.clear_caches()  # what another test had from JAX's cache cannot be written again
    written: list[Path] = []
    write = compiled.write
    monkeypatch.setattr(compiled, "write", lambda path, data: (written.append(path), write(path, data)))

    def answers():
        for function in compiled._functions.values():
            monkeypatch.setattr(function, "_found", {})  # as in a new process
        if loaded == "before":
            compiled.load_first(kept)
        model, prefix, sampling = (
            LocalModel(PARAMS, TINY, lanes=1),
            tuple(range(5, 25)),
            Sampling(max_tokens=20, stop=(1,)),
        )
        drawn = [model.sample(prefix, 4, sampling, seed) for seed in range(2)]  # the second in the same lane
        replies = [candidate.tokens for candidate in drawn[-1]]
        given = [(7, 8, 9), (7, 8)]
        return (
            drawn,
            model.sample(prefix, 1, Sampling(temperature=0, max_tokens=8), seed=0),
            model.rate(prefix, replies, [(5,), (6, 7)], 2, 3),
            model.rate(prefix, given, [(5,), (6, 7)], 2, 3),
            model.score(prefix, given),
            model.rate_all([TextTree(prefix, ((20, (7, 8)),))], [(5,)], 2, 3, batch_rows=4),
        )

    first = answers()
    wait_for_what_is_compiled_ahead()
    names = {path.name.split("-")[0].rpartition(".")[2] for path in written}
    assert {
        "layer_of_tree",
        "grown",
        "join",
        "advance",
        "leave",
        "layer_after_each",
        "gaps_of_rows",
        "normed",
        "rate_row",
        "likeliest_after",
    } <= names
    written.clear()
    assert answers() == first
    wait_for_what_is_compiled_ahead()
    assert written == []


def wait_for_what_is_compiled_ahead() -> None:
    for thread in threading.enumerate():
        if thread.name == ahead.THREAD:
            thread.join()


def test_what_follows_a_first_draw_is_compiled_beside_it(kept, monkeypatch):
    for function in list(compiled._functions.values()):
        monkeypatch.setattr(function, "_found", {})
    model, prefix, sampling = LocalModel(PARAMS, TINY, lanes=1), tuple(range(5, 25)), Sampling(max_tokens=20, stop=(1,))
    drawn = model.sample(prefix, 16, sampling, seed=0)
    wait_for_what_is_compiled_ahead()
    before = set(kept.iterdir())
    model.rate(prefix, [candidate.tokens for candidate in drawn], [(5,), (6,), (7,), (8,)], 2, 3)
    model.sample(prefix, 1, replace(sampling, temperature=0), seed=0)
    model.rate(prefix, [(7, 8, 9), (7, 8)], [(5,)], 2, 3)
    model.score(prefix, [(5,), (6,)])
    model.sample(tuple(range(10, 40)), 16, sampling, seed=0)  # a longer prefix
    after = {path.name.split("-")[0].rpartition(".")[2] for path in set(kept.iterdir()) - before}
    assert after == set(), after


def test_no_code_is_made_ahead_for_fewer_candidates_than_a_lane_holds_already(kept):
    model, prefix, sampling = LocalModel(PARAMS, TINY, lanes=1), tuple(range(5, 25)), Sampling(max_tokens=20, stop=(1,))
    model.sample(prefix, 16, sampling, seed=0)
    wait_for_what_is_compiled_ahead()
    before = set(kept.iterdir())
    model.sample(prefix, 4, sampling, seed=0)
    wait_for_what_is_compiled_ahead()
    assert set(kept.iterdir()) == before


def test_a_folder_that_takes_no_file_makes_a_start_slower_and_nothing_else(folder, monkeypatch):
    (folder / "file").touch()
    monkeypatch.setattr(compiled, "_folder", folder / "file" / "below")
    first, traced = started()
    assert first(np.ones(5), by=3).tolist() == [3] * 5
    assert traced == [(5,)]


def test_where_jax_keeps_what_is_compiled_nothing_is_kept_twice(folder, tmp_path_factory):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("jax")))
    first, _ = started()
    assert first(np.ones(5), by=3).tolist() == [3] * 5
    assert list(folder.iterdir()) == []


def test_within_another_computation_it_is_part_of_that(folder):
    first, _ = started()
    assert jax.jit(lambda x: first(x, by=3) + 1)(jnp.ones(2)).tolist() == [4, 4]
    assert list(folder.iterdir()) == []


def test_a_failure_is_told_each_time(folder):
    def broken(x: jax.Array) -> Any:
        raise ValueError("no such thing")

    function = Compiled(broken, static=(), donate=())
    for _ in range(2):
        with pytest.raises(ValueError, match="no such thing"):
            function(np.ones(2))


def test_other_code_or_another_cpu_has_files_of_its_own(monkeypatch):
    compiled.made_from.cache_clear()
    before = compiled.made_from()
    assert before == compiled.made_from()
    for name, value in (("SOURCES", ("engine",)), ("version", lambda name: "0")):
        with monkeypatch.context() as patched:
            patched.setattr(compiled, name, value)
            compiled.made_from.cache_clear()
            assert compiled.made_from() != before
    compiled.made_from.cache_clear()
