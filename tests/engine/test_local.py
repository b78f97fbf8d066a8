"""The engine against a plain forward over the whole sequence."""

import dataclasses
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.engine import drawing
from openlamda.engine.base import Sampling, rate_by_score
from openlamda.engine.lanes import OFTEN
from openlamda.engine.local import TREES, LocalModel, portions
from openlamda.model import params as weights
from openlamda.model import transformer
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)


@partial(jax.jit, static_argnames="config")
def all_logprobs(params, tokens, config):
    hidden = transformer.forward(params, tokens, jnp.ones_like(tokens), config)
    return jax.nn.log_softmax(transformer.logits(params, hidden))


def plain_logprobs_after(params, config, tokens):
    """Logprobs [T, V] of what comes after each token, by one forward without cache or sharing.

    Its shape is always the same, so that it is compiled once; what follows is not seen.
    """
    row = np.zeros((1, -(-len(tokens) // 512) * 512), np.int32)
    row[0, : len(tokens)] = tokens
    return np.asarray(all_logprobs(params, row, config))[0, : len(tokens)]


def plain_logprobs(params, config, tokens):
    """Logprob of each token given those before it."""
    return plain_logprobs_after(params, config, tokens)[np.arange(len(tokens) - 1), np.asarray(tokens[1:])]


class Plain(LocalModel):
    """With the weights at hand, for a plain forward."""

    def __init__(self, params, config, **options):
        super().__init__(params, config, **options)
        self.params = params


@pytest.fixture(scope="module", params=["per_layer", "shared"])
def model(request):
    config = dataclasses.replace(TINY, relative_bias=request.param)
    return Plain(weights.init(config, jax.random.key(3)), config)


def test_scores_of_a_tree_equal_a_plain_forward(model):
    prefix = tuple(np.random.default_rng(0).integers(0, 50, 130).tolist())
    continuations = [(5, 6, 7), (5, 6, 8), (5, 9), (4,), (5, 6, 7)]
    for continuation, scores in zip(continuations, model.score(prefix, continuations), strict=True):
        plain = plain_logprobs(model.params, model.config, prefix + continuation)[-len(continuation) :]
        np.testing.assert_allclose(scores, plain, atol=1e-4)


def test_logprobs_of_drawn_candidates_equal_a_plain_forward(model):
    prefix = (7, 8, 9)
    sampling = Sampling(top_k=10, max_tokens=12, stop=(1,), banned=(3, 4))
    for candidate in model.sample(prefix, 16, sampling, seed=5):
        said = candidate.tokens + ((1,) if candidate.finished else ())
        plain = plain_logprobs(model.params, model.config, prefix + said)[-len(said) :]
        assert candidate.logprob == pytest.approx(plain.sum(), abs=1e-3)
        assert not {1, 3, 4} & set(candidate.tokens)


def test_greedy_tokens_equal_those_of_a_plain_forward(model):
    tokens = [11, 12]
    drawn = model.sample(tuple(tokens), 1, Sampling(temperature=0, max_tokens=8, stop=()), seed=0)[0].tokens
    for token in drawn:
        assert int(np.argmax(plain_logprobs_after(model.params, model.config, tokens)[-1])) == token
        tokens.append(token)


def test_a_candidate_is_the_same_in_any_company(model):
    sampling = Sampling(max_tokens=6, stop=(1,))
    assert model.sample((5, 6), 16, sampling, seed=9)[:4] == model.sample((5, 6), 4, sampling, seed=9)
    assert model.sample((5, 6), 4, sampling, seed=9) != model.sample((5, 6), 4, sampling, seed=10)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 49), max_size=5).map(tuple), max_size=6), st.lists(st.integers(0, 49), min_size=1)
)
def test_scores_do_not_depend_on_neighbours(continuations, prefix):
    model = LocalModel(weights.init(TINY, jax.random.key(3)), TINY)
    together = model.score(tuple(prefix), continuations)
    for continuation, scores in zip(continuations, together, strict=True):
        np.testing.assert_allclose(scores, model.score(tuple(prefix), [continuation])[0], atol=1e-5)


QUESTIONS = [(4,), (5,), (6, 7), (6, 8)]


