"""Every format and row shape, whole and broken: what can be read is, the rest is named by file and line."""

import gzip
import json
import lzma
import sys
import zlib
from typing import Any

import libzim.writer as writer
import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from openlamda.corpus import formats, lines
from openlamda.corpus.formats import read, suffixes
from openlamda.corpus.rows import Document, Talk
from openlamda.errors import UserError

PARAGRAPH = "The river rises in the hills above the old town and reaches the sea after a long way through fields. " * 3
PAGE = (
    f"<html><head><title>River</title></head><body><nav>Home</nav><article><p>{PARAGRAPH}</p></article></body></html>"
)


def found(path):
    """(rows, problems): a document as its text, a dialog as its [author, text, ...]."""
    problems: list[tuple[str, str]] = []
    rows: list[Any] = []
    for row in read(path, lambda where, what: problems.append((where.removeprefix(str(path)), what))):
        rows.append(
            row.text if isinstance(row, Document) else [p for t in row.dialog.turns for p in (t.author, t.text)]
        )
    return rows, problems


def refuse(where, what):
    raise AssertionError(f"{where}: {what}")


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def turn(role, content):
    return {"role": role, "content": content}


HI, HELLO = turn("user", "Hi there"), turn("assistant", "Hello")
TWO = ["user", "Hi there", "agent", "Hello"]
SHAPES = [
    ({"messages": [turn("system", "Be kind"), turn("user", "Hi there"), turn("assistant", "Hello")]}, TWO),
    ({"messages": [HI, turn("assistant", None), turn("tool", "42"), turn("assistant", "Hello")]}, TWO),
    ({"messages": [turn("user", [{"type": "text", "text": "Hi there"}, {"type": "image"}]), HELLO]}, TWO),
    ({"conversations": [{"from": "human", "value": "Hi there"}, {"from": "gpt", "value": "Hello"}]}, TWO),
    ({"turns": [{"role": "user", "text": "Hi"}, {"role": "user", "text": "there"}, HELLO]},
     ["user", "Hi\nthere", "agent", "Hello"]),
    ({"text": "Some text", "id": 7}, "Some text"),
    ({"title": "A river", "text": "It flows."}, "A river\n\nIt flows."),
    ({"title": "It", "text": "It flows."}, "It flows."),
    ({"question": "Hi there", "answer": "Hello"}, TWO),
    ({"prompt": "Hi there", "completion": "Hello"}, TWO),
    ({"prompt": "Hi there", "chosen": "Hello", "rejected": "Go"}, TWO),
    ({"prompt": [turn("user", "Hi there")], "completion": [turn("assistant", "Hello")]}, TWO),
    ({"instruction": "Add", "input": "1 and 2", "output": "3"}, ["user", "Add\n1 and 2", "agent", "3"]),
    ({"context": [turn("user", "Hi there")], "response": "Hello", "labels": {"sensible": 1}}, TWO),
    ({"context": ["Hello", "Hi there"], "response": "Hello"}, ["agent", "Hello", *TWO]),
    ({"context": [turn("assistant", "Hello")], "text": "Hi"}, ["agent", "Hello", "user", "Hi"]),
    ({"context": [], "question": "Hi there", "answers": [["Hello"], ["Hey"]]}, TWO),
    ({"context": "A boy and a girl.", "question": "Who?", "answers": ["A boy", "A girl"], "labels": {"answer": 1}},
     ["user", "A boy and a girl.\nWho?", "agent", "A girl"]),
    ({"context": "A boy.", "question": "Who?", "answers": {"text": ["A boy"], "answer_start": [0]}},
     ["user", "A boy.\nWho?", "agent", "A boy"]),
    ({"question": "1 + 2?", "final": 3.0}, ["user", "1 + 2?", "agent", "3"]),
    ({"question": "1 + 2?", "answer": "1+2=<<1+2=3>>3", "calculator": []}, ["user", "1 + 2?", "agent", "1+2=3"]),
    ({"kind": "question", "text": "One", "translations": {"en": "One", "de": "Eins"}}, "One\n\nEins"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), SHAPES)
