"""Files and folders into an index: what is read, what is refused, what a second run does."""

import gzip
import json
import lzma
import os
import re
import shutil
import sys
from pathlib import Path

import libzim.writer as writer
import pytest

from openlamda.errors import UserError
from openlamda.tools import indexing, pdf, reading
from openlamda.tools.index import PassageIndex
from openlamda.tools.indexing import update
from openlamda.tools.opensearch import OpenSearchIndex
from openlamda.tools.passages import Passage

PARAGRAPH = "The river rises in the hills above the old town and reaches the sea after a long way through fields. " * 3
PAGE = (
    '<html><head><title>River</title><meta name="date" content="2024-05-06"><link rel="canonical" '
    f'href="https://example.org/river"></head><body><nav>Home</nav><article><p>{PARAGRAPH}</p></article></body></html>'
)


def pdf_bytes(*pages: str, title: str = "Tide tables") -> bytes:
    """A PDF file with a line of text a page."""
    kids = " ".join(f"{4 + 2 * k} 0 R" for k in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for k, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 200] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * k} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects.append(f"<< /Title ({title}) /ModDate (D:20250102030405Z) >>")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>"
    return out + f"trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n".encode()


def zim(path: Path, name: str = "delta") -> None:
    class Article(writer.Item):
        def __init__(self, name, kind, text):
            super().__init__()
            self.name, self.kind, self.text = name, kind, text

        def get_path(self):
            return self.name

        def get_title(self):
            return self.name.title()

        def get_mimetype(self):
            return self.kind

        def get_contentprovider(self):
            return writer.StringProvider(self.text)

        def get_hints(self):
            return {}

    with writer.Creator(path) as creator:
        creator.add_item(Article(name, "text/html", f"<html><body><p>{PARAGRAPH}</p></body></html>"))
        creator.add_item(Article("style", "text/css", "p {}"))


def read(path: Path) -> tuple[list[Passage], list[tuple[str, str]]]:
    problems: list[tuple[str, str]] = []
    found = list(reading.read(path, lambda where, what: problems.append((where.removeprefix(str(path)), what))))
    return found, problems


@pytest.fixture
def folder(tmp_path):
    """A folder with a file of each kind."""
    folder = tmp_path / "docs"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "harbour.txt").write_text("The harbour closes at nine.")
    (folder / "ferry.md").write_text("intro\n\n# The ferry\n\nIt leaves at seven.")
    (folder / "deep" / "river.html").write_text(PAGE)
    (folder / "deep" / "deeper" / "tides.pdf").write_bytes(pdf_bytes("High water at noon", "Low water at six"))
    (folder / "faq.jsonl").write_text(
        '{"text": "Dogs are welcome.", "title": "FAQ", "section": "Pets", "url": "https://example.org/faq", "date": '
        '"2026-01-31"}\n{"entity": "Pier", "attribute": "Length", "value": 310, "hints": "long"}\n'
    )
    (folder / "more.jsonl.gz").write_bytes(gzip.compress(b'{"content": "Cats stay outside."}\n'))
    zim(folder / "wiki.zim")
    return folder


@pytest.fixture
def index(tmp_path):
    with PassageIndex(tmp_path / "index", write=True) as opened:
        yield opened


def test_every_kind_of_file_is_found_with_title_address_and_date(folder, index):
    done = update(index, [folder])
    assert (done.files, done.read, done.problems) == (7, 7, [])
    os.utime(folder / "harbour.txt", (0, 0))
    update(index, [folder])
    uri = folder.as_uri()
    assert index.search("when does the harbour close", 1) == [
        Passage("The harbour closes at nine.", "harbour", f"{uri}/harbour.txt", "1970-01-01")
    ]
    ferry = index.search("ferry leaves", 1)[0]
    assert (ferry.title, ferry.url) == ("The ferry", f"{uri}/ferry.md")
    assert index.search("river hills", 1) == [
        Passage(PARAGRAPH.strip(), "River", f"{uri}/deep/river.html", "2024-05-06")
    ]
    assert index.search("low water", 1) == [
        Passage("Low water at six", "Tide tables", f"{uri}/deep/deeper/tides.pdf#page=2", "2025-01-02")
    ]
    dogs = Passage("Dogs are welcome.", "FAQ - Pets", "https://example.org/faq", "2026-01-31")
    assert index.search("dogs", 1) == [dogs]
    assert index("how long is the pier")[0].text == "Pier / Length / 310"
    assert index.search("cats", 1)[0].url == f"{uri}/more.jsonl.gz#line=1"
    assert [passage.url for passage in index.search("Delta", 1)] == [f"{uri}/wiki.zim#delta"]


