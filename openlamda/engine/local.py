"""The local engine: a JAX model behind the `LanguageModel` seam.

Arrays are padded to a few sizes so that few shapes are compiled; compiled code is kept on disk between starts.
"""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine import bulk
from openlamda.engine.base import Candidate, Sampling, TextTree, Tokens
from openlamda.engine.decode import Cache, draw, empty_cache, extend, extend_each, gaps_of, logprobs_of
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

SIZES = (64, 256, 1024, 4096, 16384)
NODES = (8, 64)  # of the questions asked after each reply
CANDIDATES = (1, 4, 16, 64)
LENGTHS = (16, 32, 64, 256, 1024)
KEPT_PREFIXES = 4


def keep_compiled() -> None:
    """Keep compiled code in the user's cache folder, so that the next start is quick."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no home, as in some containers
        return
    jax.config.update("jax_compilation_cache_dir", str(home / "openlamda" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def padded_size(size: int, sizes: Sequence[int] = SIZES) -> int:
    """The smallest compiled size that holds `size`."""
    for candidate in sizes:
        if size <= candidate:
            return candidate
    return -(-size // sizes[-1]) * sizes[-1]


class Read(NamedTuple):
    """Continuations of a prefix that the model has read, each at its place on the C axis."""

    prefix: Tokens
    place: dict[Tokens, int]
    own: tuple[jax.Array, jax.Array]  # keys and values [L, C, H, T, K]
    length_C: np.ndarray


class LocalModel:
    """Weights and their shape, with the last few prefixes read."""

    def __init__(self, params: Params, config: ModelConfig):
        self.config = config
        self._params = params
        self._prefixes: OrderedDict[Tokens, Cache] = OrderedDict()
        self._drawn: Read | None = None

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
        tokens, lengths, logprobs, stopped = (np.asarray(array) for array in drawn[:4])
        candidates = [
            Candidate(tuple(tokens[i, : lengths[i]].tolist()), float(logprobs[i]), bool(stopped[i])) for i in range(n)
        ]
        place = {candidate.tokens: i for i, candidate in enumerate(candidates)}
        self._drawn = Read(prefix, place, (drawn.keys_LCHTK, drawn.values_LCHTK), lengths)
        return candidates

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """Logprobs of each continuation's tokens, all read in one forward as a tree whose root ends the prefix."""
        tree = Tree(prefix[-1])
        asked: list[tuple[int, int]] = []  # (node, next token)
        for continuation in continuations:
            node = 0
            for place, token in enumerate(continuation):
                asked.append((node, token))
                if place + 1 < len(continuation):  # nothing follows a last token, so it need not be read
                    node = tree.child(node, token)
        if not asked:
            return [[] for _ in continuations]
        hidden_ND = self._read_tree(self._read(prefix[:-1]), tree)[0]
        pairs_2P = _padded(np.array(asked).T)
        logprobs = iter(np.asarray(logprobs_of(self._params, hidden_ND, *pairs_2P)).tolist())
        return [[next(logprobs) for _ in continuation] for continuation in continuations]

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """The gap of `yes` and `no` for each reply and question; candidates of the last `sample`, if it was of this
        prefix, are not read again.
        """
        if not replies or not questions:
            return [[] for _ in replies]
        cache = self._read(prefix[:-1])
        known = self._drawn
        if known is None or known.prefix != prefix or not all(reply in known.place for reply in replies):
            known = self._read_replies(prefix, replies, cache)
        tree = Tree(prefix[-1])
        ends = np.array([tree.path(0, question) for question in questions])
        tokens_N, depth_N, visible_NN = tree.arrays(NODES)
        tokens_CN = np.tile(tokens_N, (len(known.length_C), 1))
        for reply, place in known.place.items():
            tokens_CN[place, 0] = (prefix + reply)[-1]  # the root: what was drawn last may not have been read
        hidden_CND, _, _ = extend_each(
            self._params, cache, known.own, known.length_C, tokens_CN, depth_N, visible_NN, config=self.config
        )
        gaps_CN = np.asarray(gaps_of(self._params, hidden_CND, jnp.int32(yes), jnp.int32(no)))
        return [gaps_CN[known.place[reply], ends].tolist() for reply in replies]

    def rate_all(
        self, trees: Sequence[TextTree], questions: Sequence[Tokens], yes: int, no: int, batch_rows: int
    ) -> Sequence[Sequence[float]]:
        """The gap of `yes` and `no` for each branch and question (engine/bulk.py)."""
        return bulk.rate_all(self._params, self.config, trees, questions, yes, no, batch_rows).tolist()

    def _read_replies(self, prefix: Tokens, replies: Sequence[Tokens], cache: Cache) -> "Read":
        """Keys and values of given replies, as `sample` leaves those of drawn ones."""
        C = padded_size(len(replies), CANDIDATES)
        N = 1 + padded_size(max(map(len, replies)), LENGTHS)  # the root, too
        tokens_CN, length_C = np.zeros((C, N), np.int32), np.zeros(C, np.int32)
        for place, reply in enumerate(replies):
            tokens_CN[place, : 1 + len(reply)] = (prefix[-1], *reply)
            length_C[place] = len(reply)
        L, H, K = self.config.num_layers, self.config.num_heads, self.config.d_head
        nothing = jnp.zeros((L, C, H, 0, K), cache.keys_LHSK.dtype)
        order_N, causal_NN = np.arange(N), np.tri(N, dtype=bool)
        none_C = np.zeros(C, np.int32)
        _, keys, values = extend_each(
            self._params, cache, (nothing, nothing), none_C, tokens_CN, order_N, causal_NN, config=self.config
        )
        return Read(prefix, {reply: place for place, reply in enumerate(replies)}, (keys, values), length_C)

    def _read_tree(self, cache: Cache, tree: "Tree"):
        return extend(self._params, cache, *tree.arrays(SIZES), config=self.config)

    def _read(self, prefix: Tokens) -> Cache:
        """The prefix's keys and values: kept ones, or read now."""
        if prefix in self._prefixes:
            self._prefixes.move_to_end(prefix)
            return self._prefixes[prefix]
        first, *others = prefix or (0,)
        chain = Tree(first)
        chain.path(0, others)
        _, keys, values = self._read_tree(empty_cache(self._params, self.config), chain)
        self._prefixes[prefix] = cache = Cache(keys, values, jnp.int32(len(prefix)))
        if len(self._prefixes) > KEPT_PREFIXES:
            self._prefixes.popitem(last=False)
        return cache


