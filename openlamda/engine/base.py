"""The seam between the reply and whatever runs the model: three methods over sequences that share a prefix.

Knows token ids, nothing of text, dialogs or arrays. Implementations: `local.py` (JAX), `scripted.py` (for tests).
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Tokens = tuple[int, ...]

NGRAMS = (0, *range(2, 9))  # sizes that may be blocked


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn, or searched. Defaults are the paper's: top-k 40, temperature 1 (LaMDA, section 3)."""

    top_k: int = 40  # 0: all of the vocabulary
    temperature: float = 1.0  # 0: always the likeliest token
    top_p: float = 1.0  # the likeliest tokens that together have so much probability
    min_p: float = 0.0  # tokens with at least so much of the likeliest one's probability
    max_tokens: int = 64
    min_tokens: int = 0  # no stop token before so many others
    stop: Tokens = (1,)  # any of these ends a candidate and is not part of it
    banned: Tokens = ()  # never drawn; a stop token may stand here, too: it still ends nothing
    first: Tokens = ()  # if given, a candidate begins with one of these
    block_ngram: int = 0  # no n tokens twice in a candidate; 0: no matter
    context_block_ngram: int = 0  # no n tokens that stand in the prefix; 0: no matter
    beams: int = 0  # search with so many beams; 0: draw
    length_penalty: float = 0.65  # of beams: 0 compares sums of logprobs, more favours longer ones (ParlAI's default)

    def __post_init__(self):
        checks = {
            "top_k": (self.top_k >= 0, "0 or more"),
            "temperature": (0 <= self.temperature < math.inf, "0 or more"),
            "top_p": (0 < self.top_p <= 1, "more than 0, at most 1"),
            "min_p": (0 <= self.min_p < 1, "at least 0, less than 1"),
            "max_tokens": (self.max_tokens >= 1, "1 or more"),
            "min_tokens": (self.min_tokens >= 0, "0 or more"),
            "beams": (self.beams >= 0, "0 or more"),
            "length_penalty": (0 <= self.length_penalty < math.inf, "0 or more"),
            "block_ngram": (self.block_ngram in NGRAMS, f"0 or 2 to {NGRAMS[-1]}"),
            "context_block_ngram": (self.context_block_ngram in NGRAMS, f"0 or 2 to {NGRAMS[-1]}"),
        }
        for field, (right, expected) in checks.items():
            if not right:
                raise ValueError(f"{field}: {getattr(self, field)}, expected {expected}")


# of BlenderBot, on top of the defaults (Roller et al. 2020, "Recipes", by its configuration in ParlAI)
BLENDERBOT = {"beams": 10, "min_tokens": 20, "block_ngram": 3, "context_block_ngram": 3}


class Overloaded(Exception):
    """Too many requests wait already; `retry_after` seconds from now there may be room."""

    def __init__(self, waiting: int, retry_after: float):
        super().__init__(f"{waiting} requests wait already, try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class Cancelled(Exception):
    """Whoever asked does not want it any more."""


@dataclass(frozen=True)
class Limits:
    """Until when an answer is wanted: a time of `time.monotonic()`, and until `cancelled` is set."""

    deadline: float | None = None
    cancelled: threading.Event | None = None

    def check(self) -> None:
        """Raises Cancelled or TimeoutError where it is too late."""
        if self.cancelled is not None and self.cancelled.is_set():
            raise Cancelled("the request was cancelled")
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimeoutError("the request's deadline has passed")


@dataclass(frozen=True)
class Candidate:
    """One drawn continuation without its stop token; `logprob` is the sum over its tokens and the stop token."""

    tokens: Tokens
    logprob: float
    finished: bool  # ended by a stop token, not by max_tokens


class LanguageModel(Protocol):
    """Draws continuations of a prefix, scores given ones, and rates replies."""

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """`n` independent continuations of `prefix`, or with beams the best `n`, if there are so many, the best first.
        The same arguments give the same candidates.
        """
        ...

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """For each continuation, the natural logprob of each of its tokens given all before it."""
        ...

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """For each reply after `prefix`, and each question after that reply: how much likelier `yes` comes next than
        `no`, the difference of their natural logprobs. Of its own `sample` a model may remember what it has read.
        """
        ...


class Scores(Protocol):
    """What `rate_by_score` needs."""

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """As `LanguageModel.score`."""
        ...


def rate_by_score(
    model: Scores, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
) -> list[list[float]]:
    """`LanguageModel.rate` by `score`, for a model that has no quicker way."""
    asked = [(*reply, *question, rating) for reply in replies for question in questions for rating in (yes, no)]
    last = iter([logprobs[-1] for logprobs in model.score(prefix, asked)] if asked else [])
    return [[next(last) - next(last) for _ in questions] for _ in replies]


@dataclass(frozen=True)
class TextTree:
    """Texts that begin alike. A branch (n, tokens) is the text of the trunk's first n tokens and then its own."""

    trunk: Tokens
    branches: tuple[tuple[int, Tokens], ...]


class BulkRater(Protocol):
    """Rates very many texts, each by itself."""

    def rate_all(
        self, trees: Sequence[TextTree], questions: Sequence[Tokens], yes: int, no: int, batch_rows: int
    ) -> Sequence[Sequence[float]]:
        """As `LanguageModel.rate` after each branch of each tree, texts of at most 640 tokens. Equal bits for the same
        trees, in whatever batches of rows.
        """
        ...


class Checked:
    """A model that has no limits of its own, asked only within a request's."""

    def __init__(self, model: LanguageModel, limits: Limits):
        self._model, self._limits = model, limits

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """As the model's."""
        self._limits.check()
        return self._model.sample(prefix, n, sampling, seed)

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """As the model's."""
        self._limits.check()
        return self._model.score(prefix, continuations)

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """As the model's."""
        self._limits.check()
        return self._model.rate(prefix, replies, questions, yes, no)


def within(model: LanguageModel, limits: Limits) -> LanguageModel:
    """The same model, for a request that is not wanted for ever."""
    limited = getattr(model, "within", None)
    return limited(limits) if limited is not None else Checked(model, limits)
