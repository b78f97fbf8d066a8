"""TOML and `key=value` overrides into frozen dataclasses; every mistake names the file and the key.

msgspec ignores unknown keys of a dataclass, so they are looked for here first.
"""

import dataclasses
import difflib
import tomllib
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from openlamda.errors import UserError

T = TypeVar("T")


def load(kind: type[T], path: Path, overrides: typing.Sequence[str] = ()) -> T:
    """The `kind` that TOML file `path` describes, changed by overrides such as `optimizer.learning_rate=1e-3`."""
    values = read(path)
    for override in overrides:
        _override(values, override)
    return convert(kind, values, str(path))


def read(path: Path) -> dict[str, Any]:
    """The tables of TOML file `path`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}, expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: {error}") from None


def convert(kind: type[T], values: dict[str, Any], where: str) -> T:
    """The `kind` that tables describe. Raises UserError that begins with `where`."""
    check_keys(kind, values, where)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {error}") from None


def assigned(overrides: typing.Sequence[str]) -> dict[str, Any]:
    """What `key=value` words say, as the tables of a TOML file."""
    values: dict[str, Any] = {}
    for override in overrides:
        _override(values, override)
    return values


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"{override!r}: expected key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *tables, last = key.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise UserError(f"{override!r}: {table!r} is no table")
    values[last] = value


def check_keys(kind: Any, values: dict[str, Any], where: str) -> None:
    """Raises UserError for a key that dataclass `kind` has no field for, in tables and lists of tables, too."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(fields)}"
            raise UserError(f"{where}: no setting {key!r}; {hint}")
        inner = [hints[key], *typing.get_args(hints[key])]
        if typing.get_origin(hints[key]) is dict and isinstance(value, dict):  # names of the user's own -> tables
            for name, table in value.items():
                if dataclasses.is_dataclass(inner[-1]) and isinstance(table, dict):
                    check_keys(inner[-1], table, f"{where}: {key}.{name}")
            continue
        for number, item in enumerate(value if isinstance(value, list) else [value], 1):
            for part in inner:
                if dataclasses.is_dataclass(part) and isinstance(item, dict):
                    check_keys(part, item, f"{where}: {key}" + (f" {number}" if isinstance(value, list) else ""))
