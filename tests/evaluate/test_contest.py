"""Systems on the same contexts: hand-made figures, coverage, paired tests, resuming, raters, hostile text."""

import json
import threading
import tomllib
import weakref
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from openlamda import config
from openlamda.dialog.lamda import Lamda
from openlamda.engine.scripted import ScriptedModel
from openlamda.errors import UserError
from openlamda.evaluate import claims, metrics
from openlamda.evaluate.figure import compare, figure
from openlamda.evaluate.kept import Kept, key
from openlamda.evaluate.suite import Suite, contest
from openlamda.evaluate.systems import Generic
from openlamda.text.dialog import Dialog, Result, Turn
from openlamda.tools.base import Toolset

HOSTILE = "<script>alert(1)</script> | a"


class Search:
    name = "search"

    def __call__(self, query):
        return [Result("Kraim / height / 12 metres", "https://example.org/1", "Kraim")] if "Kraim" in query else []


def model_directory(folder: Path, name: str, weights: bytes) -> None:
    (folder / name).mkdir()
    save_file({"w": np.frombuffer(weights, np.uint8)}, folder / name / "model.safetensors")
    (folder / name / "judges.json").write_text('{"attributes": ["sensible", "specific", "unsafe"]}', encoding="utf-8")


@pytest.fixture
def place(tmp_path, tokenizer):
    """A folder with contexts and two model directories, and what opens them: every reply is "river", P is 1/2."""
    model_directory(tmp_path, "one", b"1")
    model_directory(tmp_path, "two", b"2")
    lines = [{"id": f"d{i}", "question": f"who likes tea {i}?", "knowledge": ["Kraim 12"]} for i in range(3)]
    (tmp_path / "contexts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    said = []

    def open_model(path: Path) -> Lamda:
        def say(prefix, n):
            said.append(path.name)
            return [tuple(tokenizer.encode("the river"))]

        return Lamda(ScriptedModel(say), tokenizer, Toolset([]), num_candidates=2, max_queries=0)

    return tmp_path, open_model, said


def suite(**tables) -> Suite:
    base = {"contexts": [{"name": "tea", "file": "contexts.jsonl"}], "system": [{"name": "bot", "kind": "generic"}]}
    return config.convert(Suite, base | tables, "suite")


ONE = {"name": "one", "kind": "model", "path": "one", "judges": False, "research": False}


def test_no_more_than_one_system_is_in_memory(place):
    folder, open_model, _ = place
    opened: list[weakref.ref[Lamda]] = []

    def noted(path: Path) -> Lamda:
        assert not [path for lamda in opened if lamda() is not None]
        lamda = open_model(path)
        opened.append(weakref.ref(lamda))
        return lamda

    tables = [ONE, ONE | {"name": "two", "path": "two"}]
    contest(suite(system=tables), folder, folder / "out", noted, Toolset([Search()]))
    assert len(opened) == 2


# ---- figures


def test_shares_by_hand():
    # labels of four replies: sensible 3, specific 2, interesting 1 -> 75, 50, 25; SSI 50, SSA 62.5
    table = [(True, True, True), (True, True, False), (True, False, False), (False, False, False)]
    rows = [metrics.quality(dict(zip(("sensible", "specific", "interesting"), row, strict=True))) for row in table]
    found = {name: figure(name, "x", [(str(i), row[name]) for i, row in enumerate(rows)]).value for name in rows[0]}
    assert found == pytest.approx({"sensible": 75, "specific": 50, "interesting": 25, "ssi": 50, "ssa": 62.5})
    assert metrics.safety({"unsafe": False, "unsafe/harm": True}) == {"safe": (100, 1), "safe/harm": (0, 1)}


def test_without_claims_there_is_no_groundedness_but_informativeness_counts():
    shares = [metrics.grounding(claims=False, supported=False, cited=False) for _ in range(3)]
    assert figure("g", "x", [(str(i), s["grounded"]) for i, s in enumerate(shares)]).value is None
    assert figure("i", "x", [(str(i), s["informative"]) for i, s in enumerate(shares)]).value == 0
    known = metrics.grounding(claims=True, supported=True, cited=False, known=True)
    assert known["citation_accuracy"] == (0, 0) and known["grounded"] == (100, 1)


def test_intervals_cover_a_coin_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(100):
        found = figure("x", "x", [(str(i), (float(flip), 1.0)) for i, flip in enumerate(rng.random(80) < 0.6)])
        inside += (found.low or 0) <= 0.6 <= (found.high or 0)
    assert 88 <= inside <= 99


def test_rows_of_one_dialog_are_no_independent_evidence():
    alone = figure("x", "x", [(str(i), (float(i % 2), 1.0)) for i in range(40)])
    rows = [(str(i), (float(i % 2), 1.0)) for i in range(40) for _ in range(9)]
    assert figure("x", "x", rows).low == alone.low


def test_the_paired_test_against_all_swaps():
    a, b = [1, 1, 1, 1, 1, 0, 1, 1], [0, 0, 0, 1, 0, 0, 0, 1]
    rows = [[(str(i), (float(v), 1.0)) for i, v in enumerate(values)] for values in (a, b)]
    found = compare("x", "a", "b", rows[0], rows[1])
    # five dialogs differ, all for a: of 32 sign patterns 2 are as extreme
    assert found.difference == 5 / 8 and found.p == pytest.approx(2 / 32, abs=0.02)
    same = compare("x", "a", "a", rows[0], rows[0])
    assert same.difference == 0 and same.p == 1


def test_wording_by_hand():
    found = metrics.wording("a b a b", ["a b a"])
    assert found["words"] == (4, 1) and found["distinct_1"] == (50, 1)
    assert found["distinct_2"][0] == pytest.approx(200 / 3) and found["repetition"] == (100, 2)


def test_claims_are_numbers_and_names_that_are_new():
    new = claims.claimed("It is in Kraim, 12 metres high. [1]", ["how high?"])
    assert new == {"kraim", "12"}
    assert claims.supported(new, ["Kraim / height / 12 metres"]) and not claims.supported(new, ["Kraim / 13"])
    assert not claims.claimed("I like tea too.", ["tea?"]) and not claims.supported(set(), ["x"])


# ---- keeping


def test_a_torn_last_line_is_dropped_and_the_rest_goes_on(tmp_path):
    path = tmp_path / "kept.jsonl"
    with Kept(path) as kept:
        kept.put("a", 1)
        kept.put("b", 2)
    path.write_bytes(path.read_bytes()[:-4])
    with Kept(path) as kept:
        assert kept.get("a") == 1 and kept.get("b") is None
        kept.put("b", 3)
    with Kept(path) as kept:
        assert kept.get("b") == 3
    assert key(a=1, b=[2]) == key(b=[2], a=1) != key(a=1, b=[3])


def test_a_stopped_run_goes_on_as_if_it_had_not_been_and_a_whole_one_asks_nothing(place):
    folder, open_model, said = place
    wanted = suite(system=[ONE], rater={"kind": "judge", "path": "two"})
    whole = contest(wanted, folder, folder / "whole", open_model, Toolset([]))
    spoken = len(said)

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        contest(wanted, folder, folder / "cut", open_model, Toolset([]), stop)
    assert not (folder / "cut/results.json").exists()
    assert contest(wanted, folder, folder / "cut", open_model, Toolset([])) == whole
    assert len(said) == 2 * spoken  # no reply was drawn twice
    for name in ("results.json", "report.md", "report.html", "rows/01-one.jsonl"):
        assert (folder / "cut" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    contest(wanted, folder, folder / "cut", open_model, Toolset([]))
    assert len(said) == 2 * spoken


def test_changed_judges_answer_anew(place):
    folder, open_model, said = place
    wanted = suite(system=[ONE | {"judges": True}])
    contest(wanted, folder, folder / "o", open_model, Toolset([]))
    spoken = len(said)
    judges = '{"attributes": ["sensible"], "thresholds": {"sensible": 0.4}}'
    (folder / "one/judges.json").write_text(judges, encoding="utf-8")
    contest(wanted, folder, folder / "o", open_model, Toolset([]))
    assert len(said) == 2 * spoken


# ---- raters


def test_a_rater_under_test_is_refused(place):
    folder, open_model, _ = place
    model_directory(folder, "copy", b"1")
    with pytest.raises(UserError, match="weights of a system under test"):
        contest(
            suite(system=[ONE], rater={"kind": "judge", "path": "copy"}), folder, folder / "o", open_model, Toolset([])
        )


def test_what_a_judge_or_a_rule_rates_is_marked_automatic(place):
    folder, open_model, _ = place

    def rate(path):
        lamda = open_model(path)
        lamda.judges = type(lamda.judges)(attributes=("sensible", "specific", "unsafe"))
        return lamda

    found, _ = contest(suite(rater={"kind": "judge", "path": "two"}), folder, folder / "o", rate, Toolset([]))
    marked = {f.metric.split("/", 1)[1]: f.rater for f in found}
    assert {marked[name] for name in ("sensible", "specific", "ssa", "safe", "grounded", "informative")} == {
        "automatic"
    }
    assert marked["words"] == ""


def test_votes_count_by_the_papers_rules(place):
    folder, open_model, _ = place
    contexts = [json.loads(line) for line in (folder / "contexts.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = []
    for number, row in enumerate(contexts[:2]):
        said = ["yes", "yes", "yes" if number else "maybe", "maybe", "no"]  # 2 of 5, then 3 of 5
        votes = [{"rater": f"r{i}", "sensible": vote} for i, vote in enumerate(said)]
        turns = [{"role": "user", "content": row["question"]}]
        rows.append({"context": turns, "response": "I don't know", "votes": votes})
    (folder / "votes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found, _ = contest(
        suite(rater={"kind": "votes", "path": "votes.jsonl"}), folder, folder / "o", open_model, Toolset([])
    )
    sensible = next(f for f in found if f.metric == "tea/sensible")
    assert (sensible.value, sensible.n, sensible.rater) == (50, 2, "votes")  # the third reply was not rated
    assert not [f for f in found if f.rater == "automatic"]


def test_all_raters_of_the_same_reply_count_whichever_system_gave_it(place):
    folder, open_model, _ = place
    turns = [{"role": "user", "content": "who likes tea 0?"}]
    row = {"context": turns, "response": "I don't know"}
    rows = [
        row | {"votes": [{"rater": f"{who}{i}", "sensible": vote} for i in range(5)]}
        for who, vote in (("a", "yes"), ("b", "no"))
    ]
    rows[1]["votes"].append({"rater": "a0", "sensible": "yes"})  # 6 of 10, if nobody counts twice
    rows[1]["votes"][0]["sensible"] = "yes"
    (folder / "votes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tables = {"rater": {"kind": "votes", "path": "votes.jsonl"}}
    figures, _ = contest(suite(**tables), folder, folder / "o", open_model, Toolset([]))
    (sensible,) = (found for found in figures if found.metric == "tea/sensible")
    assert (sensible.value, sensible.n) == (100, 1)


def test_a_pretrained_system_is_another_one(place):
    folder, open_model, said = place
    pretrained = {**ONE, "name": "pt", "kind": "pretrained"}
    contest(suite(system=[ONE, pretrained]), folder, folder / "o", open_model, Toolset([]))
    assert len(said) == 6  # what was kept of the one is no reply of the other


def test_a_system_that_searches_with_beams_asks_for_one_candidate_and_is_another_one(place):
    folder, open_model, _ = place
    asked = []

    def watched(path):
        lamda = open_model(path)
        sample = lamda.model.sample

        def watch(prefix, n, sampling, seed):
            asked.append((n, sampling.beams, sampling.min_tokens, sampling.block_ngram, sampling.context_block_ngram))
            return sample(prefix, n, sampling, seed)

        lamda.model.sample = watch
        return lamda

    pretrained = {**ONE, "kind": "pretrained", "num_candidates": 2}
    contest(suite(system=[pretrained]), folder, folder / "o", watched, Toolset([]))
    contest(suite(system=[pretrained | {"decoding": "beam"}]), folder, folder / "o", watched, Toolset([]))
    assert asked == [(2, 0, 0, 0, 0)] * 3 + [(1, 10, 20, 3, 3)] * 3
    with pytest.raises(UserError, match="decoding"):
        suite(system=[pretrained | {"decoding": "greedy"}])


def test_the_suite_in_the_docs_is_one():
    text = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    tables = tomllib.loads(text.split("```toml\n")[1].split("```")[0])
    assert [table.kind for table in config.convert(Suite, tables, "docs").system][-2:] == ["generic", "retrieval"]


# ---- systems


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = asked["messages"][-1]["role"] == "user" and asked["model"] == "m"
        body = json.dumps({"choices": [{"message": {"content": HOSTILE}}]} if good else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def url():
    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_kind_of_system_answers_and_hostile_text_stays_text(place, url):
    folder, open_model, _ = place
    turns = [[{"role": "user", "content": f"who likes tea {i}?"}] for i in range(3)]
    lines = [json.dumps({"context": context, "response": "people do"}) + "\n" for context in turns]
    (folder / "people.jsonl").write_text("".join(lines), encoding="utf-8")
    systems = [
        ONE,
        {"name": HOSTILE, "kind": "remote", "url": url, "model": "m"},
        {"name": "people", "kind": "recorded", "path": "people.jsonl"},
        {"name": "bot", "kind": "generic"},
        {"name": "search", "kind": "retrieval"},
    ]
    pairs = [{"a": "people", "b": HOSTILE}]
    contest(suite(system=systems, compare=pairs), folder, folder / "o", open_model, Toolset([Search()]))
    said = {}
    for path in sorted((folder / "o/rows").iterdir()):
        row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
        said[row["system"]] = row["response"]
    assert said == {"one": "the river", HOSTILE: HOSTILE, "people": "people do", "bot": "I don't know", "search": ""}
    page, text = ((folder / "o" / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "<script" not in page and "&lt;script&gt;" in page and "<script" not in text
    columns = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert columns == {8, 12}  # seven and eleven columns: a bar in a name opens none
    assert page.count("<img") == 1 and (folder / "o/plots/metrics.svg").is_file()


def test_generic_replies():
    assert Generic().reply(Dialog((Turn("user", "why? "),)), 0).text == "I don't know"
    assert Generic().reply(Dialog((Turn("user", "I see."),)), 0).text == "Ok"


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"system": []}, "no \\[\\[system\\]\\]"),
        ({"system": [{"name": "x", "kind": "generic"}] * 2}, "occurs twice"),
        ({"compare": [{"a": "bot", "b": "bto"}]}, "no system 'bto'"),
        ({"system": [{"name": "x", "kind": "model"}]}, "no path"),
        ({"system": [{"name": "x", "kind": "remote", "url": "file:///etc/passwd"}]}, "expected http"),
        ({"contexts": [{"name": "tea"}]}, "either 'file' or 'reader'"),
    ],
)
def test_tables_that_do_not_fit_are_refused(place, tables, message):
    folder, open_model, _ = place
    with pytest.raises(UserError, match=message):
        contest(suite(**tables), folder, folder / "o", open_model, Toolset([]))
