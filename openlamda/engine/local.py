"""The local engine: a JAX model behind the `LanguageModel` seam, for many threads at once.

Arrays are padded to a few sizes so that few shapes are compiled; compiled code is kept on disk between starts.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from openlamda.engine import ahead, bulk, compiled, guessing
from openlamda.engine.base import Candidate, Limits, Sampling, TextTree, Tokens
from openlamda.engine.guess_lane import Greedy
from openlamda.engine.lanes import CANDIDATES, KEPT, Draw, Drawn, Lanes, usual_lanes
from openlamda.engine.layered import Layered, layered
from openlamda.engine.padding import padded_size
from openlamda.engine.reading import (
    SIZES,
    Cache,
    KeysValues,
    extend,
    gaps_after,
    gaps_after_each,
    likeliest_of,
    logprobs_of,
)
from openlamda.engine.recent import Recent
from openlamda.engine.scheduler import Scheduler
from openlamda.engine.search_lane import Search
from openlamda.engine.texts import READ, Texts
from openlamda.engine.tree import Tree
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.quantized import activation_dtype

TREES = (16, 64, 96, 128, 192, 256, 512, 1024)  # tokens of all continuations together
LITTLE = 32  # tokens of a prefix are read along with a tree
ONCE_MORE = 24  # tokens of a tree take as long as to begin another read
NODES = (4, 5, 8, 64)  # tokens of the questions after each reply
CACHE_BYTES = 2**28
LIKELIEST = 20  # tokens that `likeliest` can name in a place
NO_LIMITS = Limits()


class Read(NamedTuple):
    """Continuations of a prefix that the model has read."""

    place: dict[Tokens, int]  # on the C axis
    own: tuple[KeysValues, ...]  # [H, C, T, K] for each layer, of the prefix's last token and the continuation
    length_C: np.ndarray  # of these, how many count

    @classmethod
    def of(cls, drawn: Drawn) -> "Read":
        """What was drawn."""
        length_C = np.ones(drawn.own[0][0].shape[1], np.int32)
        lengths = [1 + len(candidate.tokens) for candidate in drawn.candidates]
        length_C[: len(lengths)] = lengths
        return cls({candidate.tokens: i for i, candidate in enumerate(drawn.candidates)}, drawn.own, length_C)


class LocalModel:
    """Weights and their shape, and what was read with them lately.

    `cache_bytes`: for keys and values of prefixes and of drawn candidates, three shares alike. `groups`: how many
    groups are drawn in one step, `lanes`: how many steps or other computations are under way; by default `usual_lanes`.
    `idle_lanes`: how many lanes are kept for later requests of their shape. `most_waiting`: how many requests may wait.

    Weights that lie split over several devices (layered.py) stay there, and all is computed there, one computation
    after another: each device has to meet what they exchange in the same order.
    """

    def __init__(
        self,
        params: Params | Layered,
        config: ModelConfig,
        *,
        cache_bytes: int = CACHE_BYTES,
        groups: int | None = None,
        lanes: int | None = None,
        idle_lanes: int = KEPT,
        most_waiting: int = 256,
    ):
        self.config = config
        self._weights = params if isinstance(params, Layered) else layered(params, config)
        self._dtype = str(activation_dtype(self._weights.top, self._weights.mesh is not None))
        usual = usual_lanes(self._weights.mesh)
        self._at_once = 1 if self._weights.mesh else lanes or usual[1]
        self._turns = threading.BoundedSemaphore(self._at_once)
        self._lock = threading.Lock()
        self._texts = Texts(self._weights, config, self._dtype, cache_bytes // 3, self._turns)
        self._drawn: Recent[Tokens, list[Read]] = Recent(cache_bytes // 3)
        self._looked_ahead: set[tuple[int, int, int]] = set()
        self._pool = ThreadPoolExecutor(self._at_once)
        self._lanes = Lanes(self._weights, config, self._dtype, groups or usual[0], self._turns, idle_lanes)
        # where a lane holds one group, nobody's company is lost by reading guesses of one's own
        self._guesses = self._lanes.groups == 1 and self._weights.mesh is None
        self._scheduler = Scheduler(
            self._lanes.take, self._lanes.give_back, lanes=self._at_once, most_waiting=most_waiting
        )

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
        self._scheduler.check(limits)
        if sampling.beams:
            (found,) = self._scheduler.run([Search(self._texts.read(prefix[:-1]), prefix, n, sampling)], limits)
            return found
        if n == 1 and self._guesses and guessing.fits(sampling):
            (guessed,) = self._scheduler.run([Greedy(self._texts.read(prefix[:-1]), prefix, sampling)], limits)
            self._texts.keep(guessed.read, guessed.cache, guessed.last_1D, guessed.blocks)
            return [guessed.candidate]
        # a lane draws few candidates quicker than many, but many lanes have to be free
        size = -(-n // self._at_once) if self._scheduler.idle else n
        size = min(max(size, CANDIDATES[0]), CANDIDATES[-1])
        self._look_ahead(padded_size(len(prefix) - 1, SIZES), size, sampling)
        cache = self._texts.read(prefix[:-1])
        draws = [Draw(cache, prefix, min(size, n - start), start, sampling, seed) for start in range(0, n, size)]
        parts: list[Drawn] = self._scheduler.run(draws, limits)
        with self._lock:
            self._drawn.keep(prefix, [Read.of(part) for part in parts], sum(_bytes(part.own) for part in parts))
        return [candidate for part in parts for candidate in part.candidates]

    def _look_ahead(self, S: int, P: int, sampling: Sampling) -> None:
        """Have the code made for a first draw of a shape, and for what usually follows it; not where there was one of
        more candidates, whose lane will do (`Lanes.pays`).
        """
        if not compiled.keeps():
            return
        draw = ahead.request(self._lanes, S, P, sampling)
        size, *rest = draw.shape
        if all(other < size for other, *others in self._looked_ahead if others == rest):
            self._looked_ahead.add(draw.shape)
            ahead.beside([partial(ahead.to_draw, self._lanes, draw)])
            ahead.beside(ahead.after_draw(self._lanes, draw, NODES[0], TREES[0]))

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """Logprobs of each continuation's tokens, all read in one forward as a tree whose root ends the prefix; where
        none has more than one token, nothing is read but the prefix.
        """
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
        pairs_2P = np.zeros((2, padded_size(len(asked), TREES)), np.int32)
        pairs_2P[:, : len(asked)] = np.array(asked).T
        _, hidden_ND = self._texts.read_to_end(prefix) if len(tree) == 1 else (None, None)
        if hidden_ND is None:
            cache = self._texts.read(prefix[:-1])
            with self._turns:
                hidden_ND, _ = extend(self._weights, cache, *tree.arrays(TREES), config=self.config)
        with self._turns:
            logprobs = iter(np.asarray(logprobs_of(self._weights.top, hidden_ND, *pairs_2P)).tolist())
        return [[next(logprobs) for _ in continuation] for continuation in continuations]

    def likeliest(self, prefix: Tokens, continuation: Tokens, k: int) -> list[list[tuple[int, float]]]:
        """For each token of a continuation, the k likeliest ones in its place (at most LIKELIEST) and their logprobs,
        the likeliest first.
        """
        if not continuation:
            return []
        tree = Tree(prefix[-1])
        nodes = [0]
        for token in continuation[:-1]:
            nodes.append(tree.child(nodes[-1], token))
        cache = self._texts.read(prefix[:-1])
        with self._turns:
            hidden_ND, _ = extend(self._weights, cache, *tree.arrays(TREES), config=self.config)
            found = likeliest_of(self._weights.top, hidden_ND, k=min(LIKELIEST, self.config.vocab_size))
            tokens_Nk, logprobs_Nk = (np.asarray(part).tolist() for part in found)
        return [list(zip(tokens_Nk[node][:k], logprobs_Nk[node][:k], strict=True)) for node in nodes]

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """The gap of `yes` and `no` for each reply and question; candidates that a late `sample` drew after this prefix
        are not read again.
        """
        if not replies or not questions:
            return [[] for _ in replies]
        with self._lock:
            parts = self._drawn.get(prefix) or []
        known = {reply: part for part in parts for reply in part.place}
        if all(questions) and all(reply in known for reply in replies):  # only what is asked after them is read
            cache = self._texts.read(prefix[:-1])
            wanted = [part for part in parts if any(known[reply] is part for reply in replies)]
            rated = self._pool.map(lambda part: self._rate_drawn(cache, part, questions, yes, no), wanted)
            gaps = {reply: row for part in rated for reply, row in part.items()}
            return [gaps[reply] for reply in replies]
        asked = sum(map(len, questions))
        return [
            row
            for some in portions(replies, [len(reply) + asked for reply in replies], TREES[-1] - 1)
            for row in self._rate_given(prefix, some, questions, yes, no)
        ]

    def _rate_given(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """The gaps of replies that were not drawn: all of it is read, equal beginnings once, and with it what is unread
        of the prefix, if that is little and takes no more so: else it is read apart and kept.
        """

        def after(start: int) -> tuple[Tree, list[int]]:
            tree = Tree(prefix[start])
            end = tree.path(0, prefix[start + 1 :])
            return tree, [tree.path(tree.path(end, reply), question) for reply in replies for question in questions]

        start = self._texts.known(prefix[:-1])
        tree, nodes = after(start)
        unread = len(prefix) - 1 - start
        apart = padded_size(len(tree) - unread, TREES) + padded_size(unread, READ) + ONCE_MORE
        if unread > LITTLE or padded_size(len(tree), TREES) > apart:
            start = len(prefix) - 1
            tree, nodes = after(start)
        cache = self._texts.read(prefix[:start])
        node_M = np.zeros(padded_size(len(nodes), TREES), np.int32)
        node_M[: len(nodes)] = nodes
        with self._turns:
            asked = node_M, np.int32(yes), np.int32(no)
            gaps_M = gaps_after(self._weights, cache, *tree.arrays(TREES), *asked, config=self.config)
        return gaps_M[: len(nodes)].reshape(len(replies), len(questions)).tolist()

    def _rate_drawn(
        self, cache: Cache, part: Read, questions: Sequence[Tokens], yes: int, no: int
    ) -> dict[Tokens, list[float]]:
        """The gaps of candidates that were drawn together: only the questions are read."""
        tree = Tree(None)
        ends = np.array([tree.path(0, question) for question in questions]) - 1
        tokens_N, depth_N, visible_NN = tree.arrays(NODES)
        tokens_CN = np.tile(tokens_N, (len(part.length_C), 1))
        with self._turns:
            asked = tokens_CN, depth_N, visible_NN, np.int32(yes), np.int32(no)
            gaps = gaps_after_each(self._weights, cache, part.own, part.length_C, *asked, config=self.config)
            gaps_CN = np.asarray(gaps).reshape(tokens_CN.shape)
        return {reply: gaps_CN[place, ends].tolist() for reply, place in part.place.items()}

    def rate_all(
        self, trees: Sequence[TextTree], questions: Sequence[Tokens], yes: int, no: int, batch_rows: int
    ) -> Sequence[Sequence[float]]:
        """The gap of `yes` and `no` for each branch and question (engine/bulk.py)."""
        with self._turns:
            return bulk.rate_all(self._weights, self.config, trees, questions, yes, no, batch_rows).tolist()


def portions(texts: Sequence[Tokens], sizes: Sequence[int], most: int) -> Iterator[list[Tokens]]:
    """The texts in their order, as many at a time as have at most so many tokens together, and at least one: what a
    tree takes grows with its square.
    """
    some: list[Tokens] = []
    total = 0
    for text, size in zip(texts, sizes, strict=True):
        if some and total + size > most:
            yield some
            some, total = [], 0
        some.append(text)
        total += size
    yield some


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

    def likeliest(self, prefix: Tokens, continuation: Tokens, k: int) -> list[list[tuple[int, float]]]:
        """As `LocalModel.likeliest`."""
        self._limits.check()
        return self._model.likeliest(prefix, continuation, k)

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """As `LocalModel.rate`."""
        self._limits.check()
        return self._model.rate(prefix, replies, questions, yes, no)
