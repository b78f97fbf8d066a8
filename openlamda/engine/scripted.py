"""A fake model for tests, ours and yours: it says what it was told to, or random tokens. No jax."""

import random
from collections.abc import Callable, Sequence

from openlamda.engine.base import Candidate, Sampling, Tokens, rate_by_score

Say = Callable[[Tokens, int], Sequence[Tokens]]
Rate = Callable[[Tokens, Tokens], Sequence[float]]


def by_end(*script: tuple[Tokens, Sequence[Tokens]]) -> Say:
    """What to say after a prefix: the continuations of the first pair whose tokens the prefix ends with."""

    def say(prefix: Tokens, n: int) -> Sequence[Tokens]:
        for end, continuations in script:
            if prefix[len(prefix) - len(end) :] == end:
                return continuations
        raise LookupError(f"no continuation for a prefix that ends with {prefix[-8:]}")

    return say


class ScriptedModel:
    """`say(prefix, n)` gives the continuations (cycled to n), `rate(prefix, continuation)` a logprob for each token."""

    def __init__(self, say: Say, rate: Rate = lambda prefix, continuation: [-1.0] * len(continuation)):
        self._say, self._rate = say, rate

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """The scripted continuations, cut at a stop token or `max_tokens`; each token has logprob -1."""
        said = self._say(prefix, n)
        return [self._cut(tuple(said[i % len(said)]), sampling) for i in range(n)]

    def _cut(self, tokens: Tokens, sampling: Sampling) -> Candidate:
        end = next((i for i, token in enumerate(tokens) if token in sampling.stop), len(tokens))
        kept = tokens[: min(end, sampling.max_tokens)]
        return Candidate(kept, -1.0 * (len(kept) + 1), end < sampling.max_tokens)

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """The scripted logprobs."""
        return [list(self._rate(prefix, continuation)) for continuation in continuations]

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """By `score`."""
        return rate_by_score(self, prefix, replies, questions, yes, no)


class RandomModel:
    """Draws any token that is not banned, control symbols too: the worst that a model can say."""

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """Random continuations of up to `max_tokens` tokens."""
        rng = random.Random(f"{seed} {len(prefix)}")
        allowed = [token for token in range(self.vocab_size) if token not in sampling.banned]
        drawn = []
        for _ in range(n):
            tokens: list[int] = []
            while len(tokens) < sampling.max_tokens and rng.random() < 0.9:
                token = rng.choice(allowed)
                if token in sampling.stop:
                    break
                tokens.append(token)
            drawn.append(Candidate(tuple(tokens), -2.0 * len(tokens) - 1, len(tokens) < sampling.max_tokens))
        return drawn

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """Random logprobs, the same for the same arguments."""
        return [
            [-3 * random.Random(f"{len(prefix)} {continuation} {place}").random() for place in range(len(continuation))]
            for continuation in continuations
        ]

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """By `score`."""
        return rate_by_score(self, prefix, replies, questions, yes, no)