def test_a_row_of_any_shape_is_read(tmp_path, row, expected):
    assert found(write(tmp_path / "rows.jsonl", row)) == ([expected], [])


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.xz", "a.jsonl.zst", "A.JSONL.GZ", "a.parquet"])
def test_every_packing_gives_the_same(tmp_path, name):
    rows = [{"text": f"row {n}"} for n in range(3000)]
    plain = "".join(json.dumps(row) + "\n" for row in rows).encode()
    pack = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.compress}.get(name.lower().split(".")[-1], bytes)
    if name.endswith("parquet"):
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / name, row_group_size=1000)
    else:
        (tmp_path / name).write_bytes(pack(plain[:9000]) + pack(plain[9000:]))  # two members, where packed
    assert found(tmp_path / name) == ([row["text"] for row in rows], [])


def test_ids_are_the_rows_own_or_file_and_line(tmp_path):
    rows = [
        {"text": "a", "id": "x"},
        {"text": "b"},
        {"text": "c", "url": "https://example.org", "title": "C"},
        {"text": "d", "id": 4},
    ]
    ids = [row.id for row in read(write(tmp_path / "rows.jsonl", *rows), print)]
    assert ids == ["x", "rows.jsonl:2", "https://example.org C", "4"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "expected a JSON object"),
        (b"[]", "list, expected a JSON object"),
        (b'"text"', "str, expected a JSON object"),
        (b'{"text": "caf\xe9"}', "byte 0xe9 at 13 is not UTF-8"),
        (b'{"text": "a\0b"}', "expected a JSON object"),
        (b'{"text": "a\\u0000b"}', "field 'text' holds a NUL character"),
        (b'{"text": 3}', "field 'text' is int, expected a string"),
        (b'{"text": " "}', "field 'text' is empty"),
        (b'{"messages": "hello"}', "field 'messages' is str, expected a list of turns"),
        (b'{"messages": [{"role": "king", "content": "x"}]}', "messages: turn 1: role 'king', expected one of"),
        (b'{"messages": [7]}', "messages: turn 1: a turn is int"),
        (b'{"messages": []}', "no turn with text"),
        (b'{"question": "x", "answer": {"a": 1}}', "only one side speaks"),
        (b'{"question": "x", "answer": true}', "field 'answer' is bool, expected a string"),
        (b'{"title": "x"}', "fields title; expected messages"),
        (b'{"id": "1", "parent_id": [], "text": "x"}', "field 'parent_id' is list"),
        (b'{"parent_id": null, "text": "x"}', "comment: field 'id' is NoneType"),
        (b'{"a": ' + b"9" * 5000 + b"}", "expected a JSON object"),
        (b"[" * 100_000, "brackets too deep"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_read(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "before"}\n\n' + line + b'\r\n{"text": "after"}')
    rows, problems = found(path)
    assert rows == ["before", "after"]
    assert [where for where, _ in problems] == [":3"] and message in problems[0][1]


def test_a_shape_that_says_nothing_is_named_once(tmp_path):
    rows, problems = found(
        write(tmp_path / "rows.jsonl", *[{"prompt": f"p{n}"} for n in range(1000)], {"text": "last"})
    )
    assert rows == ["last"]
    assert [where for where, _ in problems] == [":1", ""] and problems[1][1].startswith("999 more rows like that")


def test_a_line_too_long_is_passed_over_in_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_ROW", 1000)
    path = tmp_path / "rows.jsonl.xz"
    long = b'{"text": "' + b"x" * 100_000_000 + b'"}'
    with lzma.open(path, "wb", preset=0) as file:
        file.write(b'{"text": "before"}\n' + long + b'\n{"text": "after"}\n')
    rows, problems = found(path)
    assert rows == ["before", "after"]
    assert problems == [(":2", "a line of 100,000,013 bytes, expected at most 1,000")]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_packed_file_that_breaks_off_is_read_up_to_there(tmp_path, suffix):
    whole = "".join(f'{{"text": "row {n} {zlib.crc32(str(n).encode())}"}}\n' for n in range(20_000)).encode()
    packed = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}[suffix](whole)
    path = tmp_path / f"rows.jsonl{suffix}"
    for data in (
        packed[: len(packed) // 2],
        packed[: len(packed) // 2] + b"\xff\0" * 50 + packed[len(packed) // 2 + 100 :],
    ):
        path.write_bytes(data)
        rows, problems = found(path)
        assert 1000 < len(rows) < 20_000 and rows[:2] == [json.loads(line)["text"] for line in whole.splitlines()[:2]]
        assert any("nothing after line" in what for _, what in problems)


def test_comments_become_dialogs(tmp_path):
    rows = [
        {"id": 1, "parent_id": None, "author": "ann", "text": "Which bread is best?"},
        {"id": "t1_2", "parent_id": 1, "author": "bob", "body": "Rye, I should say."},
        {"id": "3", "parent_id": "t1_2", "author": "sellbot", "body": "Buy bread here and now"},
    ]
    said, problems = found(write(tmp_path / "forum.jsonl", *rows))
    assert said == [["user", "Which bread is best?", "agent", "Rye, I should say."]]
    assert problems == [("", "1 of 3 comments dropped: author is a bot 1")]


def test_texts_are_documents_cut_between_paragraphs(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "PIECE", 100)
    paragraphs = [f"Paragraph {n} " + "word " * n for n in range(30)]
    (tmp_path / "a.md").write_text("\n\n".join(paragraphs), encoding="utf-8-sig")
    rows = list(read(tmp_path / "a.md", print))
    texts = [row.text for row in rows if isinstance(row, Document)]
    assert "".join(texts) == "\n\n".join(paragraphs) and max(map(len, texts)) <= 100
    assert rows[0].id == "a.md" and rows[1].id == "a.md#2"
    assert all(text.startswith("Paragraph") for text in texts[:10])
    (tmp_path / "b.txt").write_bytes(b"good\nbad \xff\n\0\n" + "Grüße\n".encode() + b"x" * 250)
    rows, problems = found(tmp_path / "b.txt")
    assert "".join(rows) == "good\nGrüße\n" + "x" * 250
    assert [where for where, _ in problems] == [":2", ":3"]
    (tmp_path / "c.txt").write_bytes("in UTF-16".encode("utf-16"))
    assert found(tmp_path / "c.txt") == ([], [(":1", "UTF-16, expected UTF-8; nothing of the file is read")])


def test_pages(tmp_path):
    (tmp_path / "a.html").write_text(PAGE)
    assert found(tmp_path / "a.html") == ([PARAGRAPH.strip()], [])
    (tmp_path / "b.htm").write_text("<html></html>")
    assert found(tmp_path / "b.htm") == ([], [("", "no main text, expected an HTML page that has one")])


def warc(*records):
    """WARC records written by hand, as ISO 28500 has them."""
    made = []
    for kind, address, http in records:
        head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {address}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        head += "WARC-Record-ID: <urn:uuid:12345678-0000-0000-0000-000000000000>\r\n"
        head += f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
        made.append(head.encode() + http + b"\r\n\r\n")
    return made


def http(kind, body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])
def test_crawls(tmp_path, name):
    records = warc(
        ("response", "https://a.example/", http("text/html; charset=utf-8", PAGE.encode())),
        ("response", "https://a.example/picture", http("image/png", b"\x89PNG")),
        ("response", "https://a.example/gone", http("text/html", PAGE.encode(), "404 Not Found")),
        ("request", "https://a.example/", b"GET / HTTP/1.1\r\n\r\n"),
        ("response", "https://a.example/plain", http("text/plain", b"Plain words")),
    )
    pack = gzip.compress if name.endswith("gz") else bytes
    path = tmp_path / name
    path.write_bytes(b"".join(map(pack, records)))
    rows = list(read(path, refuse))
    assert [row.id for row in rows] == ["https://a.example/", "https://a.example/plain"]
    assert found(path) == ([PARAGRAPH.strip(), "Plain words"], [])
    broken = [*map(pack, records[:1]), pack(records[2])[:-99], pack(records[-1]), pack(records[-1])[:-30]]
    path.write_bytes(b"".join(broken))
    rows, problems = found(path)
    assert rows == [PARAGRAPH.strip(), "Plain words"]
    assert len(problems) == 2 and problems[0][0] in (":2", ":3") and "breaks off" in problems[1][1]
    path.write_bytes(b"no crawl at all")
    rows, problems = found(path)
    assert not rows and "expected a WARC record" in problems[0][1]


def test_archives(tmp_path):
    class Article(writer.Item):
        def __init__(self, path, kind, text):
            super().__init__()
            self.path, self.kind, self.text = path, kind, text

        def get_path(self):
            return self.path

        def get_title(self):
            return self.path

        def get_mimetype(self):
            return self.kind

        def get_contentprovider(self):
            return writer.StringProvider(self.text)

        def get_hints(self):
            return {}

    with writer.Creator(tmp_path / "a.zim") as creator:
        creator.add_item(Article("river", "text/html", PAGE))
        creator.add_item(Article("style", "text/css", "p {}"))
        creator.add_redirection("stream", "Stream", "river", {})
    assert [row.id for row in read(tmp_path / "a.zim", refuse)] == ["a.zim/river"]
    assert found(tmp_path / "a.zim")[0] == [PARAGRAPH.strip()]


def test_a_broken_row_of_a_table_costs_only_itself(tmp_path):
    texts = pa.array([b"good", b"caf\xe9", b"too"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    rows, problems = found(tmp_path / "a.parquet")
    assert rows == ["good", "too"] and [where for where, _ in problems] == [":2"]


def test_a_broken_group_of_a_table_costs_only_itself(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [{"text": f"row {n} {zlib.crc32(str(n).encode())}"} for n in range(300)]
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=100, compression="gzip", use_dictionary=False)
    column = parquet.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[middle : middle + 60] = b"\xff" * 60
    path.write_bytes(data)
    texts, problems = found(path)
    assert texts == [row["text"] for row in rows[:100] + rows[200:]]
    assert problems[0][0] == ":101" and "rows 101 to 200 are not read" in problems[0][1]


def test_files_that_are_none(tmp_path):
    for name in ("a.jsonl", "a.txt", "a.html", "a.jsonl.zst"):
        (tmp_path / name).touch()
        assert found(tmp_path / name) == ([], [("", "nothing to read, expected one row or more")])
    for name, message in (("none.jsonl", "no such file"), ("a.pdf", "suffix '.pdf', expected one of .jsonl")):
        with pytest.raises(UserError, match=message):
            list(read(tmp_path / name, print))
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(UserError, match="no such file"):
        list(read(tmp_path / "folder.jsonl", print))


@pytest.mark.parametrize("module", ["zstandard", "pyarrow", "trafilatura", "fastwarc.warc", "libzim.reader"])
def test_a_missing_package_is_named_with_what_to_install(tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    suffix = {"z": "jsonl.zst", "p": "parquet", "t": "html", "f": "warc", "l": "zim"}[module[0]]
    (tmp_path / f"a.{suffix}").write_bytes(b"x")
    with pytest.raises(UserError, match=r"pip install 'openlamda\[corpus"):
        list(read(tmp_path / f"a.{suffix}", print))


MAGIC = [
    b"",
    b"PAR1",
    b"WARC/1.0\r\n",
    b"\x1f\x8b\x08\0",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"ZIM\x04",
    b'{"text": "x"}\n',
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@pytest.mark.parametrize("suffix", suffixes())
@given(magic=st.sampled_from(MAGIC), data=st.binary(max_size=300))
def test_any_bytes_are_read_or_reported(tmp_path, suffix, magic, data):
    path = tmp_path / f"any{suffix}"
    path.write_bytes(magic + data)
    try:
        rows, problems = found(path)
    except UserError as error:  # libzim is not everywhere
        assert suffix == ".zim" and "pip install" in str(error)
        return
    assert rows or problems


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["user", "assistant"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from("role content text messages context question answers labels id".split()), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_object_is_a_row_or_a_user_error(value):
    from openlamda.corpus.shapes import read_row

    try:
        row = read_row({"messages": value, "text": value} if not isinstance(value, dict) else value, "x:1")
    except UserError:
        return
    assert isinstance(row, Document | Talk)
    assert row.text.strip() if isinstance(row, Document) else all(t.text.strip() for t in row.dialog.turns)
