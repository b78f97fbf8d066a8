"""`openlamda corpus` as users run it."""

import json
import subprocess
import sys

import pytest


def run(*arguments):
    command = [sys.executable, "-m", "openlamda", "corpus", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def recipe(corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "corpus.toml"
    path.with_name("bad.jsonl").write_text('{"text": \n')
    path.write_text(
        f"""
data = "{corpus}"
row_tokens = 256
held_back_percent = 0
[mixture]
method = "equal"
[[source]]
name = "books [bold]"
paths = ["books.jsonl", "{path.with_name("bad.jsonl")}"]
[[source]]
name = "dialogs"
paths = ["forum"]
"""
    )
    return path


def test_a_corpus_is_built_and_shown(recipe, tmp_path):
    done = run("build", recipe, "-o", tmp_path / "shards", "--workers", "1")
    assert done.returncode == 0, done.stderr
    for column in ("documents", "dialogs", "utterances", "words", "tokens", "share", "books [bold]", "50."):
        assert column in done.stdout
    assert "near (as book-0)" in done.stdout and "bad.jsonl:1: " in done.stdout and "gather" in done.stderr
    again = run("build", recipe, "-o", tmp_path / "shards", "--json")
    shown = run("show", tmp_path / "shards", "--json")
    assert again.returncode == shown.returncode == 0, again.stderr + shown.stderr
    assert json.loads(again.stdout) == json.loads(shown.stdout)
    sources = json.loads(shown.stdout)["sources"]
    assert sources["dialogs"]["report"]["dialogs"] == 80 and sources["books [bold]"]["report"]["documents"] == 60
    rows = run("show", tmp_path / "shards", "--rows", "1").stdout
    assert "row 0 of the first epoch" in rows and ("[DOCUMENT]" in rows or "_TURN]" in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "no.toml", "-o", "x"), "no.toml: no such file"),
        (("show", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_misspelt_setting_is_named(recipe, tmp_path):
    done = run("build", recipe, "mixture.metod=equal", "-o", tmp_path / "shards")
    assert done.returncode == 2 and "did you mean 'method'" in done.stderr and not (tmp_path / "shards").exists()
