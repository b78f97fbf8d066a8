"""Beam search, one token a step: from the logits of the live beams to the next beams and what has ended so far.

Whoever runs the model feeds the last tokens of `Beams.tokens_BT` and puts the caches in the order of the parents that
`step` returns. Every function is of one search; `jax.vmap` makes it many. Draws nothing: of the rules, temperature,
`top_k`, `top_p` and `min_p` are of no account.
Axes: B beams, E ended hypotheses that are kept, T tokens, V vocabulary.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from openlamda.engine.sampling import FORBIDDEN, STOP, Rules, ruled


class Beams(NamedTuple):
    """Live beams, all of `length` tokens, and ended ones, the best first. A score of -inf marks an empty place.

    Scores of live beams are sums of logprobs, less what rules cost them; those of ended ones are divided by `penalty`.
    """

    length: jax.Array  # int32[]
    tokens_BT: jax.Array
    score_B: jax.Array
    logprob_B: jax.Array
    ended_tokens_ET: jax.Array
    ended_count_E: jax.Array
    ended_score_E: jax.Array
    ended_logprob_E: jax.Array  # with the stop token


class Found(NamedTuple):
    """Hypotheses, the best first: those that ended, then live ones. A count of -1 marks an empty place."""

    tokens_ET: jax.Array
    count_E: jax.Array
    logprob_E: jax.Array
    ended_E: jax.Array


def start(beams: int, kept: int, max_tokens: int) -> Beams:
    """One beam that has said nothing, in the first of `beams` places, and `kept` places for ended ones."""
    score_B = jnp.full(beams, -jnp.inf).at[0].set(0.0)
    tokens_BT, ended_tokens_ET = (jnp.zeros((places, max_tokens), jnp.int32) for places in (beams, kept))
    none_E = jnp.full(kept, -jnp.inf)
    return Beams(
        jnp.int32(0), tokens_BT, score_B, jnp.zeros(beams), ended_tokens_ET, jnp.zeros(kept, jnp.int32), none_E, none_E
    )


def penalty(count: jax.Array | int, length_penalty: jax.Array | float) -> jax.Array:
    """What the score of `count` tokens and a stop token is divided by.

    ((1 + length) / 6) ** length_penalty, where the length counts a start and a stop token, as ParlAI does
    (`TreeSearch.get_rescored_finished`), after Wu et al. (2016), equation 14, there with 5 in place of 1.
    """
    return ((count + 3) / 6) ** jnp.asarray(length_penalty)


def step(
    beams: Beams,
    logits_BV: jax.Array,
    rules: Rules,
    length_penalty: jax.Array | float,
    repeated_BV: jax.Array | None = None,
) -> tuple[Beams, jax.Array]:
    """The next beams, and of which of the given ones each is the child [B].

    The likeliest children live on, a stop token is none of these; a beam that may stop here is kept as an ended one
    if this is among the B likeliest things that can happen, as in ParlAI, and its score among the best.
    """
    B, V = logits_BV.shape
    E = len(beams.ended_score_E)
    own_BV = jax.nn.log_softmax(logits_BV)
    score_BV = beams.score_B[:, None] + ruled(own_BV, jnp.full(B, beams.length), rules, repeated_BV)
    stop_BV = (jnp.asarray(rules.marks_RV) & STOP) > 0

    score_B, child_B = jax.lax.top_k(jnp.where(stop_BV, -jnp.inf, score_BV).reshape(-1), B)
    parent_B, token_B = child_B // V, child_B % V
    end_BV = jnp.where(stop_BV, score_BV, -jnp.inf)
    end_B, end_token_B = end_BV.max(-1), end_BV.argmax(-1)

    likeliest_B = jax.lax.top_k(jnp.concatenate([score_B, end_B]), B)[0]
    allowed = likeliest_B[0] - FORBIDDEN / 2  # forbidden tokens stand in only where there are no others
    score_B = jnp.where(score_B >= allowed, score_B, -jnp.inf)
    end_B = jnp.where(end_B >= jnp.maximum(allowed, likeliest_B[-1]), end_B, -jnp.inf)

    ended_score_E, place_E = jax.lax.top_k(
        jnp.concatenate([beams.ended_score_E, end_B / penalty(beams.length, length_penalty)]), E
    )
    end_logprob_B = beams.logprob_B + jnp.take_along_axis(own_BV, end_token_B[:, None], -1)[:, 0]
    following = Beams(
        length=beams.length + 1,
        tokens_BT=beams.tokens_BT[parent_B].at[:, beams.length].set(token_B),
        score_B=score_B,
        logprob_B=beams.logprob_B[parent_B] + own_BV[parent_B, token_B],
        ended_tokens_ET=jnp.concatenate([beams.ended_tokens_ET, beams.tokens_BT])[place_E],
        ended_count_E=jnp.concatenate([beams.ended_count_E, jnp.full(B, beams.length)])[place_E],
        ended_score_E=ended_score_E,
        ended_logprob_E=jnp.concatenate([beams.ended_logprob_E, end_logprob_B])[place_E],
    )
    return following, parent_B


def over(
    beams: Beams, length_penalty: jax.Array | float, max_tokens: jax.Array | int, wanted: jax.Array | int
) -> jax.Array:
    """Whether beams may take no other token, or none of them can come to be among the `wanted` best ended ones."""
    most = penalty(max_tokens - 1, length_penalty)  # a score only falls, and is divided by this at most
    return (beams.length >= max_tokens) | (beams.score_B.max() / most <= beams.ended_score_E[wanted - 1])


def found(beams: Beams) -> Found:
    """The outcome; live beams are in it only where fewer have ended than there are places."""
    E, score = len(beams.ended_score_E), jnp.concatenate([beams.ended_score_E, beams.score_B])
    there = score > -jnp.inf
    best_E = jnp.lexsort((-score, jnp.arange(len(score)) >= E, ~there))[:E]
    count = jnp.concatenate([beams.ended_count_E, jnp.full_like(beams.score_B, beams.length, jnp.int32)])
    return Found(
        jnp.concatenate([beams.ended_tokens_ET, beams.tokens_BT])[best_E],
        jnp.where(there, count, -1)[best_E],
        jnp.concatenate([beams.ended_logprob_E, beams.logprob_B])[best_E],
        (best_E < E) & there[best_E],
    )
