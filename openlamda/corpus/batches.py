"""Batches out of a shard directory: a pure function of the step, so a run goes on at the exact row by its step alone.

Rows are shuffled anew in every epoch by a permutation that is computed, not stored. Files are mapped into memory: only
what is read is loaded.
"""

import hashlib
from pathlib import Path

import numpy as np

from openlamda.corpus import shards
from openlamda.corpus.minhash import mix
from openlamda.corpus.packing import token_type
from openlamda.errors import UserError
from openlamda.text.tokenizer import Tokenizer

_ROUNDS = 6


class Shards:
    """The rows of a shard directory.

    Raises UserError that names the file for a missing, cut or altered shard (each is hashed, about 1 GB/s), or another
    tokenizer than `tokenizer`.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer | None = None):
        self._folder, self.manifest = folder, shards.read(folder)
        self.rows, self.tokens = self.manifest.rows, self.manifest.tokens
        self.row_tokens = self.manifest.row_tokens
        if tokenizer is not None:
            shards.check_tokenizer(folder, self.manifest, tokenizer)
        self._files = [self._open(folder / shard.file, shard) for shard in self.manifest.shards]
        self._starts = np.cumsum([0, *(len(file) for file in self._files)])

    def _open(self, path: Path, shard: shards.ShardFile) -> np.ndarray:
        try:
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
            digest = _digest(path)
        except (OSError, ValueError, EOFError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UserError(f"{path}: {reason}, expected the shard that manifest.json names") from None
        shape = (shard.rows, 2, self.row_tokens)
        if rows.shape != shape or rows.dtype != token_type(self.manifest.vocab_size):
            raise UserError(f"{path}: {rows.dtype} {rows.shape}, expected {shape} as manifest.json says")
        if digest != shard.sha256:
            raise UserError(f"{path}: has changed (sha256 {digest[:12]}), expected {shard.sha256[:12]}")
        return rows

    def batch(self, step: int, rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, segments) of `step` >= 0: int32 [rows, row_tokens] each.

        Row i of step s is number s * rows + i of an endless sequence of epochs.
        """
        places = step * rows + np.arange(rows, dtype=np.int64)
        epochs, places = np.divmod(places, self.rows)
        numbers = np.concatenate(
            [permuted(places[epochs == epoch], self.rows, seed, int(epoch)) for epoch in np.unique(epochs)]
        )
        batch = np.empty((len(numbers), 2, self.row_tokens), np.int32)
        files = np.searchsorted(self._starts, numbers, "right") - 1
        for i, (file, number) in enumerate(zip(files.tolist(), numbers.tolist(), strict=True)):
            batch[i] = self._files[file][number - self._starts[file]]
        return batch[:, 0], batch[:, 1]

    def validation(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, segments) of texts that are in no batch: int32 [rows, row_tokens] each.

        Raises UserError where there are fewer rows of them.
        """
        kept = self.manifest.validation
        if kept is None or kept.rows < rows:
            raise UserError(
                f"{self._folder}: {kept.rows if kept else 0} rows for validation, expected {rows}; "
                "build the corpus with a larger validation_percent, or validate with fewer rows"
            )
        cells = self._open(self._folder / kept.file, kept)[:rows].astype(np.int32)
        return cells[:, 0], cells[:, 1]


def permuted(places: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Where each place of 0 ... size - 1 goes in a shuffle by (seed, epoch): a Feistel network over the next power of
    four, walked on until it lands inside (Black and Rogaway 2002). No memory of the order of `size`.
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    start = mix(np.array([seed % 2**64, epoch], np.uint64))
    keys = mix(start[0] + mix(start[1:] + np.arange(_ROUNDS, dtype=np.uint64)))
    values = places.astype(np.uint64)
    outside = np.ones(len(values), bool)
    while outside.any():
        left, right = values[outside] >> half, values[outside] & mask
        for key in keys:
            left, right = right, left ^ (mix(right ^ key) & mask)
        values[outside] = left << half | right
        outside = values >= size
    return values.astype(np.int64)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
