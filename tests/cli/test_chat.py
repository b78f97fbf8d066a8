"""`openlamda chat` with a scripted model in place of the shipped one: what is read, what is printed."""

import importlib
import io
import json
import re
import subprocess
import sys

import pytest

from openlamda.cli import app
from openlamda.dialog.judge import Judges
from openlamda.dialog.lamda import Lamda
from openlamda.engine.scripted import ScriptedModel, by_end
from openlamda.text.dialog import Result
from openlamda.text.tokenizer import Symbol
from openlamda.tools.base import Toolset
from openlamda.tools.toolset import read_toolset


class Book:
    name = "search"

    def __call__(self, query):
        return [Result("the river is 12 long", "https://example.org/river", "River")]


@pytest.fixture
def run(tokenizer, monkeypatch, capsys):
    """Runs the command line; gives (exit code, standard output, standard error)."""

    def encode(text):
        return tuple(tokenizer.encode(text))

    say = by_end(
        ((Symbol.RESPONSE,), [encode("It is long.")]),
        ((Symbol.TS,), [encode("river long")]),
        ((Symbol.USER,), [encode("It is 12 long. [1]")]),
    )

    def rate(prefix, continuation):
        if continuation == (Symbol.TS,):
            return [-9.0 if Symbol.SNIPPET in prefix else -0.1]
        return [-1.0] * len(continuation)

    def load(model=None, role=None, toolset=None, devices=1, remote="", remote_model=""):
        return Lamda(ScriptedModel(say, rate), tokenizer, toolset or Toolset([]), role=role, judges=Judges())

    def toolset(path, index, web):
        return read_toolset(path) if path else Toolset([Book()])

    monkeypatch.setattr(importlib.import_module("openlamda.loading"), "load", load)
    monkeypatch.setattr(importlib.import_module("openlamda.cli.chat"), "open_toolset", toolset)

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["openlamda", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        code = 0
        try:
            app.main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


def test_the_tools_are_closed_at_the_end(run, monkeypatch):
    closed = []
    monkeypatch.setattr(Book, "close", lambda self: closed.append(self), raising=False)
    assert run("chat", "--once", "how long is the river")[0] == 0
    assert run("chat", stdin=b"/quit\n")[0] == 0
    assert len(closed) == 2


def test_once_shows_the_look_up_the_reply_and_its_source(run):
    code, out, _ = run("chat", "--once", "how long is the river")
    assert code == 0
    lines = ['(looked up "river long")', "LaMDA: It is 12 long. [1]", "[1] https://example.org/river"]
    assert out.splitlines() == lines


def test_json_holds_the_reply_and_everything_that_led_to_it(run):
    reply = json.loads(run("chat", "--once", "how long", "--seed", "7", "--json")[1])
    assert reply["reply"] == "It is 12 long. [1]"
    (source,) = reply["sources"]
    assert (source["k"], source["title"], source["url"]) == (1, "River", "https://example.org/river")
    assert (source["quote"], source["support"]) == ("the river is 12 long", "supported") and source["fetched"]
    assert reply["claims"] == [{"text": "It is 12 long.", "cites": [1], "verdict": "supported", "missing": []}]
    (call,) = reply["calls"]
    assert (call["tool"], call["query"], call["results"], call["cached"]) == ("search", "river long", 1, False)
    assert call["ms"] >= 0 and call["failure"] is None
    assert (reply["finish_reason"], reply["verified"], reply["seed"]) == ("stop", True, 7)
    assert {"text", "logprob", "scores", "dropped"} <= set(reply["candidates"][0])
    assert reply["research"][0]["query"] == "river long"
    assert reply["research"][0]["results"][0]["text"] == "the river is 12 long"
    assert all(seconds >= 0 for seconds in reply["timings"].values())


def test_the_trace_says_what_each_tool_did_and_what_supports_each_claim(run):
    code, out, _ = run("chat", "--once", "how long is the river", "--trace")
    assert code == 0 and out.startswith('(looked up "river long")')
    assert re.search(r'search on "river long": 1 results, \d+\.\d ms', out)
    assert "supported: It is 12 long. [1]" in out


def test_markdown_has_its_sources_as_footnotes(run):
    code, out, _ = run("chat", "--once", "how long is the river", "--markdown")
    first, empty, note = out.splitlines()
    assert (code, first, empty) == (0, "It is 12 long. [^1]", "")
    assert re.fullmatch(
        r"\[\^1]: Source: \[River]\(<https://example\.org/river>\), read [\d-]+: “the river is 12 long”", note
    )


def test_a_tools_file_is_used_and_its_mistakes_are_named(run, tmp_path):
    path = tmp_path / "tools.toml"
    path.write_text("[[tool]]\nkind = 'calculator'\n")
    reply = json.loads(run("chat", "--once", "how long", "--tools", path, "--json")[1])
    assert [call["tool"] for call in reply["calls"]] == ["calculator"] and reply["sources"] == []
    path.write_text("[[tool]]\nkind = 'calculater'\n")
    code, _, error = run("chat", "--once", "how long", "--tools", path)
    assert code == 2 and "tools.toml: tool 1: kind 'calculater'; did you mean 'calculator'?" in error
    assert run("tools", "ask", "1+1", "--tools", path)[0] == 2


def test_tools_answer_in_a_line_each_and_failures_are_told_apart(run, tmp_path):
    assert run("tools", "ask", "135+7721") == (0, "7856\n", "")
    (found,) = json.loads(run("tools", "ask", "135+7721", "--json")[1])
    assert found["text"] == "7856" and found["url"] is None and found["fetched"]


@pytest.mark.parametrize("wrap", [lambda turns: turns, lambda turns: {"messages": turns}])
@pytest.mark.parametrize("from_stdin", [True, False])
def test_messages_come_from_a_file_or_standard_input(run, tmp_path, wrap, from_stdin):
    text = json.dumps(wrap([{"role": "user", "content": "how long is the river"}])).encode()
    path = tmp_path / "turns.json"
    path.write_bytes(text)
    code, out, err = run("chat", "--messages", "-" if from_stdin else path, stdin=text if from_stdin else b"")
    assert (code, err) == (0, "") and "LaMDA: It is 12 long. [1]" in out


def test_a_conversation_with_every_command(run):
    code, out, _ = run("chat", stdin=b"/why\nhow long\n/why\n\n/reset\n/help\n/quit\nnever read\n")
    assert code == 0
    assert "Nothing was said yet." in out and "final: 16 candidates" in out
    assert out.count("LaMDA: ") == 1 and out.count("/reset: a new dialog") == 2


def test_bytes_that_are_no_text_do_not_end_the_chat(run):
    code, out, _ = run("chat", stdin=b"how \xff long\0\nhow long\n")
    assert code == 0 and out.count("LaMDA: ") == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("--json",), b"", "--json: nothing to reply to"),
        (("--markdown",), b"", "--markdown: nothing to reply to"),
        (("--once", "hi", "--json", "--trace"), b"", "--json: prints everything"),
        (("--messages", "-"), b"{", "standard input"),
        (("--messages", "-"), b"\xff", "standard input"),
        (("--messages", "-"), b'{"turns": 3}', "standard input: turns: int, expected a list of turns"),
        (("--messages", "-"), b'[{"role": "wizard", "content": "x"}]', "turn 1: role 'wizard'"),
        (("--messages", "-"), b"[]", "the last turn is not the user's"),
        (("--messages", "."), b"", "."),
        (("--devices", "2", "--remote", "http://localhost:1"), b"", "--devices 2: the server computes"),
        (("--once", "hi", "--role", "nowhere.toml"), b"", "nowhere.toml: no such file"),
        (("--once", "hi", "--role", "."), b"", "expected a TOML file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, arguments, stdin, message):
    code, out, err = run("chat", *arguments, stdin=stdin)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and message in err and err.count("\n") == 1


def test_a_role_file_sets_the_name_and_cannot_swallow_the_window(run, tmp_path):
    path = tmp_path / "role.toml"
    path.write_text('name = "Everest"\n[[pinned]]\nauthor = "agent"\ntext = "I am high."\n')
    assert "Everest: It is 12 long." in run("chat", "--once", "how long", "--role", path)[1]
    path.write_text(f'[[pinned]]\nauthor = "agent"\ntext = "{"high " * 500}"\n')
    assert "its pinned turns take" in run("chat", "--once", "how long", "--role", path)[2]
    path.write_text("safe = 7\n")
    assert "safe is 7" in run("chat", "--once", "how long", "--role", path)[2]


def test_an_interrupt_exits_with_130(run, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Lamda, "reply", interrupted)
    code, _, err = run("chat", "--once", "hi")
    assert code == 130 and "Traceback" not in err


def test_help_describes_every_verb(run):
    out = run("--help")[1]
    for verb in ("chat", "judge", "train", "evaluate", "env", "tools", "tokenizer", "data", "model"):
        assert re.search(rf"^│ {verb} +\w+ \w+", out, re.MULTILINE), verb


def test_help_brings_no_jax():
    code = "import sys\nfrom openlamda.cli import app\napp._load_verbs()\nprint('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_env_names_what_a_bug_report_needs(run):
    found = json.loads(run("env", "--json")[1])
    assert {"openlamda", "python", "jax", "jaxlib", "sentencepiece"} <= set(found)


def test_a_server_that_is_not_there(monkeypatch, capsys):
    """The real `load`: the shipped directory's tokenizer and judges, and nobody who computes."""
    monkeypatch.setattr(sys, "argv", "openlamda chat --once hello --remote http://127.0.0.1:9/v1".split())
    with pytest.raises(SystemExit) as end:
        app.main()
    said = capsys.readouterr()
    assert end.value.code == 2 and said.out == ""
    assert said.err.startswith("error: http://127.0.0.1:9/v1/completions: ConnectError") and said.err.count("\n") == 1


def test_a_models_name_without_a_server(run):
    code, _, error = run("chat", "--once", "hello", "--remote-model", "m")
    assert code == 2 and "expected --remote URL with it" in error
