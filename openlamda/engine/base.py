"""The seam between the reply and whatever runs the model: three methods over sequences that share a prefix.

Knows token ids, nothing of text, dialogs or arrays. Implementations: `local.py` (JAX), `scripted.py` (for tests).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Tokens = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn. Defaults are the paper's: top-k 40, temperature 1 (LaMDA, section 3)."""

    top_k: int = 40
    temperature: float = 1.0  # 0: always the likeliest token
    max_tokens: int = 64
    stop: Tokens = (1,)  # any of these ends a candidate and is not part of it
    banned: Tokens = ()  # never drawn; a stop token may stand here, too: it still ends nothing


@dataclass(frozen=True)
class Candidate:
    """One drawn continuation without its stop token; `logprob` is the sum over its tokens and the stop token."""

    tokens: Tokens
    logprob: float
    finished: bool  # ended by a stop token, not by max_tokens


class LanguageModel(Protocol):
    """Draws continuations of a prefix, scores given ones, and rates replies."""

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """`n` independent continuations of `prefix`. The same arguments give the same candidates."""
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
        """As `LanguageModel.rate` after each branch of each tree, texts of at most 448 tokens. Equal bits for the same
        trees, in whatever batches of rows.
        """
        ...
