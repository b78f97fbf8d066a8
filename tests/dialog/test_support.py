"""Citations are checked by rule: what a sentence states stands in what it cites, or it is marked."""

import pytest

from openlamda.dialog import citations
from openlamda.dialog.support import MAX_QUOTE, claims, quote, sentences
from openlamda.text.dialog import Result

KRAIM = Result("Kraim / height / 12 metres", "https://example.org/1", "Kraim", "2026-01-02T03:04:05+00:00")
SORN = Result("Sorn lies on the Oude. It was built on 3 May 1990 by Ana Brouth.", "https://example.org/2", "Sorn")
SUM = Result("7856")


def verdicts(reply, *results, given=()):
    return [claim.verdict for claim in claims(reply, results, given)]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Kraim is 12 metres high. [1]", "supported"),
        ("Kraim is twelve metres high [1].", "supported"),
        ("Kraim is 13 metres high. [1]", "not in the source"),
        ("It is high. [1]", "nothing to check"),
        ("Kraim is 12 metres high.", "no source"),
        ("That makes 7,856.", "supported"),
        ("Kraim is high.", "nothing to check"),
        ("It was built on 1990-05-03. [2]", "supported"),
        ("It was built in June 1990. [2]", "not in the source"),
        ("It was built by ana Brouth in 1990. [1]", "not in the source"),
        ("Brouth built it when Kraim was 12 metres high. [1] [2]", "supported"),
    ],
)
def test_a_sentence_is_held_against_what_it_cites(reply, verdict):
    assert verdicts(reply, KRAIM, SORN, SUM) == [verdict]


@pytest.mark.parametrize(
    "reply",
    [
        "Kraim is 12 metres high.\n[1]",
        "Kraim is 12 metres high.\n\n[1] [2]",
        "[1] Kraim is 12 metres high.",
        "[1]\nKraim is 12 metres high.",
    ],
)
def test_marks_alone_belong_to_the_sentence_before_them_or_to_the_first(reply):
    assert verdicts(reply, KRAIM, SORN) == ["supported"]


def test_each_sentence_has_its_own_verdict():
    reply = "Kraim is 12 metres high. [1] Sorn is from 1890. [2] That is old."
    assert verdicts(reply, KRAIM, SORN) == ["supported", "not in the source", "nothing to check"]
    assert claims(reply, [KRAIM, SORN])[1].missing == ("1890",)


def test_a_mark_at_the_end_covers_the_sentences_before_it():
    found = claims("Sorn lies on the Oude. It is from 1990. [2] Kraim has 12. [1]", [KRAIM, SORN])
    assert [claim.cites for claim in found] == [(2,), (2,), (1,)]
    assert {claim.verdict for claim in found} == {"supported"}


def test_an_answer_about_one_thing_from_a_passage_on_another_is_not_in_the_source():
    asked = ["How high is the Old Rock, was it named by Marlowe?"]
    assert verdicts("The Old Rock is 12 metres high. [1]", KRAIM, given=asked) == ["not in the source"]
    assert verdicts("Yes, Marlowe named it. [1]", KRAIM, given=asked) == ["not in the source"]
    assert verdicts("It is by Sorn. [1]", Result("It was built in 1990.", "https://example.org", "Sorn")) == [
        "supported"
    ]


def test_what_the_user_said_needs_no_source_unless_one_is_given():
    assert verdicts("It has 13.", KRAIM, given=["Is it 13?"]) == ["nothing to check"]
    assert verdicts("It has 13. [1]", KRAIM, given=["Is it 13?"]) == ["not in the source"]


def test_sentences_keep_their_marks_and_numbers_their_points():
    text = "It is 5.5 km long. [1][2] Dr. Sorn and J. Brouth said so! [3]\nNo? Yes [1] Then on."
    assert sentences(text) == [
        "It is 5.5 km long. [1][2]",
        "Dr. Sorn and J. Brouth said so! [3]",
        "No?",
        "Yes [1]",
        "Then on.",
    ]


def test_a_quote_is_a_part_of_the_passage_word_for_word():
    assert quote(SORN.text, "It is from 1990.") == "It was built on 3 May 1990 by Ana Brouth."
    assert quote(SORN.text, "It is by the Oude") == "Sorn lies on the Oude."
    assert quote(SORN.text, "It is green") == ""
    assert len(quote("1990 " * 1000, "in 1990")) == MAX_QUOTE


def test_a_source_says_when_it_was_read_what_it_has_and_whether_that_is_enough():
    reply = "Kraim is 12 metres high. [1] It was built in 1890. [2]"
    first, second = citations.sources(reply, [KRAIM, SORN], claims(reply, [KRAIM, SORN]))
    assert (first.k, first.title, first.fetched) == (1, "Kraim", "2026-01-02T03:04:05+00:00")
    assert (first.quote, first.support) == ("Kraim / height / 12 metres", "supported")
    assert (second.quote, second.support) == ("", "not in the source")
    both = reply + " Kraim is 13. [1]"
    assert citations.sources(both, [KRAIM, SORN], claims(both, [KRAIM, SORN]))[0].support == "not in the source"
