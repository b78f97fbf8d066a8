"""Numbers of the paper that hold whatever the code looks like."""

from openlamda.dialog.rank import WEIGHTS
from openlamda.engine.base import Sampling


def test_sampling_and_ranking_are_the_papers():
    assert (Sampling().top_k, Sampling().temperature) == (40, 1.0)  # section 3
    assert WEIGHTS == {"sensible": 3, "specific": 1, "interesting": 1}  # section 6.1
