"""The figures: baselines are what they say they are, questions are new, a wrong reply counts as wrong."""

import json
import lzma
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.corpus import public
from openlamda.corpus.phrases import ATTRIBUTES, GENERIC_QUESTIONS, PLAIN_SUMS, SUM_SLOTS, TOLD_SUMS
from openlamda.corpus.rows import Judged, held_back
from openlamda.dialog.lamda import Lamda, Reply
from openlamda.dialog.trace import Asked
from openlamda.evaluate import judging, questions
from openlamda.evaluate.language import FiveGram, Piece, bits_per_byte, perplexity
from openlamda.evaluate.metric import measure, share
from openlamda.loading import training_names
from openlamda.text.dialog import Dialog, Result, Source, Turn
from openlamda.tools.search import Fact, read_facts

SUITES = Path(__file__).parents[2] / "suites"


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (SUITES / name).read_text(encoding="utf-8").splitlines()]


def wording(text: str) -> str:
    return letters(text).strip()


def letters(text: str) -> str:
    return re.sub(r"[^a-z{} ]", "", re.sub(r"\d[\d,.]*", "{n}", text).casefold())


def judged(response: str, label: bool, snippet: str = "", context: str = "hi") -> Judged:
    return Judged(response, Dialog((Turn("user", context),)), response, {"grounded": label}, (snippet,))


# ---- language


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=12), min_size=1, max_size=6), st.data())
def test_the_five_gram_is_a_distribution(text, data):
    model = FiveGram(iter(tuple(tokens) for tokens in text), vocab_size=6)
    context = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=6)))
    total = sum(2 ** -model.bits(Piece((*context, token), len(context), 1)) for token in range(6))
    assert total == pytest.approx(1)


def test_what_the_five_gram_has_seen_costs_less():
    model = FiveGram(iter([(1, 2, 3, 4, 5, 2, 3, 4, 5)]), vocab_size=50)
    assert model.bits(Piece((1, 2, 3, 4, 5), 1, 1)) < model.bits(Piece((1, 3, 5, 2, 4), 1, 1))


def test_bits_per_byte_weighs_by_bytes():
    metric = bits_per_byte("x", [8.0, 1.0], [Piece((1, 2), 1, 1), Piece((1, 2), 1, 9)])
    assert metric.value == pytest.approx(0.9)


def test_perplexity_is_two_to_the_mean_bits_of_a_token():
    metric = perplexity("x", [6.0, 1.0], [Piece((1, 2, 3, 4), 1, 1), Piece((1, 2), 1, 9)])
    assert metric.value == pytest.approx(2 ** (7 / 4))


# ---- judges


