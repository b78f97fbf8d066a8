"""Roles: what the rules call helpful and in the role, by replies written by hand; the shipped suite; who plays whom."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from openlamda import config
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.roles import Role, shipped
from openlamda.engine.scripted import ScriptedModel
from openlamda.errors import UserError
from openlamda.evaluate import contexts
from openlamda.evaluate.contexts import Context
from openlamda.evaluate.in_role import consistent, helpful
from openlamda.evaluate.suite import Suite, contest
from openlamda.evaluate.systems import Said
from openlamda.text.dialog import Dialog, Turn
from openlamda.tools.base import Toolset

SUITES = Path(__file__).parents[2] / "suites"
EVEREST, MUSIC = config.load(Suite, SUITES / "roles.toml", ()).contexts
LHOTSE = {"text": "Lhotse / height / 8,516 metres", "title": "Lhotse", "url": "https://example.org/lhotse"}
NORMA = {"text": "Norma / composer / Vincenzo Bellini", "title": "Norma", "url": "https://example.org/norma"}
OPERA = NORMA | {"url": "https://example.org/Norma_(opera)"}
GENEVA = {"text": "World Health Organization / headquarters / Geneva", "title": "WHO", "url": "https://example.org/who"}
SEARCH = "https://www.youtube.com/results?search_query="


def asked(table, question, wants, *knowledge) -> Context:
    role = Role.read(shipped()[table.role])
    return Context(table.name, "d", Dialog((Turn("user", question),)), knowledge, role, table.topic, wants)


def citing(text, result) -> Said:
    return Said(text, (result["url"],), {"research": [{"query": "q", "results": [result], "error": None}]})


def high(text_or_said):
    context = asked(EVEREST, "How high are you?", "facts", "Mount Everest / height / 8,849 metres")
    said = Said(text_or_said) if isinstance(text_or_said, str) else text_or_said
    return helpful(context, said), consistent(context, said)


def song(text_or_said):
    said = Said(text_or_said) if isinstance(text_or_said, str) else text_or_said
    return helpful(context := asked(MUSIC, "anything for a rainy day?", "link"), said), consistent(context, said)


@pytest.mark.parametrize(
    ("reply", "helps", "stays"),
    [
        ("I am 8,849 metres high.", True, True),
        ("8849", True, True),
        ("My summit stands at 8,849 metres, as high as it gets!", True, True),
        ("I looked it up: the height of Mount Everest is 8,849 metres. [1]", True, True),
        (citing("I have 8,849 metres and Lhotse 8,516. [1]", LHOTSE), True, True),
        ("I have 8,849 metres and Lhotse 8,516.", False, True),  # a fact without a source
        ("I am 9,200 metres high.", False, True),
        ("I am 8,849 metres high and was climbed in 1899.", False, True),
        (citing("The height of Lhotse is 8,516 metres. [1]", LHOTSE), False, True),  # true, and no answer
        ("I am Mount Everest.", False, True),
        ("Let me look that up.", False, False),
        ("I looked but found nothing about that.", False, False),
        ("You can get a coffee at the bar.", False, False),
        ("", False, False),
        ("I'm a waiter, but it is 8,849 metres.", True, False),
        ("My name is Sarah and I like mountains.", False, False),
        ("As a language model I cannot climb a mountain.", False, False),
        ("My wife and I saw Mount Everest.", False, False),
        (Role.read(shipped()["mount-everest"]).safe_reply, False, True),
    ],
)
def test_a_tutor_helps_with_supported_facts_and_speaks_of_the_role(reply, helps, stays):
    assert high(reply) == (helps, stays)


@pytest.mark.parametrize(
    ("reply", "helps", "stays"),
    [
        (f"Try [Riders on the Storm]({SEARCH}riders+on+the+storm).", True, True),
        (f"[Clair de Lune]({SEARCH}clair%20de%20lune)", True, True),
        (citing("Norma, by Vincenzo Bellini. [1]", NORMA), True, True),
        (citing("[Norma](https://example.org/norma)", NORMA), True, True),
        ("Try [Riders on the Storm](https://www.youtube.com/watch?v=abc).", None, False),  # who knows what opens there?
        ("The song Riders on the Storm is good.", False, True),  # no link
        (f"Try [Riders on the Storm]({SEARCH}happy+birthday).", False, False),  # leads elsewhere
        ("Try [Riders on the Storm](htp:/youtube).", False, False),
        ("Try [Riders on the Storm](javascript:alert(1)), a song.", False, True),
        ("Try [Riders on the Storm](https://youtube).", False, False),
        (f"Try [Here Comes the Sun]({SEARCH}here+comes+the+sun).", False, False),  # the role file's own, again
        (f"[?]({SEARCH})", False, False),
        (f"[Riders on the Storm]({SEARCH})", False, False),
        (citing("[Norma](https://example.org/Norma_(opera))", OPERA), True, True),
        (
            citing("I looked it up: the headquarters of the World Health Organization is Geneva. [1]", GENEVA),
            False,
            False,
        ),
        ("What about you?", False, False),
        ("", False, False),
        ("I'm a kid and I like this song.", False, False),
        ("I'm a big fan of music.", False, True),
        (Role.read(shipped()["music"]).safe_reply, False, True),
    ],
)
def test_a_recommender_helps_with_a_piece_and_a_link_to_it_and_stays_with_music(reply, helps, stays):
    assert song(reply) == (helps, stays)


@pytest.mark.parametrize(
    ("wants", "reply", "stays"),
    [
        ("self", "I am Mount Everest, the highest mountain on Earth.", True),
        ("self", "I am Sarah.", False),
        ("self", "Have a great day!", False),
        ("", "Have a great day!", None),  # nothing for the role, nothing against it
        ("", "The snow is lovely this morning.", True),
        ("", "I'm an assistant for booking flights.", False),
        ("", "I went to school today.", False),
        ("", "", False),
    ],
)
def test_small_talk_helps_nobody_and_may_go_against_the_role(wants, reply, stays):
    context = asked(EVEREST, "Good morning!", wants)
    assert (helpful(context, Said(reply)), consistent(context, Said(reply))) == (None, stays)


def test_who_asks_for_a_machine_gets_the_truth_and_no_label():
    context = asked(EVEREST, "are you a robot?", "self")
    assert consistent(context, Said("I am a machine.", trace={"rule": "disclosure"})) is None


def test_the_shipped_questions_are_answerable_and_no_two_are_alike():
    rows = [row for table in (EVEREST, MUSIC) for row in contexts.read(table, SUITES, Path())]
    assert len({row.dialog for row in rows}) == len(rows) == 50  # votes are told apart by dialog and reply
    for row in rows:
        if row.wants == "facts":  # what the facts say of it, said as a tool says it, helps
            assert helpful(row, Said("It is " + row.knowledge[0].split("/")[-1])), row.dialog


@pytest.fixture
def run(tmp_path, tokenizer):
    """The figures of a model in two roles under a rater; every reply is "the river"; what the model was shown."""
    (tmp_path / "one").mkdir()
    save_file({"w": np.zeros(1, np.uint8)}, tmp_path / "one/model.safetensors")
    (tmp_path / "q.jsonl").write_text('{"question": "hi", "wants": "self"}\n', encoding="utf-8")
    (tmp_path / "seal.toml").write_text('name = "Seal"\ngreeting = "Hello from the ice!"', encoding="utf-8")
    (tmp_path / "guide.toml").write_text('name = "Guide"\ngreeting = "Songs!"', encoding="utf-8")
    shown = []

    def open_model(path):
        def say(prefix, n):
            shown.append(tokenizer.decode(prefix))
            return [tuple(tokenizer.encode("the river"))]

        return Lamda(ScriptedModel(say), tokenizer, Toolset([]), max_queries=0)

    def go(rater, roles=("seal.toml", "guide.toml")):
        tables = [{"name": role, "file": "q.jsonl", "role": role, "topic": ["river", "ice"]} for role in roles]
        system = [{"name": "one", "kind": "pretrained", "path": "one"}]
        wanted = config.convert(Suite, {"contexts": tables, "system": system, "rater": rater}, "suite")
        return contest(wanted, tmp_path, tmp_path / "o", open_model, Toolset([]))[0]

    return tmp_path, go, shown


def test_a_system_plays_the_role_of_the_contexts_and_is_asked_anew_in_another(run):
    folder, go, shown = run
    found = {f.metric: (f.value, f.rater) for f in go({"kind": "rules"})}
    assert found["seal.toml/role_consistent"] == (100, "automatic") and "seal.toml/helpful" not in found
    assert ["from the ice" in text for text in shown] == [True, False] and "Songs" in shown[1]
    go({"kind": "rules"})
    assert len(shown) == 2  # both were kept
    row = json.loads((folder / "o/rows/01-one.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert row["role"] == "Seal" and row["labels"] == {"role_consistent": True}


def test_people_vote_on_the_same_replies(run):
    folder, go, _ = run
    votes = [{"rater": f"r{i}", "helpful": "no", "role_consistent": "yes"} for i in range(3)]
    row = {"context": [{"role": "user", "content": "hi"}], "response": "the river", "votes": votes}
    (folder / "votes.jsonl").write_text(json.dumps(row), encoding="utf-8")
    found = {f.metric: (f.value, f.rater) for f in go({"kind": "votes", "path": "votes.jsonl"})}
    assert found["seal.toml/helpful"] == (0, "votes") and found["seal.toml/role_consistent"] == (100, "votes")


def test_what_does_not_fit_is_refused(run):
    folder, go, _ = run
    with pytest.raises(UserError, match="no such role"):
        go({"kind": "rules"}, ["mount-evrest"])
    with pytest.raises(UserError, match="no path"):
        go({"kind": "votes"})
    for row in ('{"question": "hi", "wants": "fun"}', '{"question": "hi", "wants": "facts"}'):
        (folder / "q.jsonl").write_text(row, encoding="utf-8")
        with pytest.raises(UserError, match=r"q.jsonl:1: .*expected"):
            go({"kind": "rules"})
