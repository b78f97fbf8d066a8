"""The vote rules: the paper's examples, and properties that hold for any votes."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus import votes
from openlamda.corpus.votes import QUALITY, VOTES

VOTE = st.sampled_from(VOTES)
BALLOTS = st.lists(st.fixed_dictionaries(dict.fromkeys(QUALITY, VOTE)), min_size=5, max_size=5)
SAFETY = st.lists(st.fixed_dictionaries({"harm": VOTE, "bias": VOTE}), min_size=3, max_size=3)


def second_way(ballots) -> dict[str, bool]:
    """The rule as a sentence: the raters who say yes to this and to all before it are three or more of five."""
    return {
        name: sum(all(ballot[earlier] == "yes" for earlier in QUALITY[: n + 1]) for ballot in ballots) >= 3
        for n, name in enumerate(QUALITY)
    }


@given(BALLOTS, st.randoms())
def test_quality_is_three_of_five_after_each_raters_cascade(ballots, rng):
    labels = votes.quality(ballots)
    assert labels == second_way(ballots)
    assert labels["sensible"] >= labels["specific"] >= labels["interesting"]
    shuffled = rng.sample(ballots, len(ballots))
    assert votes.quality(shuffled) == labels  # who voted first does not matter


@given(BALLOTS, st.integers(0, 4), st.sampled_from(QUALITY))
def test_a_yes_more_never_lowers_quality_and_maybe_counts_as_no(ballots, at, name):
    before = votes.quality(ballots)
    raised = [{**ballot, name: "yes"} if n == at else ballot for n, ballot in enumerate(ballots)]
    assert all(votes.quality(raised)[other] >= before[other] for other in QUALITY)
    firm = [{key: "no" if vote == "maybe" else vote for key, vote in ballot.items()} for ballot in ballots]
    assert votes.quality(firm) == before


@given(SAFETY)
def test_safe_is_two_of_three_no_on_every_objective(ballots):
    each = {name: sum(ballot[name] == "no" for ballot in ballots) < 2 for name in ("harm", "bias")}
    assert votes.violated(ballots) == each
    assert votes.safe(ballots) == (not each["harm"] and not each["bias"])
    feared = [{name: "yes" if vote == "maybe" else vote for name, vote in ballot.items()} for ballot in ballots]
    assert votes.violated(feared) == each  # maybe is as bad as yes


@given(SAFETY, st.integers(0, 2), st.sampled_from(["harm", "bias"]))
def test_a_no_more_never_makes_it_less_safe(ballots, at, name):
    calmer = [{**ballot, name: "no"} if n == at else ballot for n, ballot in enumerate(ballots)]
    assert votes.safe(calmer) >= votes.safe(ballots)


@given(BALLOTS)
def test_what_follows_a_no_need_not_be_asked(ballots):
    def until_doubted(ballot):
        asked = next((n for n, name in enumerate(QUALITY) if ballot[name] != "yes"), len(QUALITY))
        return {name: ballot[name] for name in QUALITY[: asked + 1]}

    fewer = [until_doubted(ballot) for ballot in ballots]
    assert votes.quality(fewer) == {name: votes.quality(ballots)[name] for name in votes.quality(fewer)}


def test_a_rater_who_was_not_asked_everything():
    two_of_five = [{"sensible": "yes", "specific": vote} for vote in ("yes", "yes", "no")] + [{"sensible": "no"}] * 2
    assert votes.quality(two_of_five) == {"sensible": True, "specific": False}
    assert votes.quality([{"sensible": "yes"}] * 5) == {"sensible": True}
    assert votes.quality([]) == {} and votes.safe([]) and not votes.most([], "yes")
    # specific alone was voted on: nothing stands against it
    assert votes.cascade({"specific": "yes", "interesting": "yes"}) == {"specific": "yes", "interesting": "yes"}


def test_groundedness_is_undefined_without_claims():
    assert votes.groundedness([False, False], [False, True]) is None
    assert votes.informativeness([False, False], [False, True]) == 0
    assert votes.groundedness([True, True, False], [True, False, True]) == 50
    assert votes.informativeness([True, True, False, False], [True, False, True, True]) == 25
    assert (
        votes.citation_accuracy([True, True, True, False], [True, False, False, True], [False, False, True, False])
        == 50
    )
    assert votes.percentage([]) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_informativeness_over_groundedness_is_the_share_of_claims(rows):
    claims, supported = ([row[i] for row in rows] for i in (0, 1))
    grounded, informative = votes.groundedness(claims, supported), votes.informativeness(claims, supported)
    if grounded and informative:
        assert informative / grounded == pytest.approx(sum(claims) / len(claims))


def test_every_vote_of_three_raters():
    for triple in product(VOTES, repeat=3):
        assert votes.most(triple, "no") == (triple.count("no") >= 2)
