"""From logits to a token: rules that forbid tokens, and a draw from those that are left.

Each row has its own parameters and its own random numbers, and its token depends on nothing else, so rows of many
requests can be drawn together by one compiled function. Nothing is sorted: a token is drawn out of all and taken or
not, or what is kept lies above a threshold, found by halving an interval. On a CPU this costs less than finding 64 of
4096. Knows nothing of the model.
Axes: P candidates, R rows, V vocabulary, B blocks of it and tokens in a block, U random numbers, S tokens of a text, T
own tokens.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine.base import NGRAMS, Sampling, Tokens

# Why a token may be forbidden. Where every token is, those with the least sum of reasons are the ones to choose from.
STOP, OUT_OF_PLACE, BANNED = 1, 2, 4
FORBIDDEN = 1e6  # for each, so much is taken off the logit: more than logits differ
TRIES = 8

Array = jax.Array | np.ndarray


class Rules(NamedTuple):
    """The parameters of each row. A token's mark is the sum of STOP (it is a stop token), OUT_OF_PLACE (it is not one
    of `first`) and BANNED.
    """

    temperature_R: Array  # float32
    top_k_R: Array  # float32; V: all of the vocabulary
    top_p_R: Array  # float32
    min_p_R: Array  # float32
    min_tokens_R: Array  # int32
    marks_RV: Array  # uint8

    @classmethod
    def of(cls, samplings: Sequence[Sampling], vocab_size: int) -> "Rules":
        """A row for each of `samplings`, in numpy."""
        numbers = [(s.temperature, s.top_k or vocab_size, s.top_p, s.min_p) for s in samplings]
        temperature_R, top_k_R, top_p_R, min_p_R = np.array(numbers, np.float32).T
        min_tokens_R = np.array([s.min_tokens for s in samplings], np.int32)
        marks_RV = np.stack([_marks(s.stop, s.first, s.banned, vocab_size) for s in samplings])
        return cls(temperature_R, top_k_R, top_p_R, min_p_R, min_tokens_R, marks_RV)


@lru_cache(maxsize=64)
def _marks(stop: Tokens, first: Tokens, banned: Tokens, vocab_size: int) -> np.ndarray:
    reasons = {STOP: stop, OUT_OF_PLACE: set(range(vocab_size)).difference(first) if first else (), BANNED: banned}
    marks_V = np.zeros(vocab_size, np.uint8)
    for reason, tokens in reasons.items():
        marks_V[[token for token in tokens if 0 <= token < vocab_size]] |= reason
    marks_V.flags.writeable = False
    return marks_V


def uniforms(seed: int, first: int, P: int, T: int) -> np.ndarray:
    """float32 random numbers [P, T, U] of [0, 1) for T tokens of the candidates from `first` on: those of a token
    depend on the seed, its candidate's number and its place alone. Philox: NumPy promises the same for ever.
    """
    keys = [np.array((seed % 2**64, first + n), np.uint64) for n in range(P)]
    raw_PN = np.stack([np.random.Philox(key=key).random_raw(T * TRIES) for key in keys])
    return np.float32(2**-24) * (raw_PN >> 40).astype(np.float32).reshape(P, T, TRIES)


def choose(
    logits_RV: jax.Array, uniform_RU: jax.Array, count_R: jax.Array, rules: Rules, repeated_RV: jax.Array | None = None
) -> jax.Array:
    """The next token [R] of each row, which has said count_R tokens, by TRIES random numbers of [0, 1).

    What is forbidden goes first (see `ruled`). Then, as in the samplers of Hugging Face and vLLM: temperature; the
    `top_k` likeliest; of their distribution, the likeliest that together have `top_p`; of these, those with at least
    `min_p` of the likeliest one's probability. What is as likely as the last one kept is kept, too. Temperature 0: the
    likeliest, of equal ones that with the lowest id.

    Most rows are done by rejection: a token is drawn out of all, and taken if fewer than `top_k` are likelier, which is
    quicker than to find the `top_k` first. For a row whose tries all failed, or that wants a nucleus, the last random
    number draws of what `_kept` leaves.
    """
    logits_RV = ruled(logits_RV, count_R, rules, repeated_RV)
    temperature_R, top_k_R, top_p_R, min_p_R = map(jnp.asarray, rules[:4])
    greedy_R = temperature_R <= 0
    heat_R = jnp.where(greedy_R, 1e-30, jnp.maximum(temperature_R, 1e-6))
    most_R = logits_RV.max(-1)
    least_R = most_R + heat_R * jnp.log(min_p_R)
    nucleus_R = ~greedy_R & (top_p_R < 1)
    last = TRIES - 1

    def kept() -> _Squares:
        cut_R = _kept(logits_RV, most_R, heat_R, top_k_R, top_p_R)
        return _Squares.of(logits_RV, jnp.maximum(cut_R, least_R), most_R, heat_R)

    def attempt(state: tuple[jax.Array, jax.Array, jax.Array, _Squares]):
        n, token_R, taken_R, squares = state
        squares = jax.lax.cond(n == last, kept, lambda: squares)  # one walk for both, which takes long to compile
        tried_R = squares.walk(jnp.where(greedy_R, 0, uniform_RU[:, n]))
        logit_R = jnp.take_along_axis(logits_RV, tried_R[:, None], -1)[:, 0]
        above_R = jnp.where(logits_RV > logit_R[:, None], 1.0, 0.0).sum(-1)
        token_R = jnp.where(taken_R, token_R, tried_R)
        taken_R |= (n == last) | (~nucleus_R & (above_R < top_k_R) & (logit_R >= least_R))
        return jnp.where(jnp.all(taken_R | nucleus_R), last, n + 1), token_R, taken_R, squares

    squares = _Squares.of(logits_RV, jnp.full_like(most_R, -jnp.inf), most_R, heat_R)
    start = jnp.where(jnp.all(nucleus_R), last, 0), jnp.zeros_like(count_R), jnp.zeros_like(greedy_R), squares
    return jax.lax.while_loop(lambda state: ~jnp.all(state[2]), attempt, start)[1]


def _kept(
    logits_RV: jax.Array, most_R: jax.Array, heat_R: jax.Array, top_k_R: jax.Array, top_p_R: jax.Array
) -> jax.Array:
    """A threshold [R] of what `top_k` and `top_p` leave: first by number, then by weight."""
    lowest_R = jnp.where(logits_RV > most_R[:, None] - FORBIDDEN / 2, logits_RV, jnp.inf).min(-1)
    all_R = top_k_R >= logits_RV.shape[-1]

    def cut(n: jax.Array, cut_R: jax.Array) -> jax.Array:
        by_weight = n == 1

        def weigh(logits: jax.Array) -> jax.Array:
            return jnp.where(by_weight, _weights(logits, jnp.full_like(most_R, -jnp.inf), most_R, heat_R), 1.0)

        enough_R = jnp.where(by_weight, top_p_R * _weights(logits_RV, cut_R, most_R, heat_R).sum(-1), top_k_R)
        return _cut(logits_RV, weigh, enough_R, jnp.where(by_weight, top_p_R >= 1, all_R), cut_R, most_R)

    return jax.lax.fori_loop(0, 2, cut, lowest_R)


class _Squares(NamedTuple):
    """Weights of tokens in proportion to their probability, as many blocks as there are in each, and their sums."""

    weights_RBB: jax.Array
    sums_RB: jax.Array

    @classmethod
    def of(cls, logits_RV: jax.Array, cut_R: jax.Array, most_R: jax.Array, heat_R: jax.Array) -> "_Squares":
        """Of logits from a cut upwards."""
        R, V = logits_RV.shape
        B = math.isqrt(V - 1) + 1
        padded_RV = jnp.pad(logits_RV, ((0, 0), (0, B * B - V)), constant_values=-jnp.inf)
        weights_RBB = _weights(padded_RV, cut_R, most_R, heat_R).reshape(R, B, B)
        return cls(weights_RBB, weights_RBB.sum(-1))

    def walk(self, place_R: jax.Array) -> jax.Array:
        """The token [R] at a place of [0, 1) along the sum of all weights: first its block, then its place there."""

        def step(_, state: tuple[jax.Array, jax.Array, jax.Array]):
            weights_RB, goal_R, token_R = state
            at_R, before_R = _walk(weights_RB, goal_R)
            block_RB = jnp.take_along_axis(self.weights_RBB, at_R[:, None, None], 1)[:, 0]
            return block_RB, goal_R - before_R, token_R * weights_RB.shape[1] + at_R

        start = self.sums_RB, place_R * self.sums_RB.sum(-1), jnp.zeros(len(place_R), jnp.int32)
        return jax.lax.fori_loop(0, 2, step, start)[2]


def ruled(logits_RV: jax.Array, count_R: jax.Array, rules: Rules, repeated_RV: jax.Array | None = None) -> jax.Array:
    """Logits, with multiples of FORBIDDEN taken off those of tokens that may not come next after count_R others.

    `repeated_RV`: what `repeats` found; a stop token repeats nothing. A row in which everything is forbidden is left
    with stop tokens that come too early, or else with what is repeated or no first token, or else with banned ones.
    """
    marks_RV = jnp.asarray(rules.marks_RV)
    heeded_R = BANNED + STOP * (count_R < rules.min_tokens_R) + OUT_OF_PLACE * (count_R == 0)
    reasons_RV = marks_RV & heeded_R.astype(jnp.uint8)[:, None]
    if repeated_RV is not None:
        reasons_RV |= jnp.where(repeated_RV & (marks_RV & STOP == 0), jnp.uint8(OUT_OF_PLACE), jnp.uint8(0))
    return logits_RV - FORBIDDEN * reasons_RV


def stops(token_R: jax.Array, rules: Rules) -> jax.Array:
    """Whether each row's token [R] is one of its stop tokens."""
    return jnp.take_along_axis(jnp.asarray(rules.marks_RV), token_R[:, None], -1)[:, 0] & STOP > 0


