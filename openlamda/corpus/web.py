"""The text of web pages: HTML files, WARC crawls, Kiwix ZIM archives.

Takes a path, gives documents: of each page what trafilatura takes for its main text. What cannot be read is reported.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openlamda.corpus.lines import MAX_ROW, Report
from openlamda.corpus.rows import Document
from openlamda.errors import UserError

_PAGES = ("text/html", "application/xhtml+xml")


def read_page(path: Path, report: Report) -> Iterator[Document]:
    """The one document of an HTML file."""
    extract = _extractor(path)
    try:
        with open(path, "rb") as file:
            page = file.read(MAX_ROW + 1)
    except OSError as error:
        report(str(path), f"{error.strerror}, expected an HTML page")
        return
    if len(page) > MAX_ROW:
        report(str(path), f"a page of more than {MAX_ROW:,} bytes, expected at most that")
    elif text := extract(page):
        yield Document(path.name, text)
    elif page:
        report(str(path), "no main text, expected an HTML page that has one")


def read_warc(path: Path, report: Report) -> Iterator[Document]:
    """The pages of a crawl (responses that are HTML or plain text), each by its address."""
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs fastwarc: pip install 'openlamda[corpus]'") from None
    extract = _extractor(path)
    number = 0
    try:
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=True):
                number += 1
                kind = record.http_content_type or ""
                if kind not in (*_PAGES, "text/plain") or (record.http_headers or {}).get(":status", "200")[:1] != "2":
                    continue
                body = record.reader.read(MAX_ROW + 1)
                where = f"{path}:{number}"
                if len(body) > MAX_ROW:
                    report(where, f"a page of more than {MAX_ROW:,} bytes, expected at most that")
                elif text := extract(body) if kind in _PAGES else body.decode(errors="replace"):
                    yield Document(record.headers.get("WARC-Target-URI") or f"{path.name}:{number}", text)
    except OSError as error:
        report(f"{path}:{number + 1}", f"{error}, expected a WARC record")


def read_zim(path: Path, report: Report) -> Iterator[Document]:
    """The articles of an archive, each by its path. Raises UserError where libzim (GPL, so optional) is missing."""
    try:
        from libzim.reader import Archive
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs libzim, which is GPL: pip install 'openlamda[corpus,zim]'") from None
    extract = _extractor(path)
    try:
        archive = Archive(path)
    except RuntimeError as error:
        report(str(path), f"{error}, expected a ZIM archive")
        return
    for number in range(archive.all_entry_count):
        try:
            entry = archive._get_entry_by_id(number)
            if entry.is_redirect:
                continue
            item = entry.get_item()
            if item.mimetype.partition(";")[0] not in _PAGES:
                continue
            page = bytes(item.content)
        except (RuntimeError, KeyError, IndexError) as error:
            report(f"{path}:{number + 1}", f"{error}, expected an article")
            continue
        if text := extract(page):
            yield Document(f"{path.name}/{entry.path}", text)


def _extractor(path: Path) -> Any:
    """A function from a page's bytes to its main text, "" where there is none."""
    try:
        import trafilatura
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs trafilatura: pip install 'openlamda[corpus]'") from None

    def extract(page: bytes) -> str:
        return trafilatura.extract(page, include_comments=False) or ""

    return extract
