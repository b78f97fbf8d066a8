"""Beam search of the local engine against a search by lists of Python over a plain forward."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openlamda.engine.base import Cancelled, Limits, Sampling
from openlamda.engine.local import LocalModel
from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)
PARAMS = weights.init(TINY, jax.random.key(3))
PREFIX = (7, 8, 9, 20, 21, 22, 7, 8)
STOP = (1, 10, 11, 12)
SAMPLINGS = {
    "plain": Sampling(max_tokens=24, stop=STOP),
    "long": Sampling(max_tokens=24, stop=STOP, min_tokens=10),
    "blocked": Sampling(max_tokens=24, stop=STOP, min_tokens=20, block_ngram=2, context_block_ngram=3),
    "even": Sampling(max_tokens=20, stop=STOP, length_penalty=0.0, banned=(12, 30), first=(5, 6, 40)),
    "never_over": Sampling(max_tokens=17, stop=()),
}


@pytest.fixture(scope="module")
def model():
    return LocalModel(PARAMS, TINY)


@jax.jit
def plain_logits(rows):
    return transformer.logits(PARAMS, transformer.forward(PARAMS, rows, jnp.ones_like(rows), TINY))


@cache
def logprobs_after(said):
    """Of each next token, by one forward over the whole sequence."""
    row = np.zeros((1, 64), np.int32)  # of one shape, so that it is compiled once; what follows is not seen
    tokens = PREFIX + said
    row[0, : len(tokens)] = tokens
    logits = np.asarray(plain_logits(row))[0, len(tokens) - 1].astype(np.float64)
    return logits - np.log(np.exp(logits).sum())


def occurs(gram, tokens):
    return any(tokens[i : i + len(gram)] == gram for i in range(len(tokens) - len(gram) + 1))


def allowed(said, token, sampling):
    if token in sampling.banned or (sampling.first and not said and token not in sampling.first):
        return False
    if token in sampling.stop:
        return len(said) >= sampling.min_tokens
    after = (*said, token)
    for size, text in ((sampling.block_ngram, said), (sampling.context_block_ngram, PREFIX)):
        if size and len(after) >= size and occurs(after[-size:], text):
            return False
    return True


@cache
def by_lists(sampling, beams):
    """(tokens, logprob, finished), the best first."""
    live, ended = [(0.0, ())], []
    for _ in range(sampling.max_tokens):
        children, ends = [], []
        for total, said in live:
            after = logprobs_after(said)
            stops = [after[token] for token in sampling.stop if allowed(said, token, sampling)]
            ends += [(total + max(stops), said)] if stops else []
            others = [t for t in range(TINY.vocab_size) if t not in sampling.stop and allowed(said, t, sampling)]
            children += [(total + after[token], (*said, token)) for token in others]
        likeliest = sorted(children + ends, reverse=True)[:beams]
        ended += [(total / ((len(said) + 3) / 6) ** sampling.length_penalty, total, said)
                  for total, said in ends if (total, said) in likeliest]  # fmt: skip
        live = sorted(children, reverse=True)[:beams]
    best = [(said, total, True) for _, total, said in sorted(ended, reverse=True)]
    return (best + [(said, total, False) for total, said in live])[:beams]


def searched(sampling, beams):
    return Sampling(**{**vars(sampling), "beams": beams})


@pytest.mark.parametrize("beams", [1, 3, 5])
@pytest.mark.parametrize("name", SAMPLINGS)
def test_the_search_finds_what_lists_find(model, name, beams):
    expected = by_lists(SAMPLINGS[name], beams)
    found = model.sample(PREFIX, beams, searched(SAMPLINGS[name], beams), seed=0)
    assert [(c.tokens, c.finished) for c in found] == [(tokens, finished) for tokens, _, finished in expected]
    np.testing.assert_allclose([c.logprob for c in found], [logprob for _, logprob, _ in expected], atol=1e-4)


def test_the_cases_differ_and_some_hypotheses_end():
    found = [tuple(by_lists(sampling, 5)) for sampling in SAMPLINGS.values()]
    assert len(set(found)) == len(found)
    assert {finished for best in found for _, _, finished in best} == {True, False}


def test_fewer_wanted_ones_are_the_best_of_more(model):
    sampling = searched(SAMPLINGS["plain"], 5)
    assert model.sample(PREFIX, 2, sampling, seed=1) == model.sample(PREFIX, 5, sampling, seed=2)[:2]


def test_one_beam_without_penalty_is_greedy(model):
    greedy = model.sample(PREFIX, 1, Sampling(temperature=0, max_tokens=40, stop=STOP), seed=0)[0]
    (found,) = model.sample(PREFIX, 1, Sampling(beams=1, length_penalty=0, max_tokens=40, stop=STOP), seed=0)
    assert (found.tokens, found.finished) == (greedy.tokens, greedy.finished)
    assert found.logprob == pytest.approx(greedy.logprob, abs=1e-4)


def test_where_there_are_fewer_hypotheses_there_are_fewer_candidates(model):
    sampling = Sampling(beams=4, max_tokens=1, first=(5, 6), stop=(1,))
    assert {c.tokens for c in model.sample(PREFIX, 4, sampling, seed=0)} == {(5,), (6,)}


def test_more_candidates_than_beams_are_refused(model):
    with pytest.raises(ValueError, match="n: 3, expected at most as many as beams, 2"):
        model.sample(PREFIX, 3, Sampling(beams=2), seed=0)


class Soon(threading.Event):
    """Set once it was looked at a few times, which is when the search has gone some way."""

    asked = 0

    def is_set(self):
        self.asked += 1
        return self.asked > 6


def test_a_search_is_cancelled_between_steps_and_the_next_one_is_not_disturbed(model):
    cancelled, sampling = Soon(), Sampling(beams=5, max_tokens=80, stop=())
    with pytest.raises(Cancelled):
        model.within(Limits(cancelled=cancelled)).sample(PREFIX, 5, sampling, seed=0)
    with pytest.raises(TimeoutError):
        model.within(Limits(deadline=0.0)).sample(PREFIX, 5, sampling, seed=0)
    short = searched(SAMPLINGS["plain"], 5)
    assert [c.tokens for c in model.sample(PREFIX, 5, short, seed=0)] == [
        t for t, _, _ in by_lists(SAMPLINGS["plain"], 5)
    ]


@pytest.mark.parametrize("lanes", [1, 2])
def test_company_changes_nothing(model, lanes):
    asked = [
        (PREFIX, 5, searched(SAMPLINGS["blocked"], 5)),
        ((3, 4, 5), 2, searched(SAMPLINGS["plain"], 5)),
        (PREFIX, 16, Sampling(max_tokens=30, stop=STOP)),
    ] * 2
    alone = [model.sample(*request, seed=4) for request in asked]
    busy = LocalModel(PARAMS, TINY, groups=2, lanes=lanes)
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda request: busy.sample(*request, seed=4), asked))
    for one, other in zip(alone, together, strict=True):
        assert [(c.tokens, c.finished) for c in one] == [(c.tokens, c.finished) for c in other]
        np.testing.assert_allclose([c.logprob for c in one], [c.logprob for c in other], atol=1e-5)


def test_found_replies_can_be_rated(model):
    replies = [c.tokens for c in model.sample(PREFIX, 3, searched(SAMPLINGS["plain"], 3), seed=0)]
    ((gap,),) = model.rate(PREFIX, replies[:1], [(4,)], 2, 3)
    after = logprobs_after((*replies[0], 4))
    assert gap == pytest.approx(after[2] - after[3], abs=1e-4)
