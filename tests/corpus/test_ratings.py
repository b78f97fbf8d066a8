"""Ratings files: what good ones mean, and that bad ones are refused by row, or counted when read leniently."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openlamda.corpus import objectives, ratings
from openlamda.errors import UserError

RULES = objectives.read()
CONTEXT = [{"role": "user", "content": "hello"}]


def quality_row(*sensible: str, **more) -> dict:
    ballots = [{"rater": f"r{n}", "sensible": vote} for n, vote in enumerate(sensible)]
    return {"context": CONTEXT, "response": "hi there", "votes": ballots, **more}


def safety_row(*slurs: str, gore: str = "no") -> dict:
    ballots = [{"rater": f"r{n}", "objectives": {"slurs": vote, "gore": gore}} for n, vote in enumerate(slurs)]
    return {"context": CONTEXT, "response": "hi there", "votes": ballots}


def written(tmp_path: Path, *rows) -> Path:
    path = tmp_path / "ratings.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


GOOD = quality_row("yes", "yes", "yes", "maybe", "no")


def test_the_shipped_objectives_are_the_papers_22_in_three_families():
    assert [len(rules) for rules in RULES.families.values()] == [10, 8, 4]  # appendix A.1
    assert len(RULES.rules) == 22


def test_labels_and_each_raters_votes(tmp_path):
    grounded = {
        "context": CONTEXT, "response": "It is 8,849 m high.", "snippets": ["Everest / Height / 8,849 m"], "id": "g",
        "votes": [{"rater": r, "claims": "yes", "grounded": v} for r, v in (("a", "yes"), ("b", "no"), ("c", "yes"))],
    }  # fmt: skip
    path = written(tmp_path, GOOD, safety_row("no", "yes", "maybe"), safety_row("no", "no", "maybe"), grounded)
    read = ratings.read([path], RULES)
    first, unsafe, safe, last = (ratings.labels(row, RULES) for row in read.rows)
    assert first == {"sensible": True}
    assert unsafe == {
        "unsafe": True, "unsafe/unjust_impact": True, "unsafe/harm": False, "unsafe/slurs": True, "unsafe/gore": False
    }  # fmt: skip
    assert not any(safe.values()) and len(safe) == 5
    assert last == {"grounded": True}
    assert [ballot.rater for ballot in read.rows[0].ballots] == ["r0", "r1", "r2", "r3", "r4"]
    assert read.rows[0].ballots[3].votes == {"sensible": "maybe"}
    elsewhere = tmp_path / "moved"
    elsewhere.mkdir()
    moved = ratings.read([written(elsewhere, grounded, GOOD)], RULES)  # which rows are kept back must not change
    assert [row.id for row in moved.rows] == ["g", read.rows[0].id] and read.rows[3].id == "g"
    assert len({row.id for row in read.rows}) == len({(row.context, row.response) for row in read.rows})
    (judged, *_) = ratings.judged(read, RULES)
    assert judged.labels == first and judged.response == "hi there"


BAD = {
    "unknown attribute": (quality_row(*["yes"] * 5) | {"votes": [{"rater": "a", "witty": "yes"}]}, "'witty'"),
    "unknown objective": (safety_row("no") | {"votes": [{"rater": "a", "objectives": {"rude": "no"}}]}, "'rude'"),
    "too few raters": (quality_row("yes", "no"), "2 votes, expected 5"),
    "too few raters ": (safety_row("no", "no"), "2 votes, expected 3"),
    "no such vote": (quality_row("yes", "yes", "yes", "yes", "perhaps"), "'perhaps', expected one of yes, no, maybe"),
    "no such vote ": (quality_row(*["yes"] * 4, 1), "1, expected one of yes"),  # type: ignore[arg-type]
    "no such vote  ": (quality_row(*["yes"] * 4, ["yes"]), "expected one of yes"),  # type: ignore[arg-type]
    "duplicate rater": (GOOD | {"votes": [{"rater": "a", "sensible": "yes"}] * 5}, "'a' has voted already"),
    "response": (GOOD | {"response": " "}, "'response'"),
    "votes": (GOOD | {"votes": []}, "'votes'"),
    "context": (GOOD | {"context": "hello"}, "'context'"),
    "rater": (GOOD | {"votes": [{"sensible": "yes"}]}, "'rater'"),
    "no vote": (GOOD | {"votes": [{"rater": "a"}]}, "no rater voted"),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_row_is_refused_by_number_and_counted_when_read_leniently(tmp_path, reason):
    bad, message = BAD[reason]
    path = written(tmp_path, GOOD, bad, GOOD)
    with pytest.raises(UserError) as caught:
        ratings.read([path], RULES)
    assert f"{path}:2: " in str(caught.value) and message in str(caught.value)
    assert "1 faulty row" in str(caught.value) and ":1: " not in str(caught.value)
    read = ratings.read([path], RULES, lenient=True)
    if reason.startswith("too few"):  # what there is counts, by the same rule
        assert len(read.rows) == 3 and not read.dropped
    else:
        assert read.dropped[reason.strip()] >= 1 and len(read.rows) in (2, 3)


def test_leniently_a_bad_ballot_does_not_cost_the_others(tmp_path):
    path = written(tmp_path, BAD["no such vote"][0])
    read = ratings.read([path], RULES, lenient=True)
    assert [len(row.ballots) for row in read.rows] == [4] and read.dropped == {"no such vote": 1}


def test_many_bad_rows_are_counted_and_the_first_named(tmp_path):
    with pytest.raises(UserError, match=r"25 faulty rows(.|\n)*:10: (.|\n)*and 15 more"):
        ratings.read([written(tmp_path, *[quality_row("yes")] * 25)], RULES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["context", "response", "votes", "snippets", "id", "rater", "sensible", "objectives"]), JSON)
def test_whatever_stands_in_a_field_is_read_or_refused(tmp_path, field, value):
    row = json.loads(json.dumps(GOOD))
    if field in ("rater", "sensible", "objectives"):
        row["votes"][1][field] = value
    else:
        row[field] = value
    path = written(tmp_path, row)
    try:
        read = ratings.read([path], RULES)
        assert len(read.rows) == 1 and ratings.labels(read.rows[0], RULES)
    except UserError as error:
        assert str(path) in str(error)
    ratings.read([path], RULES, lenient=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no family"),
        ("harm = 1", "harm: expected a table"),
        ("[harm]", "harm: expected a table"),
        ('[harm]\nrude = ""', "harm.rude: expected what"),
        ('[harm]\n"Very Rude" = "x"', "'Very Rude', expected small letters"),
        ('[harm]\nrude = "x"\n[other]\nrude = "y"', "'rude' occurs twice"),
    ],
)
def test_objectives_that_are_none_are_named(tmp_path, text, message):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        objectives.read(path)
