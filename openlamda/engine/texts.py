"""Texts that a model has read: the keys and values of those read lately, and how more of them is read.

They are kept whole, as candidates follow them, and as blocks, which texts that begin alike share.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine.base import Tokens
from openlamda.engine.layered import Layered
from openlamda.engine.padding import padded_size
from openlamda.engine.prefixes import BLOCK, Prefixes
from openlamda.engine.reading import SIZES, Cache, join_blocks, no_cache, read
from openlamda.engine.recent import Recent
from openlamda.model.config import ModelConfig

READ = (16, 32, 64, 128, 256)  # tokens of a text read at once


class Texts:
    """At most `most` bytes of texts whole, and as many of blocks. `turns`: how many computations are under way."""

    def __init__(
        self, weights: Layered, config: ModelConfig, dtype: str, most: int, turns: AbstractContextManager[object]
    ):
        self._weights, self._config, self._turns = weights, config, turns
        self._lock = threading.Lock()
        shape = (config.num_layers, 2, config.num_heads, BLOCK, config.d_head)
        self._no_block = jnp.zeros(shape, dtype)
        # short texts are read after padding, in shapes that trees after them have, too; longer ones after nothing
        self._no_cache = {size: no_cache(config, dtype, size) for size in (0, SIZES[0])}
        self.blocks: Prefixes[jax.Array] = Prefixes(max(1, most // self._no_block.nbytes))
        self.whole: Recent[Tokens, tuple[Cache, jax.Array | None]] = Recent(most)

    def known(self, text: Tokens) -> int:
        """How many of its first tokens need not be read."""
        with self._lock:
            return self._beginning(text)[0]

    def read(self, text: Tokens) -> Cache:
        """Its keys and values: kept ones, and what follows them read now."""
        return self.read_to_end(text)[0]

    def read_to_end(self, text: Tokens) -> tuple[Cache, jax.Array | None]:
        """Its keys and values, and the hidden state [1, D] after it, unless it was known by its blocks."""
        with self._lock:
            if (kept := self.whole.get(text)) is not None:
                return kept
            length, beginning = self._beginning(text)
        with self._turns:
            cache, last_1D, new = self._read_on(text, length, beginning)
        self.keep(text, cache, last_1D, new)
        return cache, last_1D

    def keep(self, text: Tokens, cache: Cache, last_1D: jax.Array | None, new: Sequence[jax.Array]) -> None:
        """Keep what was read of a text, and its last whole blocks."""
        with self._lock:
            self.blocks.add(text, new)
            self.whole.keep(text, (cache, last_1D), sum(array.nbytes for array in jax.tree.leaves(cache.layers)))

    def _beginning(self, text: Tokens) -> tuple[int, Cache | list[jax.Array]]:
        """How many of its first tokens need not be read, and their keys and values: as blocks, or whole if that leaves
        less to read.
        """
        blocks = self.blocks.find(text)
        begun = max((tokens for tokens in self.whole if text[: len(tokens)] == tokens), key=len, default=())
        if len(begun) > len(blocks) * BLOCK and (kept := self.whole.get(begun)):
            cache, _ = kept
            if cache.size == padded_size(len(text), SIZES):  # else all that reads it would be compiled for two sizes
                return len(begun), cache
        return len(blocks) * BLOCK, blocks

    def _read_on(
        self, text: Tokens, length: int, beginning: Cache | list[jax.Array]
    ) -> tuple[Cache, jax.Array | None, list[jax.Array]]:
        """The cache of a text whose first tokens are known, its last hidden state, and the blocks that it added."""
        size = padded_size(len(text), SIZES)
        if isinstance(beginning, Cache):
            known = beginning
        elif beginning:
            blocks = beginning + [self._no_block] * (size // BLOCK - len(beginning))
            known = join_blocks(blocks, np.int32(length))
        else:
            known = self._no_cache.get(size, self._no_cache[0])
        if length and length == len(text):
            return known, None, []
        last_1D = None
        new: list[jax.Array] = []
        for start in range(length, max(len(text), 1), READ[-1]):
            now = text[start : start + READ[-1]]
            tokens_N = np.zeros(padded_size(len(now), READ), np.int32)
            tokens_N[: len(now)] = now
            count = np.int32(len(now))
            known, last_1D, added = read(self._weights, known, tokens_N, count, size=size, config=self._config)
            new += added[: (start + len(now)) // BLOCK - start // BLOCK]
        jax.block_until_ready(known.layers)
        return known, last_1D, new
