"""What a model needs is told before it is read, and what is left: by files made up, devices made up, and plain sums."""

import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.engine import memory
from openlamda.engine import start as starting
from openlamda.engine.lanes import KEPT
from openlamda.engine.local import LocalModel
from openlamda.engine.start import start, ways
from openlamda.errors import UserError
from openlamda.model import weights
from openlamda.model.config import PRESETS, ModelConfig
from openlamda.model.params import count, init, table
from openlamda.model.quantized import quantize

GIB = 2**30
TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=8, d_ff=24, vocab_size=40)
TOKEN = 2 * 2 * 2 * 8 * 4  # bytes of keys and values
LANE = TOKEN * (512 + 16 * 80)


def host(tmp_path, files):
    """A folder with the files that tell how much memory a host has."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


MEMINFO = {"proc/meminfo": f"MemTotal: {9 * GIB // 1024} kB\nMemAvailable:   {4 * GIB // 1024} kB\n"}


def group_of(base, names, most, used, cache):
    limit, usage, stat = names
    return {
        f"sys/fs/cgroup/{base}/{limit}": f"{most}\n",
        f"sys/fs/cgroup/{base}/{usage}": f"{used}\n",
        f"sys/fs/cgroup/{base}/memory.stat": f"anon 1\n{stat} {cache}\n",
    }


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 4 * GIB),
        ({"proc/self/cgroup": "0::/a/b\n"}, 4 * GIB),  # as where another namespace hides it
        ({"proc/self/cgroup": "0::/a/b\n", **group_of("a/b", V2, "max", GIB, 0)}, 4 * GIB),
        ({"proc/self/cgroup": "0::/a/b\n", **group_of("a/b", V2, 3 * GIB, 2 * GIB, GIB // 2)}, GIB + GIB // 2),
        ({"proc/self/cgroup": "0::/a/b\n", **group_of("a", V2, 3 * GIB, 2 * GIB, 0)}, GIB),
        ({"proc/self/cgroup": "0::/a/b\n", **group_of(".", V2, GIB, 2 * GIB, 0)}, 0),
        ({"proc/self/cgroup": "9:cpu:/c\n4:memory,x:/a\n0::/\n", **group_of("memory/a", V1, 2 * GIB, GIB, 5)}, GIB + 5),
        ({"proc/self/cgroup": "4:cpu:/a\n", **group_of("memory/a", V1, 2 * GIB, GIB, 0)}, 4 * GIB),
        ({"proc/self/cgroup": "nothing\n"}, 4 * GIB),
    ],
)
def test_a_host_has_what_is_available_and_no_more_than_its_control_groups_allow(tmp_path, files, left):
    assert memory.host_memory(host(tmp_path, {**MEMINFO, **files})) == left


def test_a_host_without_proc_has_what_is_built_in(tmp_path):
    assert (memory.host_memory(tmp_path) or 0) > GIB // 8


@pytest.mark.parametrize(
    ("stats", "left"),
    [({"bytes_limit": 10, "bytes_in_use": 4}, 6), ({"bytes_limit": 10}, 10), ({"bytes_in_use": 4}, None), (None, None)],
)
def test_a_device_has_its_limit_less_what_is_in_use(monkeypatch, stats, left):
    device = SimpleNamespace(platform="gpu", memory_stats=lambda: stats)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert memory.available() == left


def kinds(params):
    return {name: jax.ShapeDtypeStruct(weight.shape, weight.dtype) for name, weight in params.items()}


def test_needs_are_plain_sums():
    needed = memory.needs(kinds(init(TINY, jax.random.key(0))), TINY, None, cache_bytes=1000, groups=3, lanes=2)
    assert [*needed.parts.values()] == [4 * count(TINY), 0, 1000, 6 * LANE]


def test_a_cpu_makes_floats_of_int8_weights_and_other_devices_do_not(monkeypatch):
    params = quantize(init(TINY, jax.random.key(0)))
    stored = sum(np.asarray(weight).nbytes for weight in params.values())
    rounded = sum(weight.size for weight in params.values() if weight.dtype == jnp.int8)
    needed = memory.needs(kinds(params), TINY, None, cache_bytes=0, groups=1, lanes=1)
    assert [*needed.parts.values()] == [stored, 4 * rounded, 0, LANE]
    assert needed.hint == "more memory or a smaller model"
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(platform="gpu")])
    needed = memory.needs(kinds(params), TINY, None, cache_bytes=0, groups=1, lanes=1)
    assert needed.parts["copies of int8 weights"] == 0
    assert needed.hint == "more devices (--devices) or a smaller model"
    needed = memory.needs(kinds(init(TINY, jax.random.key(0))), TINY, None, cache_bytes=0, groups=1, lanes=1)
    assert needed.hint == "int8 weights (openlamda model convert) or more devices (--devices) or a smaller model"


@pytest.fixture
def directory(tmp_path):
    weights.save(tmp_path, init(TINY, jax.random.key(0)), TINY, b"", "float32")
    return tmp_path


def test_a_model_without_room_is_refused_in_one_line_with_the_numbers(directory, monkeypatch):
    monkeypatch.setattr(memory, "host_memory", lambda: 200 * 2**20)
    monkeypatch.setattr(starting, "layered", None)  # not read
    told = "weights 0.0 MiB + caches 256.0 MiB + drawing 0.4 MiB = 256.5 MiB, 200.0 MiB available; expected more memory"
    with pytest.raises(UserError, match=f"^{re.escape(f'{directory}: {told} or a smaller model')}$"):
        start(directory)


def test_where_memory_is_short_fewer_lanes_are_kept(directory, monkeypatch):
    least = 4 * count(TINY) + 2**28
    monkeypatch.setattr(starting, "usual_lanes", lambda mesh: (1, 2))
    for room, lanes, idle in ((9 * LANE, 2, KEPT), (5 * LANE, 2, 3), (2 * LANE, 2, 0), (LANE, 1, 0)):
        monkeypatch.setattr(memory, "host_memory", lambda room=room: least + room)
        model = start(directory)
        assert (model._at_once, model._lanes._idle.maxlen) == (lanes, idle)


def test_fewer_groups_are_drawn_before_lanes_are_given_up():
    found = list(ways(16, 2))
    assert found[:5] == [(16, 2, KEPT), (8, 2, KEPT), (4, 2, KEPT), (2, 2, KEPT), (1, 2, KEPT)]
    assert found[-2:] == [(1, 2, 0), (1, 1, 0)] and len(set(found)) == len(found)


def full(*_):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 268435456 bytes.")


def full_host(*_):
    raise MemoryError


def broken(*_):
    raise jax.errors.JaxRuntimeError("INTERNAL: something else")


def test_a_full_device_or_host_is_told_in_the_same_words(directory, monkeypatch):
    for fails, told in ((full, "the device has less"), (full_host, "the host has less")):
        monkeypatch.setattr(starting, "layered", fails)
        with pytest.raises(UserError, match=rf"^{directory}: weights .* MiB, {told}; expected more memory or"):
            start(directory)
    monkeypatch.setattr(starting, "layered", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        start(directory)


def test_what_is_enough_starts_and_answers(directory):
    model = start(directory)
    assert isinstance(model, LocalModel) and model.score((3, 4), [(5,)])


def test_the_largest_preset_in_words():
    shapes = {name: jax.ShapeDtypeStruct(weight.shape, jnp.bfloat16) for name, weight in table(PRESETS["137b"]).items()}
    needed = memory.needs(shapes, PRESETS["137b"], None, cache_bytes=2**28, groups=1, lanes=1)
    assert str(needed) == "weights 256.5 GiB + caches 256.0 MiB + drawing 14.0 GiB = 270.7 GiB"