def test_a_second_run_reads_only_what_changed(folder, index, monkeypatch):
    update(index, [folder])
    opened = []
    original = indexing.read
    monkeypatch.setattr(indexing, "read", lambda path, report: opened.append(path.name) or original(path, report))
    assert update(index, [folder]).unchanged == 7 and opened == []
    (folder / "harbour.txt").write_text("The harbour closes at ten.")
    (folder / "ferry.md").unlink()
    (folder / "new.txt").write_text("A lighthouse.")
    done = update(index, [folder])
    assert opened == ["harbour.txt", "new.txt"]
    assert (done.read, done.unchanged, done.removed) == (2, 5, 1)
    assert [passage.text for passage in index.search("harbour")] == ["The harbour closes at ten."]
    assert index.search("ferry") == [] and index.search("lighthouse")


def test_a_server_is_brought_up_to_date_in_the_same_way(folder, serve, fakes):
    with OpenSearchIndex(serve(fakes.OpenSearch()) + "/books", write=True) as index:
        assert update(index, [folder]).read == 7
        (folder / "ferry.md").unlink()
        done = update(index, [folder])
        assert (done.unchanged, done.removed, done.committed) == (6, 1, len(index))
        assert index.search("harbour") and index.search("ferry") == []


def test_other_paths_stay_and_paths_that_went_are_forgotten(folder, index, tmp_path):
    (tmp_path / "note.txt").write_text("A note on buoys.")
    update(index, [folder, tmp_path / "note.txt"])
    shutil.rmtree(folder)
    assert update(index, [tmp_path / "note.txt"]).removed == 0
    assert index.search("harbour")
    assert update(index, [folder]).removed == 7
    assert index.search("harbour") == [] and index.search("buoys")


def test_paths_that_cannot_be_are_named(index, tmp_path):
    with pytest.raises(UserError, match=r"none: no such file"):
        update(index, [tmp_path / "none"])
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"a.docx: suffix '.docx', expected one of .txt"):
        update(index, [tmp_path / "a.docx"])


def test_what_is_broken_is_named_and_the_rest_goes_on(folder, index):
    for name in ("bad.pdf", "bad.zim", "bad.jsonl.xz"):
        (folder / name).write_bytes(b"not what it says")
    (folder / "empty.html").write_text("<html><body></body></html>")
    (folder / "bad.txt").write_bytes(b"good line\n\xff\xfe\n")
    (folder / "bad.jsonl").write_text('{"text": "A yacht."}\n{"text": \n{"other": 1}\n{"text": 3, "title": []}\n[]\n')
    cut = pdf_bytes("page")
    (folder / "cut.pdf").write_bytes(cut[: len(cut) // 3])
    done = update(index, [folder])
    named = {Path(where.partition(":")[0]).name for where, _ in done.problems}
    assert named == {"bad.pdf", "bad.zim", "bad.jsonl.xz", "empty.html", "bad.txt", "bad.jsonl", "cut.pdf"}
    lines = sorted(where.partition("bad.jsonl:")[2] for where, _ in done.problems if "bad.jsonl:" in where)
    assert lines == ["2", "3", "4", "5"]
    assert all("expected" in what for _, what in done.problems)
    assert index.search("yacht") and index.search("harbour") and index.search("good line")
    again = update(index, [folder])
    assert (again.read, again.unchanged, len(again.problems)) == (7, 7, len(done.problems)), "problems are told again"


def test_packed_files_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ROOM", 200_000)
    lines = b'{"text": "%s"}\n' % (b"x" * 1000) * 3000
    for name, packed in (("a.jsonl.gz", gzip.compress(lines)), ("a.jsonl.xz", lzma.compress(b" " * 10**8))):
        (tmp_path / name).write_bytes(packed)
        found, problems = read(tmp_path / name)
        assert len(found) < 1200 and "unpacks to more than" in problems[-1][1]
    path = tmp_path / "a.zim"
    zim(path)
    monkeypatch.setattr(reading, "ROOM", 10)
    monkeypatch.setattr(reading, "RATIO", 0)
    found, problems = read(path)
    assert not found and "unpacks to more than" in problems[0][1]


def test_a_pdf_that_takes_too_long_or_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_bytes("page"))
    monkeypatch.setattr(pdf, "SECONDS", 0.001)
    assert "takes more than" in read(path)[1][0][1]
    monkeypatch.setattr(pdf, "CHARACTERS", 3)
    with pytest.raises(ValueError, match="more than 3 characters"):
        list(pdf._pages(path))


def test_addresses_have_no_spaces_or_are_named(tmp_path):
    zim(tmp_path / "a.zim", "A/The harbour")
    assert [p.url for p in read(tmp_path / "a.zim")[0]] == [f"{tmp_path.as_uri()}/a.zim#A/The%20harbour"]
    (tmp_path / "a.jsonl").write_text('{"text": "a yacht", "url": "see page 3"}\n{"text": "a buoy"}\n')
    found, problems = read(tmp_path / "a.jsonl")
    assert [passage.text for passage in found] == ["a buoy"]
    assert problems == [(":1", "field 'url' is 'see page 3', expected http, https, file or a path, without spaces")]


def test_what_stands_with_each_passage_is_bounded(tmp_path):
    long = dict.fromkeys(("title", "date", "hints"), "x" * 10**6)
    rows = [long | {"text": "a buoy. " * 1000}, long | {"entity": "y" * 10**6, "attribute": "a", "value": "b"}]
    (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    (tmp_path / "a.md").write_text(f"# {'x' * 10**6}\n\ntext")
    (tmp_path / "a.pdf").write_bytes(pdf_bytes("one", "two", title="x" * 10**6))
    for name, count in (("a.jsonl.xz", 8), ("a.md", 2), ("a.pdf", 2)):
        found, problems = read(tmp_path / name)
        assert len(found) >= count and not problems
        assert {len(passage.title) for passage in found} == {300}
        assert all(len(passage.date) <= 40 and len(passage.hints) <= 2000 for passage in found)
    assert all(len(page.title) == 300 for page in pdf.read_pages(tmp_path / "a.pdf"))


def test_a_python_file_in_the_folder_that_is_read_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "pypdfium2.py").write_text("open('ran', 'w')\n")
    (tmp_path / "a.pdf").write_bytes(pdf_bytes("page"))
    monkeypatch.chdir(tmp_path)
    found, problems = read(tmp_path / "a.pdf")
    assert [passage.text for passage in found] == ["page"] and not problems
    assert not (tmp_path / "ran").exists()


def test_a_reader_of_pdf_that_dies_is_a_problem_of_that_file(tmp_path, monkeypatch):
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_bytes("page"))
    (tmp_path / "dies").write_text("#!/bin/sh\nkill -SEGV $$\n")
    (tmp_path / "dies").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "dies"))
    found, problems = read(path)
    assert not found and "died of -11" in problems[0][1]