def plain_gaps(model, prefix, replies, questions=QUESTIONS):
    def gap(tokens):
        logprobs = plain_logprobs_after(model.params, model.config, tokens)[-1]
        return logprobs[2] - logprobs[3]

    return np.array([[gap(prefix + reply + question) for question in questions] for reply in replies])


@pytest.mark.parametrize("max_tokens", [1, 9])  # candidates that were cut, and finished ones
def test_ratings_of_drawn_candidates_and_of_others_equal_a_plain_forward(model, max_tokens):
    prefix = tuple(np.random.default_rng(1).integers(2, 50, 70).tolist())
    drawn = model.sample(prefix, 8, Sampling(max_tokens=max_tokens, stop=(1, 10, 11, 12, 13, 14)), seed=4)
    assert {candidate.finished for candidate in drawn} == ({True, False} if max_tokens == 9 else {False, True})
    replies = list(dict.fromkeys(candidate.tokens for candidate in drawn))
    np.testing.assert_allclose(
        model.rate(prefix, replies, QUESTIONS, 2, 3), plain_gaps(model, prefix, replies), atol=1e-4
    )
    others = [*replies[:2], (), (20, 21, 22)]  # not drawn: all are read
    np.testing.assert_allclose(
        model.rate(prefix, others, QUESTIONS, 2, 3), plain_gaps(model, prefix, others), atol=1e-4
    )
    by_score = rate_by_score(model, prefix, others, QUESTIONS, 2, 3)
    np.testing.assert_allclose(by_score, plain_gaps(model, prefix, others), atol=1e-4)
    assert model.rate(prefix, [], QUESTIONS, 2, 3) == [] and model.rate(prefix, [(5,)], [], 2, 3) == [[]]


@pytest.fixture(scope="module")
def fresh():
    """A model that has read nothing."""
    params = weights.init(TINY, jax.random.key(3))

    def make(groups=1, lanes=1):
        return Plain(params, TINY, groups=groups, lanes=lanes)

    return make


def some(seed, length):
    return tuple(np.random.default_rng(seed).integers(5, 50, length).tolist())


def assert_logprobs_are_plain(model, prefix, candidates, stop=1):
    for candidate in candidates:
        said = candidate.tokens + ((stop,) if candidate.finished else ())
        plain = plain_logprobs(model.params, model.config, prefix + said)[-len(said) :]
        assert candidate.logprob == pytest.approx(plain.sum(), abs=1e-4 * len(said), rel=1e-5)


LENGTHS = [1, 2, 15, 16, 17, 18, 31, 32, 33, 34, 255, 256, 257, 258, 300, 513]


def test_scores_after_prefixes_of_any_length_equal_a_plain_forward(fresh):
    longer, shorter, text, more = fresh(), fresh(), some(0, 513), (5, 6, 7)

    def assert_plain(model, prefix):
        scores = model.score(prefix, [more, (8,), ()])
        plain = plain_logprobs_after(model.params, TINY, prefix + more)[len(prefix) - 1 :]
        np.testing.assert_allclose(scores[0], plain[range(3), more], atol=1e-4)
        np.testing.assert_allclose(scores[1], plain[:1, 8], atol=1e-4)
        assert scores[2] == []

    for length in [*LENGTHS, *LENGTHS]:  # each begins as the one before, or as one that was read
        assert_plain(longer, text[:length])
    for length in reversed(LENGTHS):
        assert_plain(shorter, text[:length])
        assert_plain(shorter, text[513 - length :])


def test_a_long_continuation_is_scored_as_by_a_plain_forward(fresh):
    model, text = fresh(), some(1, 301)
    for length in (1, 20):
        (scores,) = model.score(text[:length], [text[length:]])
        np.testing.assert_allclose(scores, plain_logprobs(model.params, TINY, text)[length - 1 :], atol=1e-4)


