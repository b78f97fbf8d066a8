"""A model directory: config.json, tokenizer.model, model.safetensors (float32, bfloat16, int8), judges.json, README.md.

Read and written atomically; no pickle.
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from openlamda.errors import UserError
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params, table
from openlamda.model.quantized import SCALE, SUMMED, compute_dtype, dequantize, quantize, scale_shape

FLOATS, INT8 = ("F32", "BF16"), "I8"  # as safetensors names them
DTYPES = {"F32": jnp.float32, "BF16": jnp.bfloat16, "I8": jnp.int8}


def save(
    directory: Path, params: Mapping[str, ArrayLike], config: ModelConfig, tokenizer: bytes, dtype: str = "bfloat16"
) -> None:
    """Write a model directory; each file appears whole or not at all. "int8": matrices alone, all else as it is."""
    directory.mkdir(parents=True, exist_ok=True)
    given = {name: np.asarray(array) for name, array in params.items()}
    if dtype == "int8":
        arrays = {name: np.asarray(array) for name, array in quantize(given).items()}
    else:
        arrays = {name: np.asarray(array).astype(jnp.dtype(dtype)) for name, array in dequantize(given).items()}
    temporary = directory / "model.safetensors.tmp"
    save_file(arrays, temporary)
    os.replace(temporary, directory / "model.safetensors")
    for name, data in (
        ("tokenizer.model", tokenizer),
        ("config.json", json.dumps(dataclasses.asdict(config), indent=2).encode() + b"\n"),
    ):
        temporary = directory / f"{name}.tmp"
        temporary.write_bytes(data)
        os.replace(temporary, directory / name)


def load_config(directory: Path) -> ModelConfig:
    """The shape of the model in `directory`. Raises UserError where there is none."""
    path = directory / "config.json"
    if not path.is_file():
        raise UserError(f"{directory}: no config.json, expected a model directory")
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelConfig)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: {error}") from None


class Stored(Mapping[str, np.ndarray]):
    """The weights of a model directory, read from the disk when they are asked for, and their shape.

    int8 ones stay int8, with float32 scales; all others become `dtype`, if one is given. `kinds` tells shape and dtype
    of each without reading it. Raises UserError where one is missing, surplus, of another shape or dtype.
    """

    def __init__(self, directory: Path, dtype: DTypeLike | None = None):
        self.config = load_config(directory)
        self._path = directory / "model.safetensors"
        with self._open() as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in parts.items()}
        _check(self._path, found, self.config)
        self.kinds: dict[str, jax.ShapeDtypeStruct] = {}
        for name, (shape, stored) in found.items():
            kept = dtype is None or stored == INT8 or name.endswith(SCALE)
            self.kinds[name] = jax.ShapeDtypeStruct(shape, DTYPES[stored] if kept else dtype)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.kinds:
            raise KeyError(name)
        with self._open() as file:
            return file.get_tensor(name).astype(self.kinds[name].dtype, copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            with safe_open(self._path, "numpy") as file:
                yield file
        except (OSError, SafetensorError) as error:
            raise UserError(f"{self._path}: {error}") from None


def stored(directory: Path, dtype: Literal["float32", "bfloat16"] | None = None) -> Stored:
    """The weights of a model directory as a model computes with them, not yet read.

    int8 weights stay int8, with float32 scales; all others become `dtype`, and the model computes in that. None: what
    is stored, but float32 on a CPU that multiplies that faster than bfloat16, as all do that have no AMX.
    """
    if dtype is None and jax.default_backend() == "cpu" and not multiplies_bfloat16():
        dtype = "float32"
    return Stored(directory, dtype or compute_dtype(Stored(directory).kinds))


def multiplies_bfloat16(cpu: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this host's CPU has instructions for products of bfloat16 matrices."""
    try:
        return "amx_bf16" in cpu.read_text().split()
    except OSError:  # no Linux
        return False


def read(directory: Path) -> tuple[dict[str, np.ndarray], ModelConfig]:
    """All weights as they are stored, and their shape. Raises UserError as `Stored` does."""
    found = Stored(directory)
    return dict(found), found.config


def _check(path: Path, found: Mapping[str, tuple[tuple[int, ...], str]], config: ModelConfig) -> None:
    expected: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {}
    for name, weight in table(config).items():
        expected[name] = weight.shape, (*FLOATS, INT8) if name in SUMMED else FLOATS
        if name in SUMMED and name in found and found[name][1] == INT8:
            expected[name + SCALE] = scale_shape(name, weight.shape), ("F32",)
    for name, (shape, dtypes) in expected.items():
        stored_shape, dtype = found.get(name, ("nothing", ""))
        if stored_shape != shape:
            raise UserError(f"{path}: weight {name!r} is {stored_shape}, expected {shape}")
        if dtype not in dtypes:
            raise UserError(f"{path}: weight {name!r} is of dtype {dtype}, expected {' or '.join(dtypes)}")
    if surplus := sorted(found.keys() - expected.keys()):
        raise UserError(f"{path}: weight {surplus[0]!r} has no place in the shape that config.json says")


def load(directory: Path, dtype: Literal["float32", "bfloat16"] | None = None) -> tuple[Params, ModelConfig]:
    """All weights as `stored` has them, and their shape. Raises UserError as `Stored` does."""
    found = stored(directory, dtype)
    return {name: jnp.asarray(array) for name, array in found.items()}, found.config


def load_float32(directory: Path) -> tuple[Params, ModelConfig]:
    """As `load`, all float32, for what makes new weights out of these. Raises UserError for int8 ones, too, which are
    too coarse to go on from unasked.
    """
    params, config = load(directory, "float32")
    for name, array in params.items():
        if array.dtype == jnp.int8:
            raise UserError(
                f"{directory}: weight {name!r} is int8, expected float32 or bfloat16: the model from before, or what "
                f"`openlamda model convert {directory} -o NEW --dtype float32` writes"
            )
    return params, config