class Tree:
    """Tokens that follow one another in several ways from one root; equal beginnings are one path."""

    def __init__(self, root: int):
        self._tokens, self._parents, self._depths = [root], [0], [0]
        self._children: dict[tuple[int, int], int] = {}

    def child(self, node: int, token: int) -> int:
        """The node of `token` after `node`."""
        if (node, token) not in self._children:
            self._children[node, token] = len(self._tokens)
            self._tokens.append(token)
            self._parents.append(node)
            self._depths.append(self._depths[node] + 1)
        return self._children[node, token]

    def path(self, node: int, tokens: Sequence[int]) -> int:
        """The last node of `tokens` after `node`."""
        for token in tokens:
            node = self.child(node, token)
        return node

    def arrays(self, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens [N], depths [N], and which nodes each sees: itself and its ancestors [N, N]; N is one of `sizes`."""
        n = len(self._tokens)
        N = padded_size(n, sizes)
        visible_NN = np.eye(N, dtype=bool)
        for node in range(1, n):
            visible_NN[node, :n] |= visible_NN[self._parents[node], :n]
        filled = np.zeros((2, N), np.int32)
        filled[:, :n] = self._tokens, self._depths
        return filled[0], filled[1], visible_NN


def _padded(pairs_2P: np.ndarray) -> np.ndarray:
    filled = np.zeros((2, padded_size(pairs_2P.shape[1])), np.int32)
    filled[:, : pairs_2P.shape[1]] = pairs_2P
    return filled
