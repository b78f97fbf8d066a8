import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.tools.passages import split
from openlamda.tools.snippet import LENGTH, cut_around, marks

FILLER = "The town lies on the river and has a market on Fridays, which many people from the hills visit. " * 8
ANSWER = "The old lighthouse was built in 1846 by Alan Stevenson."


def test_a_short_text_is_left_as_it_is():
    assert cut_around("when", "It opens\n at nine.") == "It opens at nine."


@pytest.mark.parametrize("text", [FILLER + ANSWER, ANSWER + " " + FILLER, FILLER + ANSWER + " " + FILLER])
def test_the_sentence_that_answers_is_kept(text):
    cut = cut_around("Who built the lighthouse?", text)
    assert ANSWER in cut and len(cut) <= LENGTH
    assert cut.startswith("… ") == text.startswith("The town") and cut.endswith(" …") == text.rstrip().endswith(
        "visit."
    )


def test_a_rare_word_counts_more_than_frequent_ones():
    text = FILLER + "Its ferry leaves at seven. " + FILLER
    assert "ferry" in cut_around("when does the ferry leave the town on the river", text)


def test_without_a_hit_the_beginning_is_shown():
    assert cut_around("quasar", FILLER).startswith("The town lies")


def test_a_long_sentence_is_cut_between_words():
    text = " ".join(f"word{number}" for number in range(1000)) + " ferry " + " ".join("tail" for _ in range(500))
    cut = cut_around("ferry", text)
    assert "ferry" in cut and len(cut) <= LENGTH
    assert set(cut.split()) <= {*text.split(), "…"}


@given(st.text(), st.text() | st.text(" .!?abc\n", min_size=400, max_size=3000))
def test_what_is_cut_is_short_and_stands_in_the_text(query, text):
    cut = cut_around(query, text)
    assert len(cut) <= LENGTH
    assert cut.removeprefix("… ").removesuffix(" …") in " ".join(text.split())


def test_words_are_marked_in_whatever_form_they_stand():
    text = "Ångström measured wavelengths; he was measuring for years."
    assert [text[start:end] for start, end in marks("angstrom measures", text)] == ["Ångström", "measured", "measuring"]


@given(st.text("ab .\n", max_size=3000), st.integers(5, 300))
def test_a_text_is_split_without_loss_into_short_pieces(text, size):
    pieces = list(split(text, size))
    assert all(0 < len(piece) <= size for piece in pieces)
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)


def test_paragraphs_that_fit_stay_whole():
    first, second, third = "One. " * 10, "Two. " * 10, "Three. " * 10
    assert list(split(f"{first}\n\n{second}\n\n\n{third}", 110)) == [
        f"{first.strip()}\n\n{second.strip()}",
        third.strip(),
    ]


def test_sentences_of_a_long_paragraph_stay_whole():
    assert all(piece.endswith(".") for piece in split("A sentence of some words. " * 100, 200))
