"""The local engine: a JAX model behind the `LanguageModel` seam.

Arrays are padded to a few sizes so that few shapes are compiled; compiled code is kept on disk between starts.
"""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.decode import Cache, draw, empty_cache, extend, logprobs_of
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

SIZES = (64, 256, 1024, 4096, 16384)
KEPT_PREFIXES = 4


def keep_compiled() -> None:
    """Keep compiled code in the user's cache folder, so that the next start is quick."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no home, as in some containers
        return
    jax.config.update("jax_compilation_cache_dir", str(home / "openlamda" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def padded_size(size: int) -> int:
    """The smallest compiled size that holds `size`."""
    for candidate in SIZES:
        if size <= candidate:
            return candidate
    return -(-size // SIZES[-1]) * SIZES[-1]


class LocalModel:
    """Weights and their shape, with the last few prefixes read."""

    def __init__(self, params: Params, config: ModelConfig):
        self.config = config
        self._params = params
        self._prefixes: OrderedDict[Tokens, Cache] = OrderedDict()

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """`n` independent continuations of `prefix` (at least one token). The same arguments give the same ones."""
        vocabulary = np.arange(self.config.vocab_size)
        drawn = draw(
            self._params,
            self._read(prefix[:-1]),
            jnp.int32(prefix[-1]),
            jnp.uint32(seed % 2**32),
            jnp.float32(sampling.temperature),
            jnp.asarray(np.isin(vocabulary, sampling.banned)),
            jnp.asarray(np.isin(vocabulary, sampling.stop)),
            config=self.config,
            n=n,
            max_tokens=sampling.max_tokens,
            top_k=min(sampling.top_k, self.config.vocab_size),
        )
        tokens, lengths, logprobs, stopped = (np.asarray(array) for array in drawn)
        return [
            Candidate(tuple(tokens[i, : lengths[i]].tolist()), float(logprobs[i]), bool(stopped[i])) for i in range(n)
        ]

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """Logprobs of each continuation's tokens, all read in one forward as a tree whose root ends the prefix."""
        tokens, parents, depths = [prefix[-1]], [0], [0]
        children: dict[tuple[int, int], int] = {}
        asked: list[tuple[int, int]] = []  # (node, next token)
        for continuation in continuations:
            node = 0
            for place, token in enumerate(continuation):
                asked.append((node, token))
                if place + 1 == len(continuation):
                    break  # nothing follows a last token, so it need not be read
                if (node, token) not in children:
                    children[node, token] = len(tokens)
                    tokens.append(token)
                    parents.append(node)
                    depths.append(depths[node] + 1)
                node = children[node, token]
        if not asked:
            return [[] for _ in continuations]
        hidden = self._read_tree(self._read(prefix[:-1]), tokens, parents, depths)[0]
        P = padded_size(len(asked))
        pairs = np.zeros((2, P), np.int32)
        pairs[:, : len(asked)] = np.array(asked).T
        logprobs = iter(np.asarray(logprobs_of(self._params, hidden, pairs[0], pairs[1])).tolist())
        return [[next(logprobs) for _ in continuation] for continuation in continuations]

    def _read_tree(self, cache: Cache, tokens: Sequence[int], parents: Sequence[int], depths: Sequence[int]):
        N = padded_size(len(tokens))
        visible_NN = np.eye(N, dtype=bool)
        for node in range(1, len(tokens)):
            visible_NN[node, : len(tokens)] |= visible_NN[parents[node], : len(tokens)]
        filled = np.zeros((2, N), np.int32)
        filled[:, : len(tokens)] = (tokens, depths)
        return extend(self._params, cache, filled[0], filled[1], visible_NN, config=self.config)

    def _read(self, prefix: Tokens) -> Cache:
        """The prefix's keys and values: kept ones, or read now."""
        if prefix in self._prefixes:
            self._prefixes.move_to_end(prefix)
            return self._prefixes[prefix]
        N = max(0, len(prefix) - 1)
        _, keys, values = self._read_tree(empty_cache(self.config), prefix or (0,), [0, *range(N)], range(N + 1))
        self._prefixes[prefix] = cache = Cache(keys, values, jnp.int32(len(prefix)))
        if len(self._prefixes) > KEPT_PREFIXES:
            self._prefixes.popitem(last=False)
        return cache
