"""Files as passages to search: text, Markdown, HTML, PDF, JSON Lines, Kiwix ZIM; what cannot be read is reported.

Takes a path, gives passages with title, address and date. Packed files are read within bounds, so that a few bytes
cannot become a full memory. Knows nothing of folders and indexes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openlamda.corpus import formats, web
from openlamda.corpus.lines import Report
from openlamda.corpus.rows import Document
from openlamda.errors import UserError
from openlamda.tools.calls import ADDRESS, MAX_TITLE, MAX_URL, is_address
from openlamda.tools.passages import Passage, fact, split
from openlamda.tools.pdf import BrokenPdf, read_pages

RATIO, ROOM = 100, 64 * 2**20  # a file may unpack to so many times its bytes, or to so many bytes
MAX_HINTS, MAX_DATE = 2_000, 40  # characters
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_TEXTS = ("text", "content", "passage", "body")
_DATES = ("date", "last_edit_date", "published", "updated")
_SHOWN = "expected text (or content), or entity, attribute and value"


def suffixes() -> tuple[str, ...]:
    """Which files are read."""
    return tuple(_READERS)


def read(path: Path, report: Report) -> Iterator[Passage]:
    """The passages of `path`; what cannot be read goes to `report("file:line", "what was found, what was expected")`.

    Raises UserError for an unknown suffix, and where a package is missing.
    """
    reader = next((reader for suffix, reader in _READERS.items() if path.name.lower().endswith(suffix)), None)
    if reader is None:
        raise UserError(f"{path}: suffix {path.suffix!r}, expected one of {', '.join(_READERS)}")
    try:
        if path.stat().st_size:
            yield from map(_bounded, reader(path, report))
    except OSError as error:
        report(str(path), f"{error.strerror or error}, expected a file that can be read")


def _bounded(passage: Passage) -> Passage:
    """What a file says of itself stands with each of its passages: cut, so that it cannot fill memory and index."""
    return replace(
        passage,
        title=passage.title[:MAX_TITLE],
        url=passage.url[:MAX_URL],
        date=passage.date[:MAX_DATE],
        hints=passage.hints[:MAX_HINTS],
    )


def _text(path: Path, report: Report) -> Iterator[Passage]:
    title, url, date = path.stem, path.resolve().as_uri(), _changed(path)
    for number, document in enumerate(formats.read(path, report)):
        if isinstance(document, Document):
            if number == 0 and path.suffix.lower() == ".md" and (heading := _HEADING.search(document.text)):
                title = heading[1]
            yield from (Passage(piece, title, url, date) for piece in split(document.text))


def _html(path: Path, report: Report) -> Iterator[Passage]:
    page = web.page_bytes(path, report)
    url, date = path.resolve().as_uri(), _changed(path)
    found = [replace(passage, url=url) for passage in _page(page, path, path.stem, url, date)]
    if page and not found:
        report(str(path), web.NO_TEXT)
    yield from found


def _page(page: bytes, path: Path, title: str, url: str, date: str) -> Iterator[Passage]:
    """The passages of a page's main text. The page's own title, date and address count where it gives them."""
    try:
        import trafilatura
    except ModuleNotFoundError:
        raise UserError(f"{path}: needs trafilatura: pip install 'openlamda[search]'") from None
    found = trafilatura.bare_extraction(page, include_comments=False, with_metadata=True)
    if found is None or isinstance(found, dict) or not found.text:
        return
    own = found.url if found.url and found.url.startswith(("http://", "https://")) and is_address(found.url) else url
    for piece in split(found.text):
        yield Passage(piece, found.title or title, own, found.date or date)


def _zim(path: Path, report: Report) -> Iterator[Passage]:
    size, most, url, date = 0, _most(path), path.resolve().as_uri(), _changed(path)
    for article in web.articles(path, report):
        size += len(article.page)
        if size > most:
            report(str(path), f"unpacks to more than {most:,} bytes, expected at most that; the rest is left out")
            return
        yield from _page(article.page, path, article.title, f"{url}#{quote(article.path)}", date)


def _pdf(path: Path, report: Report) -> Iterator[Passage]:
    try:
        pages = read_pages(path)
    except BrokenPdf as error:
        report(str(path), f"{error}, expected a PDF file that can be read")
        return
    if not any(page.text.strip() for page in pages):
        report(str(path), "no text, expected a PDF file that has some (a scan needs OCR first)")
    url, date = path.resolve().as_uri(), _changed(path)
    for page in pages:
        for piece in split(page.text):
            yield Passage(piece, page.title or path.stem, f"{url}#page={page.number}", page.date or date)


def _json_lines(path: Path, report: Report) -> Iterator[Passage]:
    url = path.resolve().as_uri()
    for number, row in formats.read_objects(path, report, _most(path)):
        try:
            yield from _row(row, f"{url}#line={number}", path.name)
        except UserError as error:
            report(f"{path}:{number}", str(error))


def _row(row: Any, url: str, name: str) -> Iterator[Passage]:
    """A document, `{"text", "title", "url", "date"}`, or a fact, `{"entity", "attribute", "value", "url", "hints"}`."""
    if not isinstance(row, dict):
        raise UserError(f"{type(row).__name__}, expected a JSON object")
    if (own := _string(row, "url")) and not is_address(own):
        raise UserError(f"field 'url' is {own!r:.80}, expected {ADDRESS}")
    url = own or url
    if "entity" in row:
        told = [_string(row, field) for field in ("entity", "attribute", "value")]
        if not all(told):
            raise UserError("a fact without entity, attribute or value, expected all three")
        yield fact(told[0], told[1], told[2], url, _string(row, "hints"))
        return
    text = next((_string(row, field) for field in _TEXTS if row.get(field) is not None), None)
    if text is None:
        raise UserError(f"fields {', '.join(sorted(map(str, row)))[:200] or 'none'}; {_SHOWN}")
    if not text.strip():
        raise UserError(f"no text, {_SHOWN}")
    title = " - ".join(part for field in ("title", "section") if (part := _string(row, field))) or name
    date = next((_string(row, field) for field in _DATES if row.get(field) is not None), "")
    yield from (Passage(piece, title, url, date) for piece in split(text))


def _string(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise UserError(f"field {field!r} is {type(value).__name__}, expected a string")
    return value.encode(errors="replace").decode().replace("\0", "\ufffd")


def _changed(path: Path) -> str:
    """The day on which a file was last changed."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()


def _most(path: Path) -> int:
    return max(RATIO * path.stat().st_size, ROOM)


_READERS: dict[str, Callable[[Path, Report], Iterator[Passage]]] = {
    ".txt": _text,
    ".md": _text,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".jsonl": _json_lines,
    ".jsonl.gz": _json_lines,
    ".jsonl.xz": _json_lines,
    ".jsonl.zst": _json_lines,
    ".zim": _zim,
}
