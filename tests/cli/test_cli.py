"""The command as users run it, with the model that ships."""

import json
import os
import subprocess
import sys
import time

import pytest

from openlamda.dialog.trace import printable
from openlamda.evaluate.questions import holds_number, swapped
from openlamda.loading import SHIPPED
from openlamda.tools.search import read_facts


def run(*arguments, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "openlamda", *arguments], capture_output=True, text=True, input=stdin, timeout=300
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("chat",),
        ("serve",),
        ("index",),
        ("judge",),
        ("train",),
        ("plan",),
        ("evaluate",),
        ("tools", "ask"),
        ("tokenizer", "train"),
        ("env",),
        ("doctor",),
        ("data", "show"),
        ("model", "show"),
        ("model", "average"),
        ("model", "convert"),
        ("keys", "new"),
        ("keys", "list"),
        ("keys", "revoke"),
        ("store", "export-user"),
        ("store", "delete-user"),
        ("store", "purge"),
        ("store", "feedback"),
        ("store", "votes"),
        ("store", "audit"),
        ("store", "migrate"),
    ],
)
def test_every_command_has_help(arguments):
    done = run(*arguments, "--help")
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 4


def test_once_prints_the_reply_and_how_it_came_to_be():
    done = run("chat", "--once", "what is 135 plus 7721?", "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert set(reply) >= {"reply", "sources", "finish_reason", "candidates", "research", "timings", "seed"}
    assert reply["reply"] and len(reply["candidates"]) == 16
    assert {"sensible", "specific", "interesting", "safe"} <= set(reply["candidates"][0]["scores"])
    assert (
        json.loads(run("chat", "--once", "what is 135 plus 7721?", "--seed", "3", "--json").stdout)["reply"]
        == reply["reply"]
    )


def test_a_conversation_over_a_pipe():
    done = run("chat", stdin="hello\n/why\n/reset\n/nonsense\n/quit\n")
    assert done.returncode == 0, done.stderr
    assert "LaMDA: " in done.stdout and "draft: 16 candidates" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("chat", "--once", "  "), "the last turn is empty"),
        (("chat", "--model", "nowhere", "--once", "hi"), "nowhere: no config.json"),
        (("chat", "--messages", "nowhere.json"), "nowhere.json"),
        (("model", "show", "9b"), "preset '9b'"),
        (("model", "show", "nano", "activation=swish"), "activation = 'swish', expected one of relu, gelu"),
        (("model", "show", "nano", "activation"), "'activation': expected key=value"),
        (("model", "convert", "nowhere", "-o", "new", "--dtype", "int8"), "nowhere: no config.json"),
        (("model", "convert", "nowhere", "-o", "new", "--dtype", "int4"), 'Invalid value "int4"'),
        (("plan", "9b"), "preset '9b'"),
        (("plan", "nano", "d_f=3"), "no setting 'd_f'; did you mean 'd_ff'?"),
        (("plan", "137b", "--chips", "v3"), "chips 'v3', expected a kind and a number"),
        (("plan", "137b", "--mesh", "64"), "mesh '64', expected DATAxMODEL"),
        (("plan", "nano", "--chips", "v4-8", "--sequence", "0"), "expected one row or more"),
        (("plan", "nano", "--chips", "v4-8", "--days", "0"), "days 0: expected more than none"),
        (("plan", "nano", "--chips", "v4-²"), "chips 'v4-²', expected a kind and a number"),
        (("model", "average", str(SHIPPED), str(SHIPPED), "-o", "pyproject.toml/mean"), "pyproject.toml"),
        (("data", "show", "recipes/nano.toml", "--stage", "shipped-2"), "expected one with a mixture: lamda, "),
        (("data", "show", "recipes/nano.toml", "lamda.accumulate=0"), "accumulate"),
        (("data", "show", "recipes"), "recipes: Is a directory, expected a TOML file"),
        (("judge", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("train", "nowhere.toml"), "nowhere.toml: no such file"),
    ],
)
def test_mistakes_are_named_in_one_line(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def test_judging_keeps_rows_and_names_bad_ones(tmp_path):
    good = {"id": 7, "context": [{"role": "user", "text": "hi"}], "response": "hello", "snippets": ["hello there"]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(good) + "\n")
    judged = json.loads(run("judge", str(tmp_path / "rows.jsonl"), "--json").stdout)
    scores = judged.pop("scores")
    assert judged == good
    assert set(scores) == {"sensible", "specific", "interesting", "safe", "grounded"}
    assert all(0 <= score <= 1 for score in scores.values())
    (tmp_path / "bad.jsonl").write_text(json.dumps(good) + '\n{"context": []}\n')
    done = run("judge", str(tmp_path / "bad.jsonl"))
    assert done.returncode == 2 and "bad.jsonl:2: field 'response'" in done.stderr
    (tmp_path / "bad.jsonl").write_text('{"contex": [], "response": "hello"}\n')
    done = run("judge", str(tmp_path / "bad.jsonl"))
    assert done.returncode == 2 and "bad.jsonl:1: no field 'context'" in done.stderr


def test_a_huge_response_is_judged_by_its_beginning(tmp_path):
    row = {
        "context": [{"role": "user", "text": "word " * 20_000}],
        "response": "x" * 100_000,
        "snippets": ["y" * 100_000, *["🙂" * 600] * 7],
    }
    (tmp_path / "rows.jsonl").write_text("\n" + json.dumps(row) + "\n")
    done = run("judge", str(tmp_path / "rows.jsonl"), "--json")
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["scores"]["grounded"] <= 1


def test_nothing_that_is_said_can_move_the_cursor():
    assert printable("a\x1b[2Jb\u202ec\nd\u2028") == "a\ufffd[2Jb\ufffdc\nd\ufffd"


@pytest.mark.parametrize("text", ["می\u200cخواهم", "👩\u200d👩\u200d👧", "क्\u200dष", "¡olé! 你好"])
def test_what_languages_are_written_with_stays(text):
    assert printable(text) == text


def test_a_plan_flags_what_the_paper_could_not_have_done():
    done = run("plan", "137b", "--steps", "3000000", "--days", "57.7", "--json")
    assert done.returncode == 0, done.stderr
    (problem,) = json.loads(done.stdout)["problems"]
    assert "infeasible" in problem


def test_137b_compiles_for_1024_devices():
    found = json.loads(run("plan", "137b", "--chips", "v3-1024", "--compile", "--json").stdout)
    assert found["compiled"]["devices"] == 1024
    assert found["compiled"]["argument_bytes"] == pytest.approx(found["state_bytes"], rel=0.02)


def test_model_show_gives_the_papers_total():
    assert json.loads(run("model", "show", "137b", "--json").stdout)["total"] == 137_702_416_384


@pytest.mark.slow
def test_a_preset_with_another_activation_is_shown_and_compiles():
    changes = ("activation=swiglu", "two_thirds_width=true", "relative_bias=shared")
    shown = json.loads(run("model", "show", "nano", *changes, "--json").stdout)
    assert shown["config"]["d_ff"] == 1365 and shown["weights"]["gate"]["shape"] == [4, 256, 1365]
    assert "gate" not in json.loads(run("model", "show", "nano", "activation=relu", "--json").stdout)["weights"]
    options = ("--chips", "v4-4", "--batch-tokens", "4096", "--compile", "--json")
    done = run("plan", "nano", "activation=relu", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["compiled"]["argument_bytes"] == pytest.approx(found["state_bytes"], rel=0.05)


def test_tools_ask():
    assert [row["text"] for row in json.loads(run("tools", "ask", "135+7721", "--json").stdout)] == ["7856"]
    assert run("tools", "ask", "-3+5").stdout.startswith("2\n")


def test_a_terminal_without_unicode_gets_its_answer():
    done = subprocess.run(
        [sys.executable, "-m", "openlamda", "tools", "ask", "river São Paulo"],
        capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_the_face_is_the_same_each_time_it_is_asked():
    import openlamda

    for name in openlamda.__all__:
        assert getattr(openlamda, name) is getattr(openlamda, name)
    assert openlamda.load is openlamda.load and callable(openlamda.load)


def test_importing_is_light():
    code = """
import sys, time
began = time.perf_counter()
import openlamda
print(time.perf_counter() - began, "jax" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took, jax_loaded = done.stdout.split()
    assert float(took) < 0.1 and jax_loaded == "False"


def test_the_shipped_model_is_small_and_whole():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 32 * 2**20
    assert {"config.json", "tokenizer.model", "model.safetensors", "judges.json", "README.md"} <= {
        p.name for p in SHIPPED.iterdir()
    }


def test_swapping_changes_every_value_that_can_change():
    facts = read_facts()
    changed = [(a, b) for a, b in zip(facts, swapped(facts), strict=True) if a.value != b.value]
    assert len(changed) > 0.95 * len(facts)
    assert all((a.entity, a.attribute, a.url) == (b.entity, b.attribute, b.url) for a, b in changed)


def test_a_number_is_found_with_or_without_commas():
    assert holds_number("135+7721 = 7,856.", "7856") and not holds_number("17856", "7856") and holds_number("-3", "-3")


def test_the_bundled_knowledge_is_large():
    began = time.perf_counter()
    assert len({(fact.entity, fact.url) for fact in read_facts()}) >= 1500
    assert time.perf_counter() - began < 1
