"""How often each source is read, against numbers worked out by hand and the paper's shares."""

import pytest

from openlamda.corpus.mixture import epochs, weights
from openlamda.corpus.recipe import PRESETS, Mixture, Recipe, Source
from openlamda.errors import UserError

AVAILABLE = {"a": 8000, "b": 1000, "c": 1000}


@pytest.mark.parametrize(
    ("mixture", "expected"),
    [
        (Mixture(), {"a": 0.8, "b": 0.1, "c": 0.1}),
        (Mixture(cap=2000), {"a": 0.5, "b": 0.25, "c": 0.25}),
        (Mixture(method="equal"), {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        (Mixture(method="temperature", temperature=3), {"a": 0.5, "b": 0.25, "c": 0.25}),  # cube roots 20, 10, 10
        (Mixture(method="temperature", temperature=2, cap=4000), {"a": 0.5, "b": 0.25, "c": 0.25}),  # roots 2 : 1 : 1
        (Mixture(method="shares"), {"a": 0.6, "b": 0.3, "c": 0.1}),
    ],
)
def test_weights_by_hand(mixture, expected):
    assert weights(mixture, AVAILABLE, {"a": 0.6, "b": 0.3, "c": 0.1}) == pytest.approx(expected)


def test_without_a_budget_the_scarcest_source_decides():
    """b has 1000 tokens for 30 %: 3333 in all, so a is read 2000 / 8000 times, c 333 / 1000."""
    found = epochs(Mixture(method="shares"), AVAILABLE, {"a": 0.6, "b": 0.3, "c": 0.1})
    assert found == pytest.approx({"a": 0.25, "b": 1.0, "c": 1 / 3})


def test_a_budget_repeats_sources_up_to_the_limit():
    shares = {"a": 0.6, "b": 0.3, "c": 0.1}
    free = epochs(Mixture(method="shares", tokens=20_000, epochs=0), AVAILABLE, shares)
    assert free == pytest.approx({"a": 1.5, "b": 6.0, "c": 2.0})
    limited = epochs(Mixture(method="shares", tokens=20_000, epochs=3), AVAILABLE, shares)
    assert limited == pytest.approx({"a": 0.75, "b": 3.0, "c": 1.0})
    assert epochs(Mixture(), AVAILABLE, {}) == pytest.approx({"a": 1.0, "b": 1.0, "c": 1.0})


def test_the_papers_shares():
    sources = tuple(Source(name=name, paths=("x",)) for name in PRESETS["lamda"])
    recipe = Recipe(source=sources, mixture=Mixture(method="shares", preset="lamda"))
    recipe.check()
    found = list(recipe.shares().values())
    assert found == [0.5, 0.125, 0.125, 0.125, 0.0625, 0.0625] and sum(found) == 1
    some = Recipe(source=sources[:2], mixture=Mixture(method="shares", preset="lamda"))
    assert some.shares() == pytest.approx({"dialogs": 0.8, "c4": 0.2})  # what is missing leaves its share to the rest


def test_a_share_without_tokens_is_named():
    with pytest.raises(UserError, match="source 'b': no tokens are left"):
        weights(Mixture(method="shares"), {"a": 1, "b": 0}, {"a": 0.5, "b": 0.5})
    assert weights(Mixture(method="equal"), {"a": 1, "b": 0}, {}) == {"a": 1.0, "b": 0.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": ()}, "source: none"),
        ({"source": (Source(name="a", paths=("x",)), Source(name="a", paths=("y",)))}, "more than once"),
        ({"source": (Source(name="a", paths=()),)}, "without paths"),
        ({"row_tokens": 1}, "row_tokens: 1, expected 2 to 65535"),
        ({"mixture": Mixture(method="shares")}, "a sum of 0, expected positive shares that sum to 1"),
        ({"mixture": Mixture(epochs=0)}, "no limit"),
        ({"mixture": Mixture(preset="lamda")}, "expected method 'shares'"),
        ({"mixture": Mixture(method="shares", preset="lamda")}, r"sources \['a'\], expected only dialogs"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        Recipe(**{"source": (Source(name="a", paths=("x",)),), **change}).check()
