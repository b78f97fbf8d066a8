"""Requests at the same time: each gets what it gets alone, whoever comes and goes beside it; memory is bounded."""

import gc
import random
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from openlamda.engine import lanes
from openlamda.engine.base import Cancelled, Limits, Sampling, rate_by_score
from openlamda.engine.local import LocalModel
from openlamda.loading import SHIPPED
from openlamda.model import params as weights
from openlamda.model import weights as weights_on_disk
from openlamda.model.config import ModelConfig

TINY = ModelConfig(num_layers=2, d_model=16, num_heads=2, d_head=16, d_ff=64, vocab_size=50)
PARAMS = weights.init(TINY, jax.random.key(3))
QUESTIONS = [(4,), (5,), (6, 7), (6, 8)]
COMPANIES = {"lanes": {"groups": 1, "lanes": 2}, "groups": {"groups": 4, "lanes": 1}}

SHORT = [
    Sampling(max_tokens=15, stop=(1,)),
    Sampling(max_tokens=12, stop=(1, 2, 3, 4, *range(30, 40)), top_k=5),
    Sampling(max_tokens=9, stop=(), temperature=0),
    Sampling(max_tokens=15, stop=(1,), top_k=0, top_p=0.7, temperature=1.5),
    Sampling(max_tokens=15, stop=(1,), top_k=0, min_p=0.05, banned=(5, 6), min_tokens=7),
    Sampling(max_tokens=1, stop=(1,), first=tuple(range(20, 40))),
]
BLOCKED = Sampling(max_tokens=15, stop=(1,), top_k=3, block_ngram=2, context_block_ngram=3)
LONG = Sampling(max_tokens=40, stop=(1, 2, 3))
ENDLESS = Sampling(max_tokens=79, stop=())


def some(seed, length):
    return tuple(np.random.default_rng(seed).integers(5, 50, length).tolist())


@pytest.fixture(scope="module")
def alone():
    """What comes of a request without company, by a model that draws one group at a time."""
    model, known = LocalModel(PARAMS, TINY, groups=1, lanes=1), {}

    def sample(prefix, n, sampling, seed):
        key = prefix, sampling, seed
        if len(known.get(key, ())) < n:
            known[key] = model.sample(prefix, n, sampling, seed)
        return known[key][:n]

    return sample


def wait_until_idle(model):
    """Results come a moment before the lane is given back."""
    end = time.monotonic() + 300
    while not model._scheduler.idle:
        assert time.monotonic() < end
        time.sleep(0.001)


def idle_stages(model):
    wait_until_idle(model)
    return [stage for lane in model._lanes._idle if isinstance(lane, lanes.Lane) for stage in lane._stages]


def assert_same(candidates, expected):
    assert [(one.tokens, one.finished) for one in candidates] == [(one.tokens, one.finished) for one in expected]
    np.testing.assert_allclose([one.logprob for one in candidates], [one.logprob for one in expected], atol=1e-3)


@pytest.mark.slow
def test_with_the_model_that_ships_candidates_are_the_same_to_the_last_bit_in_bfloat16():
    if not weights_on_disk.multiplies_bfloat16():
        pytest.skip("a CPU that makes float32 of bfloat16 factors adds their products up in another order")
    params, config = weights_on_disk.load(SHIPPED, "bfloat16")
    alone, together = LocalModel(params, config, lanes=1), LocalModel(params, config)  # as a CPU has it: a group a lane
    asked = [(tuple(some(seed, 20)), seed) for seed in range(8)]
    sampling = Sampling(max_tokens=31)
    expected = {request: alone.sample(request[0], 16, sampling, request[1]) for request in asked}
    for n in (1, 4, 16):
        assert together.sample(asked[0][0], n, sampling, asked[0][1]) == expected[asked[0]][:n]
    with ThreadPoolExecutor(16) as pool:
        found = pool.map(lambda request: together.sample(request[0], 16, sampling, request[1]), asked * 3)
    for request, candidates in zip(asked * 3, found, strict=True):
        assert candidates == expected[request]


