"""Search over facts: entity, attribute, value, source. An SQLite full-text index in memory.

A query is free text of a model or a user; it names an entity, whole or in part, and some words of an attribute.
"""

import re
import sqlite3
import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.snippet import stem

KNOWLEDGE = Path(__file__).parent / "knowledge"
MAX_WORDS = 24  # of a query
_STOP = frozenset("a an the of is are was were did do does in on at to for and what it its s about tell me".split())


@dataclass(frozen=True)
class Fact:
    """One value that a source states. `hints` are other words by which people ask for the attribute."""

    entity: str
    attribute: str
    value: str
    url: str
    aliases: tuple[str, ...] = ()
    hints: str = ""


class SearchIndex:
    """Facts that can be searched, as a tool of the toolset."""

    name = "search"

    def __init__(self, facts: Iterable[Fact]):
        self.facts = tuple(facts)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._db.close)
        self._db.execute(
            "CREATE VIRTUAL TABLE fact USING fts5(names, attribute, hints, "
            "tokenize='porter unicode61 remove_diacritics 2')"
        )
        self._db.executemany(
            "INSERT INTO fact(rowid, names, attribute, hints) VALUES (?, ?, ?, ?)",
            (
                (number, " ".join((fact.entity, *fact.aliases)), fact.attribute, fact.hints)
                for number, fact in enumerate(self.facts)
            ),
        )

    def __call__(self, query: str) -> list[Result]:
        """The best facts for `query`, as "entity / attribute / value"."""
        return [told(fact) for fact in self.search(query)]

    def search(self, query: str, limit: int = 5) -> list[Fact]:
        """At most `limit` facts, best first: those whose entity the query names in full before all others.

        A name inside a longer one that is also there does not count: York in "New York".
        """
        words = re.findall(r"\w+", query[:2000])[:MAX_WORDS]
        asked = [word for word in words if word.casefold() not in _STOP] or words
        if not asked:
            return []
        names = " OR ".join(f'"{word}"' for word in asked)
        with self._lock:
            rows = self._db.execute(
                "SELECT rowid, bm25(fact, 6.0, 3.0, 2.0) FROM fact WHERE fact MATCH ? AND rowid IN "
                "(SELECT rowid FROM fact WHERE names MATCH ?) ORDER BY 2 LIMIT 400",
                (names, names),
            ).fetchall()
        spoken = f" {' '.join(words).casefold()} "
        named = {row[0]: _longest_in(spoken, self.facts[row[0]]) for row in rows}
        whole = {name for name in named.values() if name}
        whole -= {name for name in whole for other in whole if name != other and f" {name} " in f" {other} "}
        ranked = sorted(rows, key=lambda row: (named[row[0]] not in whole, row[1], row[0]))
        return [self.facts[row[0]] for row in ranked[:limit]]


def told(fact: Fact) -> Result:
    """A fact as the paper tells it (LaMDA, section 6.2): "Rafael Nadal / Age / 35"."""
    return Result(f"{fact.entity} / {fact.attribute} / {fact.value}", fact.url, fact.entity)


def fits(query: str, fact: Fact) -> bool:
    """Whether the fact answers all of `query`: it names the entity in full, and what else it asks is the attribute."""
    words = [word.casefold() for word in re.findall(r"\w+", query[:2000])]
    name = _longest_in(f" {' '.join(words)} ", fact)
    rest = [stem(word) for word in words if word not in _STOP and word not in name.split()]
    known = {stem(word) for word in re.findall(r"\w+", f"{fact.attribute} {fact.hints}")}
    return bool(name) and bool(rest) and known.issuperset(rest)


def _longest_in(spoken: str, fact: Fact) -> str:
    """The longest name of the fact's entity that stands in ` spoken ` as a whole, or nothing."""
    plain = (" ".join(re.findall(r"\w+", name)).casefold() for name in (fact.entity, *fact.aliases))
    return max((name for name in plain if name and f" {name} " in spoken), key=len, default="")


def read_facts(folder: Path = KNOWLEDGE) -> list[Fact]:
    """The facts of a folder of tables.

    A table is a TSV file with columns name, page (the title of its English Wikipedia page where it differs), aliases
    (separated by |) and one column an attribute; attributes.txt gives hints, a line each: `attribute: words`.
    Raises UserError with file and line for a row of the wrong width.
    """
    hints = {}
    for line in (folder / "attributes.txt").read_text(encoding="utf-8").splitlines():
        attribute, _, words = line.partition(":")
        hints[attribute.strip()] = words.strip()
    facts = []
    for path in sorted(folder.glob("*.tsv")):
        lines = path.read_text(encoding="utf-8").splitlines()
        header = lines[0].split("\t")
        if header[:3] != ["name", "page", "aliases"]:
            raise UserError(f"{path}:1: columns {header[:3]}, expected name, page, aliases")
        for number, line in enumerate(lines[1:], 2):
            cells = line.split("\t")
            if len(cells) != len(header):
                raise UserError(f"{path}:{number}: {len(cells)} columns, expected {len(header)}")
            name, page, aliases = cells[:3]
            url = "https://en.wikipedia.org/wiki/" + quote((page or name).replace(" ", "_"), safe="(),'_")
            for attribute, value in zip(header[3:], cells[3:], strict=True):
                if value:
                    names = tuple(alias for alias in aliases.split("|") if alias)
                    facts.append(Fact(name, attribute, value, url, names, hints.get(attribute, "")))
    return facts
