"""`openlamda index`, and the index in `openlamda tools ask` and `openlamda chat`, as users run them."""

import json
import subprocess
import sys


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "openlamda", *arguments], capture_output=True, text=True, timeout=300)


def test_from_files_to_an_answer_with_its_source(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "harbour.txt").write_text("The harbour of Brumley closes at nine.")
    done = run("index", str(tmp_path / "docs"), "-o", str(tmp_path / "index"))
    assert done.returncode == 0, done.stderr
    assert "1 passages; 1 files: 1 read" in done.stdout
    done = run("index", str(tmp_path / "docs"), "-o", str(tmp_path / "index"), "--json")
    said = json.loads(done.stdout)
    assert said["unchanged"] == 1 and said["committed"] == 1 and said["problems"] == []
    asked = run("tools", "ask", "when does the harbour of Brumley close?", "--index", str(tmp_path / "index"), "--json")
    first = json.loads(asked.stdout)[0]
    assert first["text"] == "The harbour of Brumley closes at nine."
    assert first["url"] == (tmp_path / "docs" / "harbour.txt").as_uri()
    chat = run(
        "chat", "--index", str(tmp_path / "index"), "--once", "When does the harbour of Brumley close?", "--json"
    )
    assert chat.returncode == 0, chat.stderr


def test_mistakes_are_named_with_exit_code_2(tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    done = run("index", str(tmp_path / "bad.jsonl"), "-o", str(tmp_path / "index"))
    assert done.returncode == 2 and f"{tmp_path}/bad.jsonl:2: " in done.stderr and "Traceback" not in done.stderr
    assert "fine" in run("tools", "ask", "fine", "--index", str(tmp_path / "index")).stdout
    for arguments, what in (
        (("index", str(tmp_path / "none"), "-o", str(tmp_path / "index")), "no such file"),
        (("index", str(tmp_path / "bad.jsonl"), "-o", str(tmp_path / "bad.jsonl")), "bad.jsonl"),
        (("chat", "--once", "hello", "--index", str(tmp_path / "none")), "no index there"),
        (("chat", "--once", "hello", "--web", "example.org"), "expected searxng=URL"),
    ):
        done = run(*arguments)
        assert done.returncode == 2 and what in done.stderr and "Traceback" not in done.stderr