@pytest.mark.parametrize("company", COMPANIES)
@pytest.mark.parametrize("sampling", [SHORT[0], SHORT[1], SHORT[2], SHORT[3]])
def test_candidates_are_the_same_however_many_are_asked_for(alone, company, sampling):
    model, expected = LocalModel(PARAMS, TINY, **COMPANIES[company]), alone(some(0, 30), 20, sampling, 7)
    for n in (20, 1, 4, 16):
        assert_same(model.sample(some(0, 30), n, sampling, 7), expected[:n])
    distinct = len({candidate.tokens for candidate in expected})
    assert distinct == 1 if sampling.temperature == 0 else distinct > 10


@pytest.fixture
def watched(monkeypatch):
    """Calls what is in it after each step of a lane, with the requests that were in the lane."""
    watching, step = [], lanes.Lane.step

    def watch(lane):
        requests = [work.request for work in lane._works if work is not None]
        ended = step(lane)
        for call in watching:
            call(requests)
        return ended

    monkeypatch.setattr(lanes.Lane, "step", watch)
    return watching


def requests(seed, count):
    rng = random.Random(seed)
    for number in range(count):
        prefix = some(rng.randrange(6), rng.choice([1, 2, 17, 33, 60]))
        yield rng.choice([(prefix, n, sampling, number % 3) for n in (1, 4, 16, 20) for sampling in SHORT])
    for number in range(count // 4):
        yield some(number, 20), 4, BLOCKED, number
        yield some(number, 20), 4, LONG, number


@pytest.mark.parametrize("company", COMPANIES)
def test_candidates_are_the_same_in_any_company(alone, company, watched):
    model, together = LocalModel(PARAMS, TINY, **COMPANIES[company]), set()
    watched.append(lambda requests: together.add(len(requests)))
    for seed in range(3):
        asked = list(requests(seed, 16))
        random.Random(seed).shuffle(asked)
        with ThreadPoolExecutor(8) as threads:
            drawn = list(threads.map(lambda request: model.sample(*request), asked))
        for request, candidates in zip(asked, drawn, strict=True):
            assert_same(candidates, alone(*request))
    assert max(together) == 1 if company == "lanes" else max(together) > 1


@pytest.mark.parametrize("company", COMPANIES)
def test_ratings_are_the_same_in_any_company(alone, company):
    model, reader = LocalModel(PARAMS, TINY, **COMPANIES[company]), LocalModel(PARAMS, TINY)

    def draw_and_rate(number):
        prefix, sampling = some(number, 20), SHORT[number % 2]
        replies = [candidate.tokens for candidate in model.sample(prefix, 4, sampling, number)]
        known = {reply for part in model._drawn.get(prefix) or () for reply in part.place}
        return prefix, replies, known, model.rate(prefix, replies, QUESTIONS, 2, 3)

    with ThreadPoolExecutor(8) as threads:
        for number, (prefix, replies, known, gaps) in enumerate(threads.map(draw_and_rate, range(16))):
            assert replies == [candidate.tokens for candidate in alone(prefix, 4, SHORT[number % 2], number)]
            assert known == set(replies)  # so they were not read again
            np.testing.assert_allclose(gaps, rate_by_score(reader, prefix, replies, QUESTIONS, 2, 3), atol=1e-4)


@pytest.mark.parametrize("company", COMPANIES)
def test_those_who_are_cancelled_half_way_change_nothing_for_others(alone, company, watched):
    model = LocalModel(PARAMS, TINY, **COMPANIES[company])
    events, steps = {number: threading.Event() for number in range(0, 12, 2)}, dict.fromkeys(range(0, 12, 2), 0)

    def cancel(requests):
        for request in requests:
            if request.seed in steps and request.first == 0:
                steps[request.seed] += 1
                if steps[request.seed] == 2 + request.seed % 3:
                    events[request.seed].set()

    def draw(number):
        limits, sampling = Limits(cancelled=events.get(number)), LONG if number % 4 == 1 else ENDLESS
        try:
            return sampling, model.within(limits).sample(some(number, 20), 4, sampling, number)
        except Cancelled:
            return sampling, None

    watched.append(cancel)
    with ThreadPoolExecutor(6) as threads:
        drawn = list(threads.map(draw, range(12)))
    for number, (sampling, candidates) in enumerate(drawn):
        if number in events:
            assert candidates is None and steps[number] == 2 + number % 3
        else:
            assert_same(candidates, alone(some(number, 20), 4, sampling, number))
    for stage in idle_stages(model):  # nobody is drawn on for nobody
        assert not stage.lane.drawing_GP.any()


def test_limits_hold_for_all_that_a_model_does():
    cancelled = threading.Event()
    model = LocalModel(PARAMS, TINY, groups=1, lanes=1).within(Limits(cancelled=cancelled))
    (score,) = model.score((5, 6), [(7,)])
    assert len(score) == 1
    cancelled.set()
    for call in (
        lambda: model.sample((5, 6), 4, SHORT[0], 0),
        lambda: model.score((5, 6), [(7,)]),
        lambda: model.rate((5, 6), [(7,)], QUESTIONS, 2, 3),
    ):
        with pytest.raises(Cancelled):
            call()


def bytes_of(arrays):
    return sum(array.nbytes for array in jax.tree.leaves(arrays))


def test_an_engine_that_nobody_uses_frees_its_memory_at_once():
    model = LocalModel(weights.init(TINY, jax.random.key(4)), TINY, groups=1)
    for sampling in (SHORT[0], SHORT[2], Sampling(beams=2, max_tokens=5, stop=())):
        model.sample((5, 6), 1, sampling, seed=0)
    wait_until_idle(model)
    assert len(model._lanes._idle) == 3
    embedding = weakref.ref(model._weights.top["embed"])
    gc.disable()
    try:
        del model
        end = time.monotonic() + 10
        while embedding() is not None and time.monotonic() < end:  # a thread may be about to end
            time.sleep(0.001)
        assert embedding() is None
    finally:
        gc.enable()


def test_memory_is_bounded():
    gc.collect()
    before, most = bytes_of(jax.live_arrays()), 2**20
    model = LocalModel(PARAMS, TINY, groups=1, lanes=2, cache_bytes=most)
    for number, request in enumerate(request for seed in (3, 4, 5) for request in requests(seed, 16)):
        prefix, n, sampling, seed = request
        prefix += some(number, 40)
        replies = [candidate.tokens for candidate in model.sample(prefix, n, sampling, seed)]
        model.rate(prefix, replies[:4], QUESTIONS, 2, 3)
    assert len(model._texts.blocks) <= model._texts.blocks.most <= most // 3 // (16 * 512)  # a token has 512 bytes
    caches = [cache.layers for (cache, _), _ in model._texts.whole._kept.values()]
    drawn = [part.own for parts, _ in model._drawn._kept.values() for part in parts]
    for kept in (caches, drawn):
        assert most // 9 < bytes_of(kept) <= most // 3
    assert len(model._lanes._idle) <= lanes.KEPT
    of_lanes = bytes_of([(stage.groups, stage.lane) for stage in idle_stages(model)])
    gc.collect()
    held = bytes_of([caches, drawn, model._weights]) + of_lanes + len(model._texts.blocks) * 16 * 512
    assert bytes_of(jax.live_arrays()) - before < held + 2**15  # and nothing else is held
    fresh = LocalModel(PARAMS, TINY)
    np.testing.assert_allclose(model.score(some(0, 60), [(5, 6)]), fresh.score(some(0, 60), [(5, 6)]), atol=1e-5)
