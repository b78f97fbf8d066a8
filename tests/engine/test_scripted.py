"""The fake models keep the rules of the seam, so that a pipeline tested with them meets no surprise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.engine.base import Sampling
from openlamda.engine.scripted import RandomModel, ScriptedModel, by_end


def test_the_first_script_whose_end_fits_is_said():
    model = ScriptedModel(by_end(((5, 6), [(30,)]), ((6,), [(31,), (32,)])))
    assert [c.tokens for c in model.sample((1, 5, 6), 2, Sampling(), 0)] == [(30,), (30,)]
    assert [c.tokens for c in model.sample((6,), 3, Sampling(), 0)] == [(31,), (32,), (31,)]
    with pytest.raises(LookupError, match="no continuation"):
        model.sample((7,), 1, Sampling(), 0)


def test_a_stop_token_ends_a_candidate_and_is_not_part_of_it():
    model = ScriptedModel(by_end(((), [(30, 31, 9, 32)])))
    (stopped,) = model.sample((), 1, Sampling(stop=(9,)), 0)
    assert stopped.tokens == (30, 31) and stopped.finished and stopped.logprob == -3
    (cut,) = model.sample((), 1, Sampling(stop=(9,), max_tokens=2), 0)
    assert cut.tokens == (30, 31) and not cut.finished


@given(
    prefix=st.lists(st.integers(0, 59), max_size=8).map(tuple),
    banned=st.sets(st.integers(0, 40)).map(tuple),
    max_tokens=st.integers(1, 12),
    seed=st.integers(),
)
def test_random_candidates_obey_sampling_and_seed(prefix, banned, max_tokens, seed):
    model = RandomModel(60)
    sampling = Sampling(banned=banned, max_tokens=max_tokens)
    drawn = model.sample(prefix, 5, sampling, seed)
    assert drawn == model.sample(prefix, 5, sampling, seed)
    for candidate in drawn:
        assert len(candidate.tokens) <= max_tokens and candidate.logprob < 0
        assert not {*banned, *sampling.stop} & set(candidate.tokens)
    continuations = [(3,), (3, 4)]
    scores = model.score(prefix, continuations)
    assert scores == model.score(prefix, continuations)
    assert [len(score) for score in scores] == [1, 2] and all(value <= 0 for score in scores for value in score)
