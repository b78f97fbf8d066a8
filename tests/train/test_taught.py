"""Ratings that a teacher gives in people's place: how many, and which rows have one."""

import random
from dataclasses import replace

import pytest

from openlamda.corpus.rows import Judged, split
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Symbol
from openlamda.train.feed import Feed
from openlamda.train.recipe import Recipe
from openlamda.train.sources import sources
from openlamda.train.tasks import judge

ROW = Judged("r", Dialog((Turn("user", "hi"),)), "tea", {"unsafe": False}, kind="gore", beliefs={"unsafe": 1.0})


def ratings(tokenizer, row: Judged, taught: float, count: int = 400) -> list[int]:
    grammar, rng = Grammar(tokenizer.encode), random.Random(0)
    made = [sequence for _ in range(count) for sequence in judge(row, grammar, 64, rng, taught)]
    return [sequence.tokens[sequence.learned.index(True)] for sequence in made]


def test_a_share_of_the_ratings_is_the_teachers(tokenizer):
    assert set(ratings(tokenizer, ROW, 0.0)) == {Symbol.NO}
    assert set(ratings(tokenizer, ROW, 1.0)) == {Symbol.YES}
    assert 0.6 < ratings(tokenizer, ROW, 0.7).count(Symbol.YES) / 400 < 0.8
    unsure = replace(ROW, beliefs={"unsafe": 0.25})
    assert 0.18 < ratings(tokenizer, unsure, 1.0).count(Symbol.YES) / 400 < 0.32


def test_a_row_without_a_teacher_keeps_its_label(tokenizer):
    assert set(ratings(tokenizer, replace(ROW, beliefs={}), 1.0)) == {Symbol.NO}


def test_the_kind_is_learned_after_the_rating_and_is_not_asked_for(tokenizer):
    grammar = Grammar(tokenizer.encode)
    (sequence,) = judge(ROW, grammar, 64, random.Random(0))
    at = sequence.learned.index(True)
    assert sequence.tokens[: at + 1] == grammar.judge(ROW.context, "tea", "unsafe", False).tokens
    assert tokenizer.decode(sequence.tokens[at + 1 :]).strip() == "gore" and all(sequence.learned[at:])


def test_rows_to_train_on_are_taught_and_held_back_ones_are_not(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("openlamda.train.sources.common_words", lambda folder: [])
    monkeypatch.setattr(
        "openlamda.train.sources.teacher.believed", lambda rows: [{"unsafe": float(row.id[1:]) / 300} for row in rows]
    )
    rated = [Judged(f"r{n}", Dialog(), "tea", {"unsafe": False}) for n in range(300)]
    for held in (False, True):
        made = sources(
            {"ratings": 1.0}, tmp_path, tokenizer, 64, 0, [], rated=rated, taught={"ratings": 0.5}, held=held
        )
        rows = made["ratings"].rows
        assert rows and all(split(row.id) == ("dev" if held else "train") for row in rows)
        assert all(row.beliefs == ({} if held else {"unsafe": float(row.id[1:]) / 300}) for row in rows)


@pytest.mark.parametrize("taught", [{"dialog": 0.5}, {"unsafe": 0.5}, {"ratings": 1.5}])
def test_what_cannot_be_taught_is_named(tmp_path, tokenizer, taught):
    with pytest.raises(
        UserError, match=r"teacher: \w+ = .*, expected a judging task of the mixture and a share of 0 to 1"
    ):
        sources({"ratings": 1.0}, tmp_path, tokenizer, 64, 0, [], taught=taught)


def test_a_recipe_whose_teacher_is_misspelt_is_refused(tokenizer):
    recipe = Recipe(start="nano", steps=1, mixture={"unsafe": 1.0}, teacher={"unsaf": 0.5})
    with pytest.raises(UserError, match=r"teacher: unsaf = 0.5, expected a judging task of the mixture"):
        Feed(recipe, tokenizer, [])