def test_a_prompt_that_begins_as_another_did_is_scored_as_by_a_model_that_has_read_nothing(fresh):
    model, shared = fresh(), some(2, 40)
    first, second = (shared + some(seed, 30) for seed in (3, 4))
    model.score(first, [(5,)])
    assert len(model._texts.blocks.find(second)) == 2  # blocks of 16 tokens
    np.testing.assert_allclose(model.score(second, [(5, 6)]), fresh().score(second, [(5, 6)]), atol=1e-5)
    gaps = model.rate(second, [(9,)], QUESTIONS, 2, 3)
    np.testing.assert_allclose(gaps, plain_gaps(model, second, [(9,)]), atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5).map(sorted))
def test_blocks_of_a_prefix_that_was_read_bit_by_bit_are_those_of_one_read_at_once(fresh, lengths):
    by_bits, at_once, text = fresh(), fresh(), some(8, 300)
    for length in lengths:
        by_bits.score(text[:length], [(5,)])
        assert by_bits._texts.known(text[:length]) == length
    at_once.score(text[: lengths[-1]], [(5,)])
    found, expected = (model._texts.blocks.find(text) for model in (by_bits, at_once))
    assert len(found) == len(expected) == lengths[-1] // 16
    for block, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(block, plain, atol=1e-5)


@pytest.mark.parametrize("known", [0, 16, 40])  # of the prefix's tokens, read before
def test_the_little_that_is_unread_of_a_prefix_is_read_with_replies_and_more_is_read_apart_and_kept(fresh, known):
    prefix, short, long = some(5, 40), [some(6, 20)], [some(seed, 28) for seed in (6, 7)]
    for replies in (short, long):
        model = fresh()
        if known:
            model.score(prefix[: known + 1], [(5,)])
        gaps = model.rate(prefix, replies, QUESTIONS[:2], 2, 3)
        np.testing.assert_allclose(gaps, plain_gaps(model, prefix, replies, QUESTIONS[:2]), atol=1e-4)
        assert (len(model._texts.blocks.find(prefix)) == 2) is (known != 16)


def grams(tokens, size):
    return [tokens[i : i + size] for i in range(len(tokens) - size + 1)]


def test_blocked_ngrams_are_never_said(fresh):
    model = fresh()
    free = Sampling(top_k=0, max_tokens=60, stop=(1,), banned=tuple(range(10, 50)))
    prefix = max((candidate.tokens for candidate in model.sample((5,), 4, free, seed=9)), key=len)

    def repeats(**blocked):
        """How many 3-grams a candidate says again, and how many are the prefix's."""
        sampling = dataclasses.replace(free, **blocked)
        candidates = [one for seed in range(4) for one in model.sample(prefix, 4, sampling, seed)]
        assert_logprobs_are_plain(model, prefix, candidates)
        said = [grams(candidate.tokens, 3) for candidate in candidates]
        given = set(grams(prefix, 3))
        return sum(len(one) - len(set(one)) for one in said), sum(gram in given for one in said for gram in one)

    assert min(repeats()) > 10
    own, context = repeats(block_ngram=3), repeats(context_block_ngram=3)
    assert own[0] == 0 < own[1] and context[1] == 0 < context[0]
    assert repeats(block_ngram=3, context_block_ngram=3) == (0, 0)


@pytest.mark.parametrize("length", [16, 256, 257])
def test_ngrams_of_all_of_the_prefix_are_blocked(fresh, length):
    """Those with its first token and with its last one, too."""
    model, prefix = fresh(), (5, 6, 5, *some(6, length - 6), 6, 5, 6)

    def said(**blocked):
        sampling = Sampling(
            top_k=0, temperature=2, max_tokens=15, stop=(), banned=tuple({*range(50)} - {5, 6, 7}), **blocked
        )
        candidates = [one for seed in range(8) for one in model.sample(prefix, 4, sampling, seed)]
        return {gram for candidate in candidates for gram in grams(candidate.tokens, 3)}

    ends = {(5, 6, 5), (6, 5, 6)}
    assert ends <= said() and not ends & said(context_block_ngram=3)


