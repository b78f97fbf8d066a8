"""The seam between the reply and whatever runs the model: two methods over sequences that share a prefix.

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
    """Draws continuations of a prefix and scores given ones."""

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """`n` independent continuations of `prefix`. The same arguments give the same candidates."""
        ...

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """For each continuation, the natural logprob of each of its tokens given all before it."""
        ...
