"""Files that are not what they should be: each is named, with what was expected, and nothing is read half."""

import gzip

import pytest

from openlamda import config
from openlamda.corpus.readers import read_lines
from openlamda.dialog.judge import Judges
from openlamda.dialog.roles import Role
from openlamda.errors import UserError
from openlamda.text.dialog import dialog_from_json
from openlamda.text.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{}\n{", r"rows.jsonl:2: .*expected a JSON object"),
        (b"{}\n[]", r"rows.jsonl:2: list, expected a JSON object"),
        (b"[" * 100_000, r"rows.jsonl:1: .*expected a JSON object"),
        (b'{"a": ' + b"9" * 5000 + b"}", r"rows.jsonl:1: .*expected a JSON object"),
        (b"{}\n\xff", r"rows.jsonl: cannot be read after line"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text)
    with pytest.raises(UserError, match=message):
        list(read_lines(path))


def test_a_packed_file_that_is_cut_is_named(tmp_path):
    whole = gzip.compress(b'{"a": 1}\n' * 5000)
    for name, data in (("cut.gz", whole[: len(whole) // 2]), ("bad.gz", whole[:20] + b"\0" * 20 + whole[40:])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=f"{name}: cannot be read after line"):
            list(read_lines(tmp_path / name))


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    (tmp_path / "rows.jsonl").write_text('\ufeff{"a": 1}\n', encoding="utf-8")
    assert [row for _, row in read_lines(tmp_path / "rows.jsonl")] == [{"a": 1}]


@pytest.mark.parametrize("role", [["user"], {"a": 1}, None, 3, "system"])
def test_a_role_that_is_none_is_named(role):
    with pytest.raises(UserError, match=r"here: turn 1: role .*expected one of"):
        dialog_from_json([{"role": role, "content": "x"}], "here")


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x0a\xff\xff"])
def test_what_is_no_tokenizer_is_refused(tmp_path, data):
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(UserError, match="tokenizer"):
        Tokenizer.load(tmp_path / "tokenizer.model")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"attributes": ["unsafe"], "tresholds": {}}', "no setting 'tresholds'; did you mean 'thresholds'"),
        (b'{"attributes": ["unsafe"], "thresholds": {"saef": 0.9}}', "threshold 'saef', expected one of safe"),
        (b'{"thresholds": {"safe": 2}}', "expected a probability"),
        (b'{"attributes": ["kind"]}', "attribute 'kind', expected one of"),
        (b'{"attributes": ["sensible/gore"]}', "attribute 'sensible/gore', expected one of"),
        (b'{"calibration": {"unsafe": {"platt": {}}}}', "threshold"),
        (b'{"a": "\xff"}', "judges.json"),
    ],
)
def test_a_wrong_judges_file_is_named(tmp_path, text, message):
    (tmp_path / "judges.json").write_bytes(text)
    with pytest.raises(UserError, match=message):
        Judges.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[pinned]]\nauthor = "user"\ntext = "x"\nmood = "y"\n', "pinned 1: no setting 'mood'"),
        ('safe_reply = " "\n', "safe_reply is empty"),
        ("safe = 2\n", "expected a probability"),
        ("x = " + "[" * 5000, "role.toml"),
    ],
)
def test_a_wrong_role_is_named(tmp_path, text, message):
    (tmp_path / "role.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        Role.read(tmp_path / "role.toml")


def test_a_folder_is_no_settings_file(tmp_path):
    with pytest.raises(UserError, match="Is a directory, expected a TOML file"):
        config.load(Role, tmp_path)
