"""What search indexes hold: passages, each short enough to be read at one look; and how a text is cut into them.

Knows nothing of files and engines.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from openlamda.text.dialog import Result
from openlamda.tools.snippet import cut_around

SIZE = 1200  # characters of a passage at most
LONGEST = 2000  # characters of a query that are looked at
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n")


@dataclass(frozen=True)
class Passage:
    """A stretch of a document, or a fact. `hints` are other words by which people ask for it: searched, not shown."""

    text: str
    title: str = ""
    url: str = ""
    date: str = ""  # ISO 8601, as 2026-11-23
    hints: str = ""


class Search(Protocol):
    """An index, here or on a server, that can be asked: a tool of the toolset."""

    name: str

    def search(self, query: str, limit: int = 5) -> list[Passage]:
        """At most `limit` passages, best first; [] where no word of `query` is found."""
        ...

    def __call__(self, query: str) -> list[Result]:
        """The same as short results."""
        ...


class Store(Search, Protocol):
    """An index that can be written. Passages belong to a source (a file); what is written is seen after `commit`."""

    def stamps(self) -> Mapping[str, str]:
        """Source -> what `finish` noted of it."""
        ...

    def remove(self, source: str) -> None:
        """Forget a source and its passages."""
        ...

    def add(self, source: str, passages: Iterable[Passage]) -> None:
        """More passages of a source."""
        ...

    def finish(self, source: str, stamp: str) -> None:
        """Note that `source` is there in whole, as of `stamp`."""
        ...

    def commit(self) -> None:
        """Make all changes lasting and seen, all or none of them."""
        ...

    def __len__(self) -> int:
        """Passages that can be found."""
        ...

    def close(self) -> None:
        """Let go of what is open; changes since the last commit are lost."""
        ...


def asked(query: str) -> str:
    """The beginning of what a model or a user asks, without halves of characters, which no server takes."""
    return query[:LONGEST].encode(errors="replace").decode()


def results(query: str, passages: Iterable[Passage]) -> list[Result]:
    """Passages as a tool tells them: cut around what was asked."""
    return [Result(cut_around(query, p.text), p.url or None, p.title or None) for p in passages]


def fact(entity: str, attribute: str, value: str, url: str = "", hints: str = "") -> Passage:
    """A value that a source states, told as in the paper (LaMDA, section 6.2): "Rafael Nadal / Age / 35"."""
    return Passage(f"{entity} / {attribute} / {value}", entity, url, hints=hints)


def split(text: str, size: int = SIZE) -> Iterator[str]:
    """`text` in stretches of at most `size` characters: whole paragraphs where they fit, else sentences, else words."""
    yield from _joined(_pieces(text, size), size)


def _pieces(text: str, size: int) -> Iterator[tuple[str, str]]:
    """(what stands before it, piece), each at most `size` long."""
    for paragraph in _PARAGRAPH.split(text):
        before = "\n\n"
        paragraph = paragraph.strip()
        if len(paragraph) <= size:
            if paragraph:
                yield before, paragraph
            continue
        start = 0
        while start < len(paragraph):
            end = start + size
            if end < len(paragraph):
                ends = [match.end() for match in _SENTENCE.finditer(paragraph, start + size // 2, end)]
                space = paragraph.rfind(" ", start + size // 2, end)
                end = ends[-1] if ends else space + 1 if space > 0 else end
            if piece := paragraph[start:end].strip():
                yield before, piece
            before, start = " ", end


def _joined(pieces: Iterable[tuple[str, str]], size: int) -> Iterator[str]:
    held = ""
    for before, piece in pieces:
        if held and len(held) + len(before) + len(piece) > size:
            yield held
            held = ""
        held = f"{held}{before}{piece}" if held else piece
    if held:
        yield held
