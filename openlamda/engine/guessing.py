"""The likeliest continuation of a prefix, several tokens a forward.

What followed the same tokens earlier in the text is guessed to follow again, all guesses are read at once, and those
that the model would have said itself are kept: the tokens are those of greedy drawing. A query repeats the user's
words, so most of it is guessed ("prompt lookup decoding"; speculative decoding by Leviathan et al., 2022, without a
second model). Axes: N tokens read, D model, V vocabulary, B 1.
"""

from collections.abc import Sequence
from itertools import cycle, islice

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from openlamda.engine.base import Sampling
from openlamda.engine.compiled import compiled
from openlamda.engine.layered import Layered
from openlamda.engine.reading import Array, Cache, KeysValues, through_chain
from openlamda.engine.sampling import Rules, logprob_of, ruled
from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

ALIKE = 4  # last tokens that are looked for
LOOKED_THROUGH = 512  # last tokens of the text


def fits(sampling: Sampling) -> bool:
    """Whether candidates are to be the likeliest ones, and no rule forbids to repeat."""
    repeats = not (sampling.block_ngram or sampling.context_block_ngram)
    return sampling.temperature == 0 and not sampling.beams and repeats


def guess(text: Sequence[int], most: int) -> list[int]:
    """`most` tokens that may follow: those after the latest place where the text's end, as much of it as possible,
    stood before, and after them again where the text has no more. None where it did not.
    """
    text = list(text[-LOOKED_THROUGH:])
    for size in range(min(ALIKE, len(text) - 1), 0, -1):
        for end in range(len(text) - 1, size - 1, -1):
            if text[end - size : end] == text[-size:]:
                return list(islice(cycle(text[end:]), most))
    return []


def verify(
    weights: Layered, cache: Cache, count: ArrayLike, tokens_N: Array, rules: Rules, *, config: ModelConfig
) -> tuple[jax.Array, jax.Array, tuple[jax.Array, list[KeysValues]]]:
    """The likeliest token [N] after each of tokens_N, which follow what is cached, its natural logprob [N], and what
    was read: `grown` (reading.py) adds of it what was right. `count`: how many tokens were said before. `rules`: of one
    row.
    """
    x_BND, layers = through_chain(weights, cache, tokens_N, config)
    return *likeliest_after(weights.top, x_BND, count, rules), (x_BND, layers)


@compiled()
def likeliest_after(top: Params, x_BND: jax.Array, count: jax.Array, rules: Rules) -> tuple[jax.Array, jax.Array]:
    """The likeliest token [N] after each, as far as rules allow, and its natural logprob."""
    logits_NV = transformer.logits(top, transformer.rms_norm(x_BND[0], top["norm_final"]))
    token_N = ruled(logits_NV, count + jnp.arange(len(logits_NV)), rules).argmax(-1)
    return token_N, logprob_of(logits_NV, token_N)