def logprob_of(logits_RV: jax.Array, token_R: jax.Array) -> jax.Array:
    """The natural logprob [R] of each row's token by the model's own logits, without temperature or rules."""
    return jnp.take_along_axis(logits_RV, token_R[:, None], -1)[:, 0] - jax.nn.logsumexp(logits_RV, -1)


def repeats(
    text_RS: jax.Array, length_R: jax.Array, own_RT: jax.Array, count_R: jax.Array, size_R: jax.Array, vocab_size: int
) -> jax.Array:
    """Which tokens [R, V] after a row's first count_R own ones would make an n-gram that stands in the first length_R
    tokens of its text, n being size_R; nothing for size 0. The text may be its own tokens.
    """
    ends_RS = (jnp.arange(text_RS.shape[1]) < length_R[:, None]) & (size_R > 0)[:, None]
    for back in range(1, NGRAMS[-1]):
        last_R = jnp.take_along_axis(own_RT, jnp.maximum(count_R - back, 0)[:, None], -1)
        alike_RS = (jnp.roll(text_RS, back, 1) == last_R) & (jnp.arange(text_RS.shape[1]) >= back)
        ends_RS &= (alike_RS & (count_R >= back)[:, None]) | (back >= size_R)[:, None]
    rows_R1 = jnp.arange(len(text_RS))[:, None]
    none_RV = jnp.zeros((len(text_RS), vocab_size), bool)
    return none_RV.at[rows_R1, jnp.where(ends_RS, text_RS, vocab_size)].set(True, mode="drop")