def test_a_scan_without_text_is_named(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf_bytes(""))
    assert "OCR" in read(tmp_path / "a.pdf")[1][0][1]


def test_links_that_lead_out_are_refused_and_counted(folder, index, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("the treasure")
    (folder / "file.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "dir").symlink_to(tmp_path / "outside")
    (folder / "up").symlink_to("..")
    (folder / "nowhere.txt").symlink_to("nothing")
    (folder / "circle").symlink_to("circle")
    (folder / "inside.txt").symlink_to("harbour.txt")
    done = update(index, [folder])
    assert done.refused == 5 and done.files == 8
    assert index.search("treasure") == []
    assert len(index.search("harbour")) == 2


def test_a_link_that_the_user_names_is_followed(folder, index, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert update(index, [tmp_path / "link"]).files == 7


def test_hidden_files_indexes_and_pipes_are_left_out(folder, tmp_path):
    (folder / ".git").mkdir()
    (folder / ".git" / "a.txt").write_text("hidden")
    (folder / ".b.txt").write_text("hidden")
    (folder / "a.docx").write_text("other")
    os.mkfifo(folder / "pipe.txt")
    with PassageIndex(folder / "index", write=True) as index:
        done = update(index, [folder])
        assert (done.files, done.skipped) == (7, 2) and index.search("hidden") == []


def test_a_folder_that_cannot_be_listed_is_named_and_not_forgotten(folder, index, monkeypatch):
    update(index, [folder])
    original = os.scandir

    def scandir(path):
        if Path(path).name == "deeper":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = update(index, [folder])
    assert done.removed == 0 and [what for _, what in done.problems] == [
        "Permission denied, expected a folder that can be read"
    ]
    assert index.search("low water")


def test_a_name_that_is_no_unicode_is_named(folder, index):
    with open(os.fsencode(folder) + b"/\xff.txt", "w") as file:
        file.write("text")
    assert "not UTF-8" in update(index, [folder]).problems[0][1]


def test_a_long_source_is_committed_on_the_way(folder, index, monkeypatch):
    monkeypatch.setattr(indexing, "COMMIT", 1000)
    (folder / "long.jsonl").write_text("".join(json.dumps({"text": f"row {n}"}) + "\n" for n in range(2500)))
    counts = []
    update(index, [folder / "long.jsonl"], lambda progress: counts.append(progress.committed))
    assert sorted(set(counts)) == [0, 1000, 2000, 2500]


def test_without_a_package_it_is_said_what_to_install(tmp_path, monkeypatch):
    for name, module in (("a.html", "trafilatura"), ("a.zim", "libzim.reader")):
        (tmp_path / name).write_bytes(b"x")
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UserError, match="pip install 'openlamda"):
            read(tmp_path / name)
    monkeypatch.setitem(sys.modules, "tantivy", None)
    with pytest.raises(UserError, match=r"pip install 'openlamda\[search\]'"):
        PassageIndex(tmp_path / "index", write=True)


def test_the_example_of_the_docs_runs(tmp_path, monkeypatch, capsys):
    docs = Path(__file__).parents[2] / "docs" / "search.md"
    (example,) = re.findall(r"```python\n(.*?)```", docs.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "harbour.txt").write_text("The harbour closes at nine.")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(docs), "exec"), {})
    out = capsys.readouterr().out
    assert "1 files read, 1 passages" in out and "The harbour closes at nine. file://" in out