def test_candidates_begin_and_end_as_asked(fresh):
    model = fresh()
    sampling = Sampling(max_tokens=12, stop=tuple(range(25)), first=(30, 31, 3), min_tokens=4)
    candidates = [one for seed in range(4) for one in model.sample((7, 8), 4, sampling, seed)]
    assert {candidate.tokens[0] for candidate in candidates} == {30, 31}
    assert min(len(candidate.tokens) for candidate in candidates) == 4
    assert all(candidate.finished for candidate in candidates if len(candidate.tokens) < 12)
    assert not any(token < 25 for candidate in candidates for token in candidate.tokens)
    banned = Sampling(max_tokens=5, stop=(1,), banned=(1,))  # it still ends nothing
    assert [len(candidate.tokens) for candidate in model.sample((7, 8), 4, banned, seed=0)] == [5] * 4


def test_tokens_are_among_those_that_sampling_keeps(fresh):
    model, prefix = fresh(), some(7, 20)

    def drawn(**how):
        """For each token drawn, how many were likelier, and how likely these were together."""
        for seed in range(8):
            for candidate in model.sample(prefix, 4, Sampling(max_tokens=15, stop=(), **how), seed):
                after = plain_logprobs_after(model.params, TINY, prefix + candidate.tokens)[len(prefix) - 1 : -1]
                for logprobs, token in zip(after, candidate.tokens, strict=True):
                    likelier = logprobs[logprobs > logprobs[token] + 1e-4]
                    yield len(likelier), np.exp(likelier).sum()

    assert {rank for rank, _ in drawn(top_k=2)} == {0, 1}
    assert {rank for rank, _ in drawn(top_k=0, temperature=1000.0)} == set(range(50))
    ranks, before = zip(*drawn(top_k=0, top_p=0.6), strict=True)
    assert 0.4 < max(before) < 0.6 + 1e-4 and len(set(ranks)) > 2


@pytest.mark.parametrize("max_tokens", [15, 16, 79, 80, 100, 400])
def test_logprobs_of_long_candidates_equal_a_plain_forward(fresh, max_tokens):
    model, prefix = fresh(), some(8, 20)
    candidates = model.sample(prefix, 3, Sampling(max_tokens=max_tokens, stop=()), seed=4)
    assert [(len(candidate.tokens), candidate.finished) for candidate in candidates] == [(max_tokens, False)] * 3
    assert_logprobs_are_plain(model, prefix, candidates)


def lanes_of(model, monkeypatch):
    """A list to which each step adds for how many candidates its lane is."""
    sizes, advance = [], drawing.advance

    def watch(weights, groups, lane, few, **options):
        sizes.append(lane.last_GP.shape[1])
        return advance(weights, groups, lane, few, **options)

    monkeypatch.setattr(drawing, "advance", watch)
    return sizes


def test_a_larger_lane_serves_until_one_of_the_size_was_wanted_often(fresh, monkeypatch):
    model, prefix, sampling = fresh(lanes=1), some(9, 20), Sampling(max_tokens=3, stop=())
    expected = fresh().sample(prefix, 3, sampling, seed=1)
    drawn_in = lanes_of(model, monkeypatch)
    model.sample(prefix, 16, sampling, seed=0)
    for _ in range(OFTEN - 1):
        assert [one.tokens for one in model.sample(prefix, 3, sampling, seed=1)] == [one.tokens for one in expected]
    assert 4 not in drawn_in
    model.sample(prefix, 3, sampling, seed=1)
    assert drawn_in[-1] == 4


def test_the_last_few_candidates_of_many_equal_a_plain_forward(fresh, monkeypatch):
    """Of sixteen, some eight and then four are drawn in smaller lanes, from when these were wanted often."""
    model, prefix = fresh(lanes=1), some(9, 20)
    drawn_in = lanes_of(model, monkeypatch)
    for _ in range(OFTEN):
        model.sample(prefix, 16, Sampling(max_tokens=70, stop=(1,)), seed=112)
    drawn_in.clear()
    candidates = model.sample(prefix, 16, Sampling(max_tokens=70, stop=(1,)), seed=112)
    assert list(dict.fromkeys(drawn_in)) == [16, 8, 4]
    left = [sum(len(candidate.tokens) > steps for candidate in candidates) for steps in (16, 32, 48)]
    assert 8 >= left[0] > 4 >= left[1] and left[2] > 0
    assert_logprobs_are_plain(model, prefix, candidates)
    assert_ratings_of_drawn_are_plain(model, prefix, candidates)


