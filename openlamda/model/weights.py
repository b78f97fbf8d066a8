"""A model directory: config.json, tokenizer.model, model.safetensors (bfloat16 or float32), judges.json, README.md.

Read and written atomically; no pickle.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import msgspec
import numpy as np
from jax.typing import ArrayLike
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from openlamda.errors import UserError
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params, table


def save(
    directory: Path, params: Mapping[str, ArrayLike], config: ModelConfig, tokenizer: bytes, dtype: str = "bfloat16"
) -> None:
    """Write a model directory; each file appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(array).astype(jnp.dtype(dtype)) for name, array in params.items()}
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


def load(directory: Path) -> tuple[Params, ModelConfig]:
    """All weights as float32, and their shape. Raises UserError where one is missing, surplus or of another shape."""
    config = load_config(directory)
    path = directory / "model.safetensors"
    try:
        arrays = load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise UserError(f"{path}: {error}") from None
    for name, weight in table(config).items():
        if name not in arrays or arrays[name].shape != weight.shape:
            found = arrays[name].shape if name in arrays else "nothing"
            raise UserError(f"{path}: weight {name!r} is {found}, expected {weight.shape}")
    if surplus := sorted(arrays.keys() - table(config).keys()):
        raise UserError(f"{path}: weight {surplus[0]!r} has no place in the shape that config.json says")
    return {name: jnp.asarray(arrays[name], jnp.float32) for name in table(config)}, config
