"""Made look-ups that the first snippet does not settle."""

import random
import re
from itertools import islice

import pytest

from openlamda.corpus import chains
from openlamda.corpus.made import Maker
from openlamda.corpus.phrases import ATTRIBUTES, NOT_FOUND

WORDS = [f"{a}{b}ing" for a in ("walk", "sing", "read", "mend") for b in ("er", "ow", "il", "an")]


def made(kind, count=300):
    return list(islice(chains.rows(Maker(random.Random(4), WORDS), kind), count))


def test_every_noun_and_what_may_follow_are_attributes_with_questions():
    assert set(chains.NOUNS) == set(chains.KINDS) <= set(ATTRIBUTES)
    for kind in chains.KINDS.values():
        assert set(chains.THEN[kind]) <= set(ATTRIBUTES)


def test_the_second_look_up_asks_about_what_the_first_one_found():
    for row in made("two_step"):
        second, snippets = row.steps[-1], [step.snippet or "" for step in row.steps]
        between = snippets[-1].split(" / ")[0]
        first = row.steps[[snippet.endswith(f" / {between}") for snippet in snippets].index(True)]
        value = snippets[-1].split(" / ")[2]
        assert between.casefold().removeprefix("the ").removeprefix("a ") in second.query.casefold()
        assert value.casefold() in row.reply.casefold() and row.reply.endswith(f"[{len(row.steps)}]")
        assert first.query in row.context.turns[-1].text


def test_what_no_result_answers_is_said_to_be_unknown():
    rows = made("unanswered")
    assert {step.snippet is None for row in rows for step in row.steps} == {True, False}
    for row in rows:
        assert row.reply in NOT_FOUND and 1 <= len(row.steps) <= 3
        assert not re.search(r"\d", row.reply)


def test_an_order_beside_a_value_changes_nothing_of_the_reply():
    given = 0
    for seed in range(200):
        plain = Maker(random.Random(seed), WORDS).lookup()
        row = chains.ordered(Maker(random.Random(seed), WORDS))
        assert (row.reply, row.context, row.steps[:-1]) == (plain.reply, plain.context, plain.steps[:-1])
        before, after = plain.steps[-1].snippet, row.steps[-1].snippet
        assert before is None or (after is not None and before in after and len(after) > len(before))
        given += before is not None
    assert given > 160


@pytest.mark.parametrize("kind", chains.MADE)
def test_the_same_seed_makes_the_same_rows(kind):
    assert made(kind, 20) == made(kind, 20)