def assert_ratings_of_drawn_are_plain(model, prefix, candidates):
    replies = [candidate.tokens for candidate in candidates]
    assert {reply for read in model._drawn.get(prefix) for reply in read.place} == set(replies)
    gaps = model.rate(prefix, replies, QUESTIONS, 2, 3)
    np.testing.assert_allclose(gaps, plain_gaps(model, prefix, replies), atol=1e-4)


def test_a_lane_that_never_stands_still_goes_round_and_round(fresh):
    """Its keys and values lie at the step's number modulo 16: requests join at any step, and it goes on."""
    model, together = fresh(groups=2, lanes=1), threading.Barrier(2)
    sampling = Sampling(max_tokens=15, stop=(1, 2, 3, 4, *range(30, 40)))

    def draw(thread):
        together.wait(300)
        prefixes = [some(thread, 9 + n) for n in range(12)]
        return [(prefix, model.sample(prefix, 4, sampling, seed=0)) for prefix in prefixes]

    with ThreadPoolExecutor(2) as threads:
        drawn = [each for thread in threads.map(draw, (10, 11)) for each in thread]
    (lane,) = model._lanes._idle
    assert lane.shape[2] == 16 and int(lane._stages[0].lane.step) > 5 * 16
    for prefix, candidates in drawn:
        whole = [candidate for candidate in candidates if not candidate.finished]
        assert_logprobs_are_plain(model, prefix, whole)
        assert_ratings_of_drawn_are_plain(model, prefix, candidates)


def test_no_candidates_and_questions_of_no_tokens(fresh):
    model, prefix = fresh(), some(12, 20)
    assert model.sample(prefix, 0, Sampling(), seed=0) == []
    drawn = [candidate.tokens for candidate in model.sample(prefix, 4, Sampling(max_tokens=15), seed=0)]
    for replies in (drawn, [(7, 8), ()]):
        gaps = model.rate(prefix, replies, [(), (4,)], 2, 3)
        np.testing.assert_allclose(gaps, plain_gaps(model, prefix, replies, [(), (4,)]), atol=1e-4)


def test_a_lane_that_a_group_could_not_join_is_not_used_again(fresh, monkeypatch):
    model, prefix, join = fresh(), some(13, 20), drawing.join
    sampling, joined = Sampling(max_tokens=15, stop=()), []

    def fail(groups, lane, *rest):
        joined.append(join(groups, lane, *rest))  # which takes their memory
        if len(joined) == 2:
            raise MemoryError("as if none was left")
        return joined[-1]

    with monkeypatch.context() as patched:
        patched.setattr(drawing, "join", fail)
        with pytest.raises(MemoryError):
            model.sample(prefix, 32, sampling, seed=0)  # in the lane of the first sixteen
    again = model.sample(prefix, 16, sampling, seed=0)
    assert again == fresh().sample(prefix, 16, sampling, seed=0)


def test_long_replies_are_read_some_at_a_time_and_rated_as_alone(model):
    rng = np.random.default_rng(8)
    replies = [tuple(rng.integers(2, 50, 300).tolist()) for _ in range(5)]
    sizes = [len(some) for some in portions(replies, [300] * 5, TREES[-1] - 1)]
    assert sizes == [3, 2]
    together = model.rate((7, 8), replies, QUESTIONS, 2, 3)
    for reply, gaps in zip(replies, together, strict=True):
        np.testing.assert_allclose(gaps, model.rate((7, 8), [reply], QUESTIONS, 2, 3)[0], atol=1e-4)


@given(st.lists(st.integers(1, 30)), st.integers(1, 40))
def test_portions_hold_all_texts_in_order_and_are_no_larger_than_they_may_be(sizes, most):
    texts = [(number,) * size for number, size in enumerate(sizes)]
    found = list(portions(texts, sizes, most))
    assert [text for some in found for text in some] == texts
    assert all(sum(map(len, some)) <= most or len(some) == 1 for some in found)
    for some, (first, *_) in itertools.pairwise(found):
        assert sum(map(len, some)) + len(first) > most
