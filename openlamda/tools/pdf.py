"""The text of a PDF file, page by page, read by a process of its own: a broken or hostile file can end that, not ours.

Takes a path, gives title, date and pages. As a program (`python -m openlamda.tools.pdf FILE`) it is that process: one
JSON value a line. Needs pypdfium2, the extra `search`.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from openlamda.errors import UserError
from openlamda.tools.calls import MAX_TITLE

SECONDS = 120  # of reading one file
MEMORY = 2 * 2**30  # bytes of address space
CHARACTERS = 50_000_000  # of one file


@dataclass(frozen=True)
class Page:
    """A page's text; title and date (ISO 8601) are the file's, "" where it has none."""

    number: int  # from 1
    text: str
    title: str
    date: str


class BrokenPdf(Exception):
    """Why a file cannot be read."""


def read_pages(path: Path) -> list[Page]:
    """The pages of a file. Raises BrokenPdf, and UserError where pypdfium2 is missing."""
    # -P: a file pypdfium2.py in the working directory, which may be the folder that is read, is not run
    command = [sys.executable, "-P", "-m", "openlamda.tools.pdf", str(path.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise BrokenPdf(f"takes more than {SECONDS} seconds to read") from None
    if done.returncode == 3:
        raise UserError(f"{path}: needs pypdfium2: pip install 'openlamda[search]'")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BrokenPdf(
            said[-1][:200] if said else f"its reader died of {done.returncode}: a fault, or too much memory"
        )
    return [msgspec.json.decode(line, type=Page) for line in done.stdout.splitlines()]


def _pages(path: Path) -> Iterator[Page]:
    import pypdfium2

    size = 0
    with pypdfium2.PdfDocument(path) as document:
        about = document.get_metadata_dict(skip_empty=True)
        title = about.get("Title", "").strip()[:MAX_TITLE]
        date = _day(about.get("ModDate") or about.get("CreationDate") or "")
        for number, page in enumerate(document, 1):
            text = page.get_textpage().get_text_range().replace("\r\n", "\n").replace("\ufffe", "-\n")
            page.close()
            size += len(text)
            if size > CHARACTERS:
                raise ValueError(f"more than {CHARACTERS:,} characters")
            yield Page(number, text, title, date)


def _day(stamp: str) -> str:
    """`D:20240131120000Z` as 2024-01-31."""
    digits = stamp.removeprefix("D:")[:8]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 and digits.isdecimal() else ""


def _limit() -> None:
    """Bounds of this process, where the system has them."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(path: Path) -> int:
    """Print the pages; a reason on standard error and a status other than 0 where that cannot be done."""
    try:
        import pypdfium2
    except ModuleNotFoundError:
        return 3
    _limit()
    try:
        for page in _pages(path):
            sys.stdout.buffer.write(msgspec.json.encode(page) + b"\n")
    except (pypdfium2.PdfiumError, MemoryError, ValueError, OSError) as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
