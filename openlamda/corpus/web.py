"""The text of web pages: HTML files, WARC crawls, Kiwix ZIM archives.

Takes a path, gives documents: of each page what trafilatura takes for its main text. What cannot be read is reported.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from openlamda.corpus.lines import MAX_ROW, Report
from openlamda.corpus.rows import Document
from openlamda.errors import UserError

NO_TEXT = "no main text, expected an HTML page that has one"
_ATTEMPTS = 100  # to find the next record behind a broken one
_PAGES = ("text/html", "application/xhtml+xml")


def read_page(path: Path, report: Report, name: str) -> Iterator[Document]:
    """The one document of an HTML file."""
    extract = _extractor(path)
    page = page_bytes(path, report)
    if text := extract(page):
        yield Document(name, text)
    elif page:
        report(str(path), NO_TEXT)


def page_bytes(path: Path, report: Report) -> bytes:
    """An HTML file as it stands, b"" for one that is too long."""
    with open(path, "rb") as file:
        page = file.read(MAX_ROW + 1)
    if len(page) > MAX_ROW:
        report(str(path), f"a page of more than {MAX_ROW:,} bytes, expected at most that")
        return b""
    return page


def read_warc(path: Path, report: Report, name: str) -> Iterator[Document]:
    """The pages of a crawl (responses that are HTML or plain text), each by its address."""
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs fastwarc: pip install 'openlamda[corpus]'") from None
    extract = _extractor(path)
    number = place = 0  # of the last record read
    failed = 0  # attempts since
    with open(path, "rb") as file:
        while failed < _ATTEMPTS:
            try:
                file.seek(place)
                for record in ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=False):
                    number, place, failed = number + 1, record.stream_pos, 0
                    text = _response(record, extract, f"{path}:{number}", report)
                    if text:
                        yield Document(record.headers.get("WARC-Target-URI") or f"{name}:{number}", text)
                return
            except OSError as error:
                if not failed:
                    report(f"{path}:{number + 1}", f"{error}, expected a WARC record; the next one is looked for")
            failed += 1
            found = _find(file, b"\x1f\x8b\x08" if path.suffix.lower() == ".gz" else b"WARC/1.", place + 1)
            if found is None:
                return
            place = found


def _response(record: Any, extract: Callable[[bytes], str], where: str, report: Report) -> str:
    """The text of a record that is a page and was found, else ""."""
    if record.content_length > MAX_ROW:
        report(where, f"a page of {record.content_length:,} bytes, expected at most {MAX_ROW:,}")
        return ""
    wanted = record.content_length
    record.freeze()
    if record.content_length < wanted:
        report(where, f"{record.content_length:,} bytes, expected {wanted:,}: the record breaks off")
        return ""
    record.parse_http(auto_decode="all")
    kind = record.http_content_type or ""
    status = record.http_headers.status_code if record.http_headers else None
    if kind not in (*_PAGES, "text/plain") or (status or 200) // 100 != 2:
        return ""
    body = record.reader.read(MAX_ROW)  # what is unpacked beyond that is left out
    return extract(body) if kind in _PAGES else body.decode(errors="replace")


def _find(file: IO[bytes], mark: bytes, place: int) -> int | None:
    """Where `mark` stands in `file` from `place` on."""
    file.seek(place)
    rest = b""
    while part := file.read(2**20):
        at = (rest + part).find(mark)
        if at >= 0:
            return place - len(rest) + at
        rest, place = (rest + part)[1 - len(mark) :], place + len(part)
    return None


def read_zim(path: Path, report: Report, name: str) -> Iterator[Document]:
    """The articles of an archive, each by its path. Raises UserError where libzim (GPL, so optional) is missing."""
    extract = _extractor(path)
    for article in articles(path, report):
        if text := extract(article.page):
            yield Document(f"{name}/{article.path}", text)


@dataclass(frozen=True)
class Article:
    """A page of an archive, as HTML."""

    path: str
    title: str
    page: bytes


def articles(path: Path, report: Report) -> Iterator[Article]:
    """The HTML pages of a ZIM archive. Raises UserError where libzim is missing."""
    try:
        from libzim.reader import Archive
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs libzim, which is GPL: pip install 'openlamda[corpus,zim]'") from None
    try:
        archive = Archive(path)
    except RuntimeError as error:
        report(str(path), f"{error}, expected a ZIM archive")
        return
    for number in range(archive.all_entry_count):
        where = f"{path}:{number + 1}"
        try:
            entry = archive._get_entry_by_id(number)
            if entry.is_redirect:
                continue
            item = entry.get_item()
            if item.mimetype.partition(";")[0] not in _PAGES:
                continue
            if item.size > MAX_ROW:
                report(where, f"a page of {item.size:,} bytes, expected at most {MAX_ROW:,}")
                continue
            article = Article(entry.path, entry.title, bytes(item.content))
        except (RuntimeError, KeyError, IndexError) as error:
            report(where, f"{error}, expected an article")
            continue
        yield article


def _extractor(path: Path) -> Callable[[bytes], str]:
    """A function from a page's bytes to its main text, "" where there is none."""
    try:
        import trafilatura
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs trafilatura: pip install 'openlamda[corpus]'") from None

    def extract(page: bytes) -> str:
        return trafilatura.extract(page, include_comments=False) or ""

    return extract
