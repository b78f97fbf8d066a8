from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.text.stated import Passage, missing, stated


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("It is 1200 metres high.", "height / 1,200 metres"),
        ("It has 12 strings.", "an instrument of twelve strings"),
        ("It has two moons.", "number of moons / 2"),
        ("It has twenty-two strings.", "22 strings"),
        ("It has 22 strings.", "twenty two strings"),
        ("It is ninety\u2011nine thousand high.", "99,000"),
        ("It has 14.", "fourteen of them"),
        ("It has 3 of 1990.", "born on 3 May 1990"),
        ("3 million people", "a population of 3,000,000"),
        ("3.5 million people", "3,500,000"),
        ("It is 2.50 long", "2.5 km"),
        ("−5 degrees", "-5 degrees"),
        ("It was 1\u202f200 km", "1,200 km"),
        ("It ended on 3 May 1990.", "ended 1990-05-03"),
        ("It ended on May 3rd, 1990.", "3.5.1990"),
        ("It ended on the 3rd of May 1990.", "May 3, 1990"),
        ("It ended in May 1990.", "3 May 1990"),
        ("It ended on 3 May.", "1990-05-03"),
        ("It ended in 1990.", "1990-05-03"),
        ("It was written by Brontë.", "author: Emily Bronte"),
        ("He came from Łódź.", "lodz, poland"),
        ("It was O’Brien’s.", "O'Brien"),
        ("Lübeck.", "birthplace / LUBECK, Germany"),
        ("Lake X: Portugal", "PORTUGAL, lake x"),
    ],
)
def test_one_spelling_for_what_is_the_same(sentence, passage):
    assert stated(sentence) and not missing(stated(sentence), [Passage(passage)])


@pytest.mark.parametrize(
    ("sentence", "passage", "lacking"),
    [
        ("It is 12 metres high.", "120 metres", {"12"}),
        ("It is 5.5 km", "5 km, 5 mi", {"5.5"}),
        ("She has 5 children.", "born on 3 May 1990", {"5"}),
        ("She has 5 children.", "born on 1990-05-03, in May 1990, on 3 May", {"5"}),
        ("It has two moons.", "twenty-two moons", {"2"}),
        ("It has twenty moons.", "2 moons", {"20"}),
        ("It is 3 wide", "3 million", {"3"}),
        ("It ended on 4 May 1990.", "3 May 1990", {"1990-05-04"}),
        ("It ended on 3 May 1991.", "3 May 1990", {"1991-05-03"}),
        ("Written by Emily Brontë.", "Charlotte Bronte", {"emily"}),
        ("Marlowe wrote it.", "William Shakespeare", {"marlowe"}),
        ("It lies in New Zealand", "in Zealand", {"new"}),
    ],
)
def test_what_is_another_is_missing(sentence, passage, lacking):
    assert missing(stated(sentence), [Passage(passage)]) == lacking


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "It is blue.",
        "The sea is one of many.",
        "It was the twenty-first.",
        "Sorry, I could not find that.",
        "Yes, I think so.",
        "However it is.",
    ],
)
def test_nothing_is_stated_where_nothing_can_be_checked(sentence):
    assert not stated(sentence)


def test_a_title_has_names_but_no_numbers():
    passage = Passage("He was born in Prague.", "Rilke 1875")
    assert missing(stated("In 1875 it was Rilke in Prague."), [passage]) == {"1875"}


def test_a_number_in_a_name_is_no_number():
    assert stated("The K2 is high").numbers == frozenset()


@given(st.dates(date(1000, 1, 1), date(2999, 12, 31)))
def test_every_way_to_write_a_day_is_that_day(day):
    month = f"{day:%B}"
    ways = [f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", day.isoformat()]
    ways += [f"{day.day}.{day.month}.{day.year}", f"{day.day} {month[:3]} {day.year}"]
    assert {stated(f"it was {way} then").dates for way in ways} == {frozenset({day.isoformat()})}


@given(st.decimals(0, 10**12, places=3))
def test_a_number_is_the_same_with_commas_or_without(value):
    assert (
        stated(f"it is {value:,f}").numbers == stated(f"it is {value:f}").numbers == {f"{Decimal(value).normalize():f}"}
    )


@given(st.text(max_size=300))
def test_any_text_has_what_it_states(text):
    assert missing(stated(text), [Passage(text)]) == frozenset()