def _along(row_R: jax.Array, array: jax.Array) -> jax.Array:
    """A number for each row, to be used with an array [R, ...]."""
    return row_R.reshape(-1, *(1,) * (array.ndim - 1))


def _cut(
    value_RV: jax.Array,
    weigh: Callable[[jax.Array], jax.Array | float],
    enough_R: Array,
    settled_R: Array,
    low_R: jax.Array,
    most_R: jax.Array,
) -> jax.Array:
    """A threshold [R] for the fewest largest values that weigh `enough`; the given `low` where settled, or where all
    from there upwards weigh less. `weigh` must not fall with the value.
    """
    weight_RV = weigh(value_RV)

    def halve(state):
        low_R, high_R, sum_low_R, sum_high_R, settled_R = state
        middle_R = low_R + (high_R - low_R) / 2
        sum_R = jnp.where(value_RV >= middle_R[:, None], weight_RV, 0.0).sum(-1)
        between_R = ~settled_R & (middle_R > low_R) & (middle_R < high_R)  # else no number is between them
        up_R, down_R = between_R & (sum_R >= enough_R), between_R & (sum_R < enough_R)
        low_R, sum_low_R = jnp.where(up_R, middle_R, low_R), jnp.where(up_R, sum_R, sum_low_R)
        high_R, sum_high_R = jnp.where(down_R, middle_R, high_R), jnp.where(down_R, sum_R, sum_high_R)
        single_R = sum_low_R - sum_high_R < 2 * weigh(low_R)  # one value is between them
        return low_R, high_R, sum_low_R, sum_high_R, ~between_R | single_R | (sum_low_R == enough_R)

    start = (low_R, jnp.nextafter(most_R, jnp.inf), jnp.full_like(most_R, jnp.inf), jnp.zeros_like(most_R), settled_R)
    return jax.lax.while_loop(lambda state: ~jnp.all(state[-1]), halve, start)[0]


def _weights(logits: jax.Array, cut_R: jax.Array, most_R: jax.Array, heat_R: jax.Array) -> jax.Array:
    """Probabilities of logits [R, ...] over that of the likeliest; 0 below the cut."""
    weights = jnp.exp((logits - _along(most_R, logits)) / _along(heat_R, logits))
    return jnp.where(logits >= _along(cut_R, logits), weights, 0)


def _walk(weight_RN: jax.Array, goal_R: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first place [R] that has a weight and at which the sum of weights exceeds the goal, and the sum before it."""
    sum_RN, place_N = jnp.cumsum(weight_RN, -1), jnp.arange(weight_RN.shape[-1])
    last_R = jnp.where(weight_RN > 0, place_N, 0).max(-1)  # rounded, no sum may exceed the goal
    place_R = jnp.where((weight_RN > 0) & (sum_RN > goal_R[:, None]), place_N, last_R[:, None]).min(-1)
    return place_R, jnp.take_along_axis(sum_RN - weight_RN, place_R[:, None], -1)[:, 0]
