"""The local engine: a JAX model behind the `LanguageModel` seam, for many threads at once.

Arrays are padded to a few sizes so that few shapes are compiled; compiled code is kept on disk between starts.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine import bulk
from openlamda.engine.base import Candidate, Limits, Sampling, TextTree, Tokens
from openlamda.engine.lanes import CANDIDATES, Draw, Drawn, Lanes, padded_size
from openlamda.engine.layered import layered
from openlamda.engine.prefixes import BLOCK, Prefixes
from openlamda.engine.reading import (
    Cache,
    KeysValues,
    append,
    extend,
    extend_each,
    gaps_of,
    join_blocks,
    logprobs_of,
    split_blocks,
)
from openlamda.engine.recent import Recent
from openlamda.engine.scheduler import Scheduler
from openlamda.engine.search_lane import Search
from openlamda.engine.tree import Tree
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.quantized import compute_dtype

SIZES = (256, 512, 1024, 2048, 4096, 8192, 16384)  # of prefixes
READ = (16, 64, 256)  # tokens read at once
NODES = (8, 64)  # of the questions asked after each reply
REPLIES = (4, 16, 64)
LENGTHS = (32, 128, 512, 2048)  # of replies
NO_LIMITS = Limits()


def keep_compiled() -> None:
    """Keep compiled code in the user's cache folder, so that the next start is quick."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no home, as in some containers
        return
    jax.config.update("jax_compilation_cache_dir", str(home / "openlamda" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


class Read(NamedTuple):
    """Continuations of a prefix that the model has read, each at its place on the C axis."""

    place: dict[Tokens, int]
    own: tuple[KeysValues, ...]  # [H, C, T, K] for each layer, of the prefix's last token and the continuation
    length_C: np.ndarray  # of these, how many count


class LocalModel:
    """Weights and their shape, and what was read with them lately.

    `cache_bytes`: for keys and values of prefixes and of drawn candidates, three shares alike. `groups`: how many
    requests are drawn in one step, `lanes`: how many such steps are under way; by default one and two on a CPU, 16 and
    one elsewhere. `most_waiting`: how many requests may wait.
    """

    def __init__(
        self,
        params: Params,
        config: ModelConfig,
        *,
        cache_bytes: int = 2**28,
        groups: int | None = None,
        lanes: int | None = None,
        most_waiting: int = 256,
    ):
        on_cpu = jax.default_backend() == "cpu"
        self.config = config
        self._weights = layered(params, config)
        self._dtype = str(compute_dtype(params))
        token_bytes = 2 * config.num_layers * config.num_heads * config.d_head * jnp.dtype(self._dtype).itemsize
        self._lock = threading.Lock()
        self._prefixes: Prefixes[jax.Array] = Prefixes(max(1, cache_bytes // 3 // (BLOCK * token_bytes)))
        self._caches: Recent[Tokens, Cache] = Recent(cache_bytes // 3)
        self._drawn: Recent[Tokens, Read] = Recent(cache_bytes // 3)
        self._lanes = Lanes(self._weights, config, self._dtype, groups or (1 if on_cpu else 16), lanes or (1 + on_cpu))
        self._scheduler = Scheduler(self._lanes.find, most_waiting)

    def within(self, limits: Limits) -> "LimitedModel":
        """The same model, for a request that is not wanted for ever."""
        return LimitedModel(self, limits)

    def sample(
        self, prefix: Tokens, n: int, sampling: Sampling, seed: int, limits: Limits = NO_LIMITS
    ) -> list[Candidate]:
        """`n` independent continuations of `prefix` (at least one token). The same arguments give the same ones.

        With `sampling.beams`, the n best hypotheses of a search, the best first; fewer where no more were found.
        Raises Overloaded where too many requests wait, Cancelled or TimeoutError as `limits` says.
        """
        if sampling.beams and n > sampling.beams:
            raise ValueError(f"n: {n}, expected at most as many as beams, {sampling.beams}")
        cache = self._read(prefix[:-1])
        if sampling.beams:
            (found,) = self._scheduler.run([Search(cache, prefix, n, sampling)], limits)
            return found
        starts = range(0, n, CANDIDATES[-1])
        draws = [Draw(cache, prefix, min(n - start, CANDIDATES[-1]), start, sampling, seed) for start in starts]
        parts: list[Drawn] = self._scheduler.run(draws, limits)
        if len(parts) == 1:
            (drawn,) = parts
            place = {candidate.tokens: i for i, candidate in enumerate(drawn.candidates)}
            lengths = [1 + len(candidate.tokens) for candidate in drawn.candidates]
            length_C = np.ones(drawn.own[0][0].shape[1], np.int32)
            length_C[: len(lengths)] = lengths
            with self._lock:
                self._drawn.keep(prefix, Read(place, drawn.own, length_C), _bytes(drawn.own))
        return [candidate for part in parts for candidate in part.candidates]

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
        cache = self._read(prefix[:-1])
        hidden_ND, _ = extend(self._weights, cache, *tree.arrays(READ), config=self.config)
        pairs_2P = np.zeros((2, padded_size(len(asked), READ)), np.int32)
        pairs_2P[:, : len(asked)] = np.array(asked).T
        logprobs = iter(np.asarray(logprobs_of(self._weights, hidden_ND, *pairs_2P)).tolist())
        return [[next(logprobs) for _ in continuation] for continuation in continuations]

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """The gap of `yes` and `no` for each reply and question; candidates of a late `sample` after this prefix are
        not read again.
        """
        if not replies or not questions:
            return [[] for _ in replies]
        cache = self._read(prefix[:-1])
        with self._lock:
            known = self._drawn.get(prefix)
        if known is None or not all(reply in known.place for reply in replies):
            known = self._read_replies(prefix, replies, cache)
        tree = Tree(None)
        ends = np.array([tree.path(0, question) for question in questions]) - 1
        tokens_N, depth_N, visible_NN = tree.arrays(NODES)
        tokens_CN = np.tile(tokens_N, (len(known.length_C), 1))
        hidden_CND, _ = extend_each(
            self._weights, cache, known.own, known.length_C, tokens_CN, depth_N, visible_NN, config=self.config
        )
        gaps_CN = np.asarray(gaps_of(self._weights.top, hidden_CND, jnp.int32(yes), jnp.int32(no)))
        return [gaps_CN[known.place[reply], ends].tolist() for reply in replies]

    def rate_all(
        self, trees: Sequence[TextTree], questions: Sequence[Tokens], yes: int, no: int, batch_rows: int
    ) -> Sequence[Sequence[float]]:
        """The gap of `yes` and `no` for each branch and question (engine/bulk.py)."""
        return bulk.rate_all(self._weights, self.config, trees, questions, yes, no, batch_rows).tolist()

    def _read_replies(self, prefix: Tokens, replies: Sequence[Tokens], cache: Cache) -> Read:
        """Keys and values of given replies, as `sample` leaves those of drawn ones."""
        C, N = padded_size(len(replies), REPLIES), padded_size(1 + max(map(len, replies)), LENGTHS)
        tokens_CN, length_C = np.zeros((C, N), np.int32), np.ones(C, np.int32)
        for place, reply in enumerate(replies):
            tokens_CN[place, : 1 + len(reply)] = (prefix[-1], *reply)
            length_C[place] = 1 + len(reply)
        nothing = jnp.zeros((self.config.num_heads, C, 0, self.config.d_head), self._dtype)
        order_N, causal_NN, none_C = np.arange(N), np.tri(N, dtype=bool), np.zeros(C, np.int32)
        own = ((nothing, nothing),) * self.config.num_layers
        _, own = extend_each(self._weights, cache, own, none_C, tokens_CN, order_N, causal_NN, config=self.config)
        return Read({reply: place for place, reply in enumerate(replies)}, own, length_C)

    def _read(self, prefix: Tokens) -> Cache:
        """The prefix's keys and values: kept ones, and what follows them read now."""
        with self._lock:
            if (cache := self._caches.get(prefix)) is not None:
                return cache
            blocks = self._prefixes.find(prefix)
        known = len(blocks) * BLOCK
        size = padded_size(len(prefix), SIZES)
        if blocks:
            blocks += [jnp.zeros_like(blocks[0])] * (size // BLOCK - len(blocks))
        cache = join_blocks(blocks, jnp.int32(known), config=self.config, dtype=self._dtype)
        new: list[jax.Array] = []
        for start in range(known, max(len(prefix), 1), READ[-1]):
            chain = Tree(None)
            part = prefix[start : start + READ[-1]]
            chain.path(0, part)
            _, layers = extend(self._weights, cache, *chain.arrays(READ), config=self.config)
            cache = append(cache, layers, jnp.int32(len(part)), size=size)
            new += split_blocks(layers)[: len(part) // BLOCK]
        with self._lock:
            self._prefixes.add(prefix, new)
            self._caches.keep(prefix, cache, _bytes(cache.layers))
        return cache


def _bytes(arrays: object) -> int:
    return sum(array.nbytes for array in jax.tree.leaves(arrays))


class LimitedModel:
    """A `LocalModel` whose answers are wanted within limits."""

    def __init__(self, model: LocalModel, limits: Limits):
        self._model, self._limits = model, limits

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """As `LocalModel.sample`."""
        return self._model.sample(prefix, n, sampling, seed, self._limits)

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """As `LocalModel.score`."""
        self._limits.check()
        return self._model.score(prefix, continuations)

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """As `LocalModel.rate`."""
        self._limits.check()
        return self._model.rate(prefix, replies, questions, yes, no)
