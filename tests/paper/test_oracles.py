"""Numbers of the paper that hold whatever the code looks like."""

import pytest

from openlamda.dialog.rank import WEIGHTS
from openlamda.engine.base import Sampling
from openlamda.errors import UserError
from openlamda.evaluate import mtb
from openlamda.text.dialog import Dialog, Turn
from openlamda.train.tasks import check_shares

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
