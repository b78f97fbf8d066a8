"""Numbers of the paper that hold whatever the code looks like."""

import pytest

from openlamda.corpus import votes
from openlamda.dialog import rank
from openlamda.dialog.judge import Judges, scores
from openlamda.dialog.rank import WEIGHTS
from openlamda.engine.base import Sampling, rate_by_score
from openlamda.errors import UserError
from openlamda.evaluate import mtb
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Symbol
from openlamda.train.sources import check_shares

MIX = {"forums": 0.5, "c4": 0.125, "code": 0.125, "wikipedia": 0.125, "web": 0.0625, "other languages": 0.0625}


def test_sampling_and_ranking_are_the_papers():
    assert (Sampling().top_k, Sampling().temperature) == (40, 1.0)  # section 3
    assert WEIGHTS == {"sensible": 3, "specific": 1, "interesting": 1}  # section 6.1


def test_the_papers_mixture_is_one():
    check_shares(MIX)  # appendix E
    with pytest.raises(UserError, match=r"the shares sum to 0\.9375"):
        check_shares({name: share for name, share in MIX.items() if name != "web"})


def test_mtb_is_315_500_and_662_contexts():
    contexts = [Dialog((Turn("user", "hi"),) * turns) for turns, n in ((1, 315), (2, 500), (3, 662)) for _ in range(n)]
    assert len(contexts) == 1477
    mtb.check(contexts)
    for wrong in (contexts[1:], [*contexts, contexts[0]], contexts[:-1] + contexts[:1], []):
        with pytest.raises(UserError, match=r"expected .* 1477 in all"):
            mtb.check(wrong)


# ---- fine-tuning (section 6.1)

ASKED = Dialog((Turn("user", "What's up?"),))
TABLE_28 = {  # sensible, specific, interesting -> their mean
    "PT 2B": (76.6, 46.5, 10.8, 44.6),
    "PT 8B": (79.1, 46.5, 11.3, 45.6),
    "PT 137B": (80.2, 49.8, 15.8, 48.6),
    "FT quality-safety 137B": (92.8, 77.1, 23.2, 64.4),
    "LaMDA 2B": (81.8, 74.8, 23.4, 60.0),
    "LaMDA 8B": (88, 77.4, 22.2, 62.5),
    "LaMDA 137B": (92.3, 79, 25.7, 65.7),
}


def test_the_response_alone_is_learned_by_the_generator_and_the_rating_alone_by_the_judge(tokenizer):
    grammar = Grammar(tokenizer.encode)
    said = tuple(tokenizer.encode("not much."))
    generated = grammar.generate(ASKED, "not much.")
    assert [t for t, learned in zip(generated.tokens, generated.learned, strict=True) if learned] == [*said, Symbol.EOS]
    for attribute, symbol, rating, said_last in (
        ("sensible", Symbol.SENSIBLE, True, Symbol.YES),
        ("interesting", Symbol.INTERESTING, False, Symbol.NO),
        ("unsafe", Symbol.UNSAFE, False, Symbol.NO),
    ):
        judged = grammar.judge(ASKED, "not much.", attribute, rating)
        assert judged.tokens == (*grammar.generate(ASKED).tokens, *said, symbol, said_last)
        assert judged.learned == (False,) * (len(judged.tokens) - 1) + (True,)


def test_p_safe_is_the_probability_that_unsafe_is_rated_no(tokenizer):
    class Model:
        def sample(self, prefix, n, sampling, seed):
            raise AssertionError

        def score(self, prefix, continuations):
            return [[0.0, 0.0, -0.1 if c[-1] == Symbol.NO else -2.4] for c in continuations]

        def rate(self, prefix, replies, questions, yes, no):
            return rate_by_score(self, prefix, replies, questions, yes, no)

    grammar = Grammar(tokenizer.encode)
    (found,) = scores(Model(), grammar, Judges(attributes=("unsafe",)), ASKED, [(300,)])
    assert found["safe"] == pytest.approx(1 / (1 + 2.718281828 ** (-2.4 + 0.1)))


def test_quality_is_three_one_one_and_a_splendid_unsafe_candidate_loses():
    assert rank.quality({"sensible": 0.5, "specific": 0.25, "interesting": 0.125}) == pytest.approx(1.875)
    splendid = {"sensible": 1.0, "specific": 1.0, "interesting": 1.0, "safe": 0.1}
    plain = {"sensible": 0.2, "specific": 0.0, "interesting": 0.0, "safe": 0.9}
    left = [scores for scores in (splendid, plain) if rank.is_safe(scores, {"safe": 0.5, "sensible": 0.9})]
    assert max(left, key=rank.quality) is plain


def test_votes_of_the_paper():
    three_of_five = ["yes", "yes", "yes", "maybe", "no"]
    assert votes.quality([{"sensible": vote} for vote in three_of_five]) == {"sensible": True}
    assert votes.safe([{"harm": "no"}, {"harm": "no"}, {"harm": "maybe"}])
    assert not votes.safe([{"harm": "no"}, {"harm": "maybe"}, {"harm": "maybe"}])
    one_fails = [{"harm": "no", "bias": "no"}, {"harm": "no", "bias": "yes"}, {"harm": "no", "bias": "maybe"}]
    assert votes.violated(one_fails) == {"harm": False, "bias": True} and not votes.safe(one_fails)


@pytest.mark.parametrize("system", TABLE_28)
def test_quality_of_table_28_is_the_mean_of_its_three(system):
    *three, mean = TABLE_28[system]
    assert votes.ssi(*three) == pytest.approx(mean, abs=0.05 + 1e-9)
