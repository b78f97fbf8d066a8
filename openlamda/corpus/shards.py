"""What a shard directory says of itself: manifest.json, written last, so that a directory with one is complete.

shard-00000.npy ...   rows of tokens and segments (packing.py)
validation.npy        rows that no shard holds, to choose checkpoints by
tokenizer.model       what the tokens mean
manifest.json         sizes, hashes, counts, the recipe
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from openlamda.corpus.files import write_json
from openlamda.corpus.report import Report
from openlamda.errors import UserError
from openlamda.text.tokenizer import Tokenizer

MANIFEST = "manifest.json"
VERSION = 1


@dataclass(frozen=True)
class ShardFile:
    """One shard."""

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class SourceCount:
    """One source: what is left of it, how often it is read, its tokens in the shards."""

    files: int
    bytes: int
    report: Report
    epochs: float
    tokens: int


@dataclass(frozen=True)
class Manifest:
    """A finished shard directory."""

    version: int
    tokenizer_sha256: str
    vocab_size: int
    row_tokens: int
    rows: int
    tokens: int
    seed: int
    sources: dict[str, SourceCount]
    shards: tuple[ShardFile, ...]
    recipe: dict[str, Any]
    validation: ShardFile | None = None

    @property
    def filled(self) -> float:
        """Share of the places in rows that hold a token."""
        return self.tokens / (self.rows * self.row_tokens)


def write(folder: Path, manifest: Manifest) -> None:
    """Finish a shard directory."""
    write_json(folder / MANIFEST, manifest)


def read(folder: Path) -> Manifest:
    """The manifest of a directory. Raises UserError when there is none, or one of another kind."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=dict[str, Any]).get("version")
        if version != VERSION:
            raise UserError(f"{path}: version {version!r}, expected {VERSION}")
        return msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, expected a finished shard directory") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}, expected a finished shard directory") from None
    except msgspec.MsgspecError as error:
        raise UserError(f"{path}: {error}, expected the manifest of a shard directory") from None


def check_tokenizer(folder: Path, manifest: Manifest, tokenizer: Tokenizer) -> None:
    """Raises UserError when the shards were made with another tokenizer."""
    found = hashlib.sha256(tokenizer.model).hexdigest()
    if found != manifest.tokenizer_sha256:
        raise UserError(
            f"{folder / MANIFEST}: made with tokenizer {manifest.tokenizer_sha256[:12]}, "
            f"expected {found[:12]}, the one in use"
        )