def test_correlations_with_grades_by_hand(monkeypatch):
    said = {"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.9}
    monkeypatch.setattr(judging, "ask", lambda attribute, row, lamda: said[row.response])
    graded = [(judged(name, True), grade) for grade, name in enumerate("abcd")]
    found = {m.name: m.value for m in judging.correlations("interesting", graded, cast(Lamda, None))}
    # one of six pairs stands the wrong way; ranks differ by one twice
    assert found["judge/interesting/kendall/model"] == pytest.approx(4 / 6)
    assert found["judge/interesting/spearman/model"] == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_grades_are_the_partners_and_labels_leave_out_good(tmp_path):
    turns = [{"role": "user", "text": "hi", "rating": "Poor"}] + [
        {"role": "assistant" if n % 2 else "user", "text": f"turn {n}", "rating": rating}
        for n, rating in enumerate(("Excellent", "Good", "", "Not Good"), 1)
    ]
    packed = lzma.compress(json.dumps({"id": "t", "turns": turns}).encode())
    (tmp_path / "dialog_topical_chat.jsonl.xz").write_bytes(packed)
    assert [(row.id, row.response, grade) for row, grade in public.graded(tmp_path)] == [
        ("t#1", "turn 1", 4), ("t#2", "turn 2", 3), ("t#4", "turn 4", 1)
    ]  # fmt: skip
    assert [(row.id, row.labels) for row in public.interesting(tmp_path)] == [
        ("t#1", {"interesting": True}), ("t#4", {"interesting": False})
    ]  # fmt: skip


def test_auc_and_its_interval():
    assert judging.auc([True, False, True], [0.9, 0.1, 0.8]) == 1
    assert judging.auc([True, False], [0.5, 0.5]) == 0.5
    with pytest.raises(ValueError, match="one label"):
        judging.auc([True, True], [0.1, 0.2])
    draws = np.random.default_rng(0).random(400) < 0.7
    metric = measure("x", list(draws), share)
    assert metric.low < metric.value < metric.high and math.isclose(metric.value, draws.mean())


def test_calibration_error_by_hand():
    # four rows at 0.85, three of them true: off by 0.10; one at 0.25 that is false: off by 0.25; weighted 4 to 1
    rows = [(True, 0.85), (True, 0.85), (True, 0.85), (False, 0.85), (False, 0.25)]
    assert judging.ece(rows) == pytest.approx((4 * 0.10 + 0.25) / 5)


def test_the_baselines_read_what_they_say():
    assert judging.overlap(judged("Paris is big", True, "paris, France")) == pytest.approx(1 / 3)
    train = [judged("you fool", True), judged("dear friend", False)] * 8
    low, high = judging.tfidf("grounded", train, [judged("my friend", False), judged("a fool", True)])
    assert low < 0.5 < high


# ---- questions


def test_swapped_facts_keep_their_entity_and_source_but_not_their_value():
    facts = read_facts()
    swapped = questions.swapped(facts)
    assert [(f.entity, f.attribute, f.url) for f in facts] == [(f.entity, f.attribute, f.url) for f in swapped]
    kept = [f for f, new in zip(facts, swapped, strict=True) if f.value == new.value]
    assert len(kept) < 0.01 * len(facts)
    assert swapped == questions.swapped(facts)


@pytest.mark.parametrize(
    ("text", "number", "holds"),
    [
        ("It is 1,234.", "1234", True),
        ("It is 12345.", "1234", False),
        ("-3 degrees", "-3", True),
        ("minus 3", "3", True),
        ("0.30", "0.3", False),
        ("", "0", False),
    ],
)
def test_a_number_is_held_as_a_whole(text, number, holds):
    assert questions.holds_number(text, number) is holds


def test_a_reply_is_right_only_with_the_value_and_its_source():
    fact = Fact("Lake X", "depth", "40 metres", "https://example.org/x")
    row = {"entity": "Lake X", "attribute": "depth", "question": "how deep?"}
    source, other = (Source(1, "t", f"https://example.org/{name}", "text") for name in "xy")

    def right(text, *sources):
        reply = SimpleNamespace(text=text, sources=sources)
        lamda = cast(Lamda, SimpleNamespace(reply=lambda dialog, seed: reply))
        return next(questions.ask_knowledge([row], [fact], lamda))[2]

    assert right("It is 40 metres deep. [1]", source)
    assert not right("It is 40 metres deep. [1]", other)
    assert not right("It is 40 metres deep.")
    assert not right("It is 140 metres deep. [1]", source)


def test_a_query_is_right_when_it_brings_the_entry_or_the_number():
    def reply(*texts):
        asked = [Asked("q", Result(text, "https://example.org", "t") if text else None) for text in texts]
        return cast(Reply, SimpleNamespace(trace=SimpleNamespace(research=asked)))

    fact = {"entity": "Lake X", "attribute": "depth"}
    assert questions.query_found(fact, reply(None, "Lake X / depth / 40 metres"))
    assert not questions.query_found(fact, reply("Lake X / area / 40 metres", "Lake / depth / 4"))
    assert not questions.query_found(fact, reply())
    assert questions.query_found({"answer": "12"}, reply("12"))
    assert not questions.query_found({"answer": "12"}, reply("120", None))


def test_no_question_of_the_suite_has_the_wording_of_a_training_template():
    templates = [question for _, questions in ATTRIBUTES.values() for question in questions] + GENERIC_QUESTIONS
    known = {wording(text) for text in templates}
    for row in rows("knowledge.jsonl"):
        assert wording(row["question"].replace(row["entity"], "{e}")) not in known, row
    sums = [text for table in (PLAIN_SUMS, TOLD_SUMS) for texts in table.values() for text in texts]
    known = re.compile("|".join(f"({of_slots(text)})" for text in sums))
    assert known.fullmatch(wording("Anna had 12 apples and lost 5, how many are left?"))
    assert not [row for row in rows("arithmetic.jsonl") if known.fullmatch(wording(row["question"]))]


def of_slots(template: str) -> str:
    """An expression for all that a template makes."""
    parts = re.split(r"(<\w+>)", template)
    return "".join(
        f"({'|'.join(of_slots(word) for word in SUM_SLOTS[part[1:-1]])})" if part.startswith("<")
        else re.escape(letters(re.sub(r"{\w}", "1", part)))
        for part in parts
    )  # fmt: skip


def test_no_entity_of_the_suite_is_used_in_training():
    names = set(training_names())
    for row in rows("knowledge.jsonl"):
        assert held_back(row["entity"], 25) and row["entity"] not in names, row
