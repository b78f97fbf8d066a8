"""Beam search against all sequences there are, and against a search by lists of Python."""

import itertools
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.engine import beam
from openlamda.engine.base import Sampling
from openlamda.engine.sampling import Rules, repeats

VOCAB, LENGTH = 5, 4
CONTEXT = (2, 3, 4, 0)
SAMPLINGS = {
    "plain": Sampling(stop=(1,)),
    "two_stops": Sampling(stop=(1, 3)),
    "long": Sampling(stop=(1,), min_tokens=3),
    "begun": Sampling(stop=(1,), first=(2, 4), banned=(0,)),
    "blocked": Sampling(stop=(1,), min_tokens=2, block_ngram=2, context_block_ngram=3),
}


@cache
def logprobs(said, seed):
    """Of a model with a memory: natural logprobs after the tokens said."""
    drawn = np.random.default_rng((seed, *said, len(said))).normal(size=VOCAB) * 1.5
    return drawn - np.log(np.exp(drawn).sum())


def grams(tokens, size):
    return [tokens[i : i + size] for i in range(len(tokens) - size + 1)] if size else []


def allowed(said, token, sampling):
    """Whether a token may follow, looked up in the whole sequence."""
    if token in sampling.banned or (sampling.first and not said and token not in sampling.first):
        return False
    if token in sampling.stop:
        return len(said) >= sampling.min_tokens
    after = (*said, token)
    own, context = grams(after, sampling.block_ngram), grams(CONTEXT, sampling.context_block_ngram)
    return len(set(own)) == len(own) and not set(grams(after, sampling.context_block_ngram)) & set(context)


def divisor(said, alpha):
    return ((1 + 1 + len(said) + 1) / 6) ** alpha


@cache
def ended_ones(sampling, seed, alpha):
    """Every sequence that ends in time: (score, logprob, tokens), the best first."""
    ended = {}
    others = [token for token in range(VOCAB) if token not in sampling.stop]
    for length in range(LENGTH):
        for said in itertools.product(others, repeat=length):
            if all(allowed(said[:i], said[i], sampling) for i in range(length)):
                total = sum(logprobs(said[:i], seed)[said[i]] for i in range(length))
                stops = [logprobs(said, seed)[stop] for stop in sampling.stop if allowed(said, stop, sampling)]
                if stops:
                    ended[said] = total + max(stops)
    return sorted(((logprob / divisor(said, alpha), logprob, said) for said, logprob in ended.items()), reverse=True)


def by_lists(sampling, seed, alpha, beams):
    """The same search over lists, to its end."""
    live, ended = [(0.0, ())], []
    for _ in range(LENGTH):
        children, ends = [], []
        for score, said in live:
            stops = []
            for token in range(VOCAB):
                if allowed(said, token, sampling):
                    after = score + logprobs(said, seed)[token]
                    if token in sampling.stop:
                        stops.append((after, said))
                    else:
                        children.append((after, (*said, token)))
            ends += [max(stops)] if stops else []
        likeliest = sorted(children + ends, reverse=True)[:beams]
        ended += [(score / divisor(said, alpha), score, said) for score, said in ends if (score, said) in likeliest]
        live = sorted(children, reverse=True)[:beams]
    return sorted(ended, reverse=True), live


step = jax.jit(beam.step)
blocked = jax.jit(partial(repeats, vocab_size=VOCAB))


def search(sampling, seed, alpha, beams, kept):
    rules = Rules.of([sampling] * beams, VOCAB)
    context = jnp.tile(jnp.array(CONTEXT), (beams, 1))
    state, steps = beam.start(beams, kept, LENGTH), 0
    rows = [()] * beams  # as caches, put in order by the parents alone
    while not beam.over(state, alpha, LENGTH, kept):
        logits = jnp.array([logprobs(row, seed) for row in rows], jnp.float32) + 3
        count = jnp.full(beams, state.length)
        repeated = blocked(state.tokens_BT, count, state.tokens_BT, count, jnp.full(beams, sampling.block_ngram))
        repeated |= blocked(
            context,
            jnp.full(beams, len(CONTEXT)),
            state.tokens_BT,
            count,
            jnp.full(beams, sampling.context_block_ngram),
        )
        state, parents = step(state, logits, rules, alpha, repeated)
        rows = [(*rows[parent], int(state.tokens_BT[i, steps])) for i, parent in enumerate(parents.tolist())]
        steps += 1
    for i in range(beams):
        if state.score_B[i] > -jnp.inf:
            assert rows[i] == tuple(state.tokens_BT[i, :steps].tolist())
    found = jax.tree.map(np.asarray, beam.found(state))
    return [
        (tuple(tokens[:count].tolist()), logprob, ended)
        for tokens, count, logprob, ended in zip(*found, strict=True)
        if count >= 0
    ], steps


@pytest.mark.parametrize("alpha", [0.0, 0.65, 2.0])
@pytest.mark.parametrize("name", SAMPLINGS)
def test_enough_beams_find_the_best_of_all_sequences(name, alpha):
    best = ended_ones(SAMPLINGS[name], 1, alpha)[:6]
    found, _ = search(SAMPLINGS[name], 1, alpha, 4**LENGTH, len(best))
    assert [tokens for tokens, _, _ in found] == [said for _, _, said in best]
    np.testing.assert_allclose([logprob for _, logprob, _ in found], [logprob for _, logprob, _ in best], atol=1e-4)
    assert all(ended for _, _, ended in found)


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("name", SAMPLINGS)
def test_few_beams_find_what_lists_find(name, beams):
    for seed in range(5):
        ended, live = by_lists(SAMPLINGS[name], seed, 0.65, beams)
        found, _ = search(SAMPLINGS[name], seed, 0.65, beams, beams)
        expected = [said for _, _, said in ended] + [said for _, said in live]
        assert [tokens for tokens, _, _ in found] == expected[:beams]


def test_a_search_ends_when_nothing_better_can_come():
    _, steps = search(Sampling(stop=(1,)), 1, 0.0, 4, 1)
    assert steps < LENGTH


def test_a_beam_without_a_way_on_ends_too_early():
    sampling = Sampling(stop=(1,), banned=(0, 2, 3, 4), min_tokens=3)
    found, steps = search(sampling, 1, 0.65, 2, 2)
    assert [(tokens, ended) for tokens, _, ended in found] == [((), True)] and steps == 1
    assert found[0][1] == pytest.approx(logprobs((), 1)[1], abs=1e-5)
