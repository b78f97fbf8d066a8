"""The likeliest continuation of a prefix, several tokens a forward.

What followed the same tokens earlier in the text is guessed to follow again, all guesses are read at once, and those
that the model would have said itself are kept: the tokens are those of greedy drawing. A query repeats the user's
words, so most of it is guessed ("prompt lookup decoding"; speculative decoding by Leviathan et al., 2022, without a
second model). Axes: N tokens read, T own tokens kept, S prefix, D model, H heads, K head size, V vocabulary, B 1.
"""

from collections.abc import Sequence
from itertools import cycle, islice

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from openlamda.engine.base import Sampling
from openlamda.engine.compiled import compiled
from openlamda.engine.layered import Layered, unturned
from openlamda.engine.reading import Array, Cache, KeysValues, attend_to, bias_of, seen_by
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
    weights: Layered,
    cache: Cache,
    own: Sequence[KeysValues],
    count: ArrayLike,
    tokens_N: Array,
    rules: Rules,
    *,
    config: ModelConfig,
) -> tuple[jax.Array, jax.Array, list[KeysValues]]:
    """The likeliest token [N] after each of tokens_N, its natural logprob [N], and `own` with what was read.

    `own`: keys and values [H, T, K] for each layer; the first `count` positions are of tokens read after the prefix,
    and tokens_N, N of which there must be room for, come next. `rules`: of one row.
    """
    sizes = {"S": cache.size, "T": own[0][0].shape[1]}
    x_BND, seen = begin_guesses(weights.top, cache.length, count, tokens_N, config=config, **sizes)
    kept = []
    for layer, prefix, said in zip(weights.kept, cache.layers, own, strict=True):
        x_BND, written = layer_of_guesses(layer, x_BND, prefix, said, seen, count, config=config)
        kept.append(written)
    token_N, logprob_N = likeliest_after(weights.top, x_BND, count, rules)
    return token_N, logprob_N, kept


@compiled(static=("config", "S", "T"))
def begin_guesses(
    top: Params, length: jax.Array, count: jax.Array, tokens_N: jax.Array, *, config: ModelConfig, S: int, T: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Before the layers of `verify`: the embedding's rows [B, N, D], and buckets (reading.py, `seen_by`) [N, S] of the
    prefix and [N, T] of what was read after it.
    """
    place_S, place_T, place_N = jnp.arange(S), jnp.arange(T), count + jnp.arange(len(tokens_N))
    to_prefix_NS = seen_by(length + place_N, place_S, place_S < length, config)
    to_own_NT = seen_by(place_N, place_T, place_T <= place_N[:, None], config)
    return transformer.embedded(top, tokens_N)[None], (to_prefix_NS, to_own_NT)


@compiled(static=("config",), donate=("said",))
def layer_of_guesses(
    layer: Params,
    x_BND: jax.Array,
    prefix: KeysValues,
    said: KeysValues,
    seen: tuple[jax.Array, jax.Array],
    count: jax.Array,
    *,
    config: ModelConfig,
) -> tuple[jax.Array, KeysValues]:
    """A layer of `verify`."""
    layer = unturned(layer)
    query_HNK, *read_now = (part[0] for part in transformer.project(x_BND, layer))
    keys, values = (
        jax.lax.dynamic_update_slice(old_HTK, new_HNK, (0, count, 0))
        for old_HTK, new_HNK in zip(said, read_now, strict=True)
    )
    to_prefix, to_own = (bias_of(layer, bucket) for bucket in seen)
    mixed_HNK = attend_to(query_HNK, (*prefix, to_prefix), (keys, values, to_own))
    return transformer.close_block(x_BND, mixed_HNK[None], layer, config), (keys, values)


@compiled()
def likeliest_after(top: Params, x_BND: jax.Array, count: jax.Array, rules: Rules) -> tuple[jax.Array, jax.Array]:
    """The likeliest token [N] after each, as far as rules allow, and its natural logprob."""
    logits_NV = transformer.logits(top, transformer.rms_norm(x_BND[0], top["norm_final"]))
    token_N = ruled(logits_NV, count + jnp.arange(len(logits_NV)), rules).argmax(-1)
    return token_N, logprob_of(logits_NV, token_N)
