"""What stands before a made question: other questions and their answers, small talk; and what speaks of them."""

from typing import TYPE_CHECKING

from openlamda.corpus.phrases import (
    ARITHMETIC_REPLIES,
    ATTRIBUTES,
    LANGUAGES,
    LOOKUP_REPLIES,
    NOT_FOUND,
    PLAIN_SUMS,
    SMALL_TALK,
    TRANSLATIONS,
    UNIT_REPLIES,
)
from openlamda.corpus.rows import Researched
from openlamda.text.dialog import Dialog, Turn

if TYPE_CHECKING:
    from openlamda.corpus.made import Maker

MAKERS = ("author", "painter", "composer", "director", "inventor", "discoverer", "founder", "architect")
OF_PEOPLE = ("year of birth", "year of death", "birthplace", "nationality", "profession", "known for")
"""Attributes that name people, and those that people have."""


def earlier(maker: "Maker", count: int) -> tuple[Turn, ...]:
    """So many questions and their answers."""
    return tuple(turn for _ in range(count) for turn in _exchange(maker))


def _exchange(maker: "Maker") -> tuple[Turn, Turn]:
    rng, draw = maker.rng, maker.rng.random()
    if draw < 0.2:
        return _talk(maker)
    if draw < 0.3:
        a, b = rng.randint(2, 900), rng.randint(2, 900)
        asked = rng.choice(PLAIN_SUMS["{a}+{b}"]).format(a=a, b=b)
        answer = rng.choice(ARITHMETIC_REPLIES).format(q=f"{a} + {b}", v=a + b)
    elif draw < 0.42:
        word, language = rng.choice(maker.words), rng.choice(LANGUAGES)
        asked = rng.choice(TRANSLATIONS).format(w=word, l=language)
        answer = rng.choice(UNIT_REPLIES).format(w=word, l=language, v=maker.plain("word"))
    else:
        attribute = rng.choice(list(ATTRIBUTES))
        kind, questions = ATTRIBUTES[attribute]
        entity = maker.entity()
        asked = rng.choice(questions).format(e=entity, a=attribute)
        answer = rng.choice(LOOKUP_REPLIES).format(e=entity, a=attribute, v=maker.value(kind), k="")
    if rng.random() < 0.12:
        answer = rng.choice(NOT_FOUND)
    return Turn("user", maker.ask(asked)), Turn("agent", answer[0].upper() + answer[1:])


def _talk(maker: "Maker") -> tuple[Turn, Turn]:
    """Something that is no question for a tool, and an answer to it."""
    rng = maker.rng
    pair, word = rng.choice(SMALL_TALK), rng.choice(maker.words)
    said, answer = (rng.choice(pair[side]).format(x=word) for side in ("said", "answers"))
    said = said[0].upper() + said[1:] if rng.random() < 0.5 else said
    return Turn("user", said + rng.choice(("", "", "", "!", ".", "?"))), Turn("agent", answer[0].upper() + answer[1:])


def small_talk(maker: "Maker") -> Researched:
    """Small talk, at first or after questions: nothing is looked up."""
    rng = maker.rng
    before = () if rng.random() < 0.4 else earlier(maker, rng.choice((1, 1, 2, 3)))
    said, answer = _talk(maker)
    draft = answer.text if rng.random() < 0.8 else maker.draft(maker.plain("word"))
    return Researched("small_talk", Dialog((*before, said)), draft, (), answer.text)


def about_whom(maker: "Maker") -> tuple[str, str, str, tuple[Turn, ...], str, str]:
    """A question about "him" whom the answer before it named: who that is, attribute, value, turns before, question,
    query.
    """
    rng = maker.rng
    maker_of, attribute, person = rng.choice(MAKERS), rng.choice(OF_PEOPLE), maker.person()
    thing = maker.entity()
    asked = maker.ask(rng.choice(ATTRIBUTES[maker_of][1]).format(e=thing, a=maker_of))
    told = rng.choice(LOOKUP_REPLIES).format(e=thing, a=maker_of, v=person, k="")
    turns = (Turn("user", asked), Turn("agent", told[0].upper() + told[1:]))
    kind, questions = ATTRIBUTES[attribute]
    wording = rng.choice([question for question in questions if "{e}'" not in question])
    question = maker.ask(wording.format(e=rng.choice(("he", "she", "that person"))))
    return person, attribute, maker.value(kind), turns, question, f"{person} {attribute}"
