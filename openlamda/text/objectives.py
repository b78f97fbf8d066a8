"""Objectives beside plain next-token prediction: which tokens of a text are learned, and in which order they stand.

Takes token ids and a generator, gives one sequence of a decoder with its loss mask. Attention stays causal: a corrupted
text and its targets stand one after the other, and the prefix of a prefix LM is only read, never attended both ways.
Knows nothing of documents or control symbols.
"""

import random
from collections.abc import Sequence as Several
from itertools import pairwise

from openlamda.text.grammar import Sequence

RATE = 0.15  # of the tokens are cut out
MEAN_SPAN = 3.0  # tokens of a span cut out


def spans_of(length: int, rate: float = RATE, mean_span: float = MEAN_SPAN) -> tuple[int, int]:
    """(Tokens cut out of `length`, spans they form), as T5 counts them: one or more of each, never all tokens."""
    noise = min(max(round(length * rate), 1), length - 1)
    return noise, min(max(round(noise / mean_span), 1), noise, length - noise)


def span_corruption(
    tokens: Several[int],
    rng: random.Random,
    sentinels: Several[int],
    rate: float = RATE,
    mean_span: float = MEAN_SPAN,
) -> Sequence:
    """The text with a sentinel for each span cut out, then each sentinel with its span; only the latter is learned.

    Spans are T5's `random_spans_noise_mask` (Raffel et al. 2020, section 3.1.4): kept and cut stretches take turns, a
    kept one first. Takes two tokens or more; raises ValueError for fewer, or where the sentinels do not suffice.
    """
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens, expected 2 or more")
    noise, spans = spans_of(len(tokens), rate, mean_span)
    if spans > len(sentinels):
        raise ValueError(f"{len(sentinels)} sentinels, expected {spans} for {len(tokens)} tokens")
    kept, cut = _parts(len(tokens) - noise, spans, rng), _parts(noise, spans, rng)
    inputs: list[int] = []
    targets: list[int] = []
    place = 0
    for sentinel, keep, out in zip(sentinels, kept, cut, strict=False):
        inputs += [*tokens[place : place + keep], sentinel]
        targets += [sentinel, *tokens[place + keep : place + keep + out]]
        place += keep + out
    return Sequence((*inputs, *targets), (False,) * len(inputs) + (True,) * len(targets))


def _parts(total: int, number: int, rng: random.Random) -> list[int]:
    """`total` as a sum of `number` positive integers, each such sum as likely as any other."""
    ends = [0, *sorted(rng.sample(range(1, total), number - 1)), total]
    return [end - start for start, end in pairwise(ends)]


def prefix_lm(tokens: Several[int], rng: random.Random) -> Sequence:
    """The text, learned from a random place on, at least one token being read and one learned.

    Raises ValueError for fewer than two tokens.
    """
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens, expected 2 or more")
    start = rng.randrange(1, len(tokens))
    return Sequence(tuple(tokens), (False,) * start + (True,) * (len(tokens) - start))
