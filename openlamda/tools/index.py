"""The embedded index: passages in a folder, found by BM25 with boosts for phrases and titles (tantivy).

Takes passages of sources, gives them back by query. Knows nothing of files' formats. Words are English stems without
case and accents; text of languages that are written without spaces is not cut into words.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.layout import analyzer, check, schema
from openlamda.tools.passages import Passage, asked, results

MAX_WORDS = 32  # of a query
CANDIDATES = 50  # passages that are ranked with phrases and titles
PAIR, TITLE = 0.3, 0.2  # weight of two words side by side, of a word in the title; 1 is a word anywhere
COMMON = 0.1  # a word in a larger share of the passages finds no candidates by itself
HEAP = 128 * 2**20  # bytes that the writer holds before it writes


class PassageIndex:
    """The index in a folder; `write` opens it for changes, which one process may do at a time, and makes it if need be.

    Changes are seen, here and by others that have it open, after `commit`, which is atomic: a process that is killed
    leaves the index as it was committed last. Raises UserError for a folder that is no index or is being written.
    """

    name = "index"

    def __init__(self, folder: Path, *, write: bool = False):
        try:
            import tantivy
        except ModuleNotFoundError:
            raise UserError(f"{folder}: an index needs tantivy: pip install 'openlamda[search]'") from None
        self._tantivy, self._folder, self._lock = tantivy, folder, threading.Lock()
        check(folder, write)
        self._schema = schema(tantivy)
        self._analyzer = analyzer(tantivy)
        self._writer: Any = None
        self._numbers: dict[str, int] = {}  # passages added since the source was last removed
        try:
            self._index = tantivy.Index(self._schema, str(folder))
            self._index.register_tokenizer("words", self._analyzer)
            if write:
                self._writer = self._index.writer(HEAP, 1)
        except (ValueError, OSError) as error:
            if "LockBusy" in str(error):
                raise UserError(f"{folder}: is being written by another process") from None
            raise UserError(f"{folder}: {error}, expected an index") from None

    def __call__(self, query: str) -> list[Result]:
        """The best passages for `query`, cut around what was asked."""
        return results(query, self.search(query))

    def search(self, query: str, limit: int = 5) -> list[Passage]:
        """At most `limit` passages, best first.

        BM25 over title, text and hints finds the candidates; those are ranked with the phrases and the title.
        """
        words = self._analyzer.analyze(asked(query))[:MAX_WORDS]
        if not words or limit < 1:
            return []
        searcher = self._index.searcher()
        found = searcher.search(self._any(self._telling(words, searcher)), max(limit, CANDIDATES), count=False).hits
        numbers: list[Any] = searcher.fast_field_values("number", [address for _, address in found])
        scores = {_place(address): score for score, address in found}
        boosts = searcher.search(self._boosts(words, numbers), max(1, len(found)), count=False).hits
        for score, address in boosts:
            scores[_place(address)] += score
        best = sorted((address for _, address in found), key=lambda address: -scores[_place(address)])
        return [self._stored(searcher.doc(address)) for address in best[:limit]]

    def _stored(self, document: Any) -> Passage:
        return msgspec.json.decode(document.get_first("passage"), type=Passage)

    def _telling(self, words: list[str], searcher: Any) -> list[str]:
        """Distinct words, common ones left out where there are others: to rank by them all would take most time."""
        bound = max(COMMON * searcher.num_docs, 1000)
        distinct = list(dict.fromkeys(words))
        return [word for word in distinct if searcher.doc_freq("words", word) <= bound] or distinct

    def _any(self, words: list[str]) -> Any:
        query, should = self._tantivy.Query, self._tantivy.Occur.Should
        terms = [query.term_query(self._schema, "words", word, index_option="freq") for word in words]
        return query.boolean_query([(should, term) for term in terms])

    def _boosts(self, words: list[str], numbers: list[Any]) -> Any:
        """Pairs of words and words of the title, in the candidates alone.

        Each part is met with the candidates by itself: a union of parts would walk through all passages.
        """
        query, occur = self._tantivy.Query, self._tantivy.Occur
        among = query.boolean_query(
            [(occur.Should, query.term_query(self._schema, "number", number)) for number in numbers]
        )
        title = [
            (occur.Should, query.term_query(self._schema, "title", word, index_option="freq"))
            for word in dict.fromkeys(words)
        ]
        parts = [query.boost_query(query.boolean_query(title), TITLE)]
        for first, second in dict.fromkeys(pairwise(words)):
            if first != second:
                parts.append(query.boost_query(query.phrase_query(self._schema, "words", [first, second]), PAIR))
        candidate = query.const_score_query(among, 0.0)
        return query.boolean_query(
            [(occur.Should, query.boolean_query([(occur.Must, candidate), (occur.Must, part)])) for part in parts]
        )

    def __len__(self) -> int:
        """Passages that can be found."""
        wanted = {"passages": {"value_count": {"field": "number"}}}  # the notes of sources have no number
        counted: Any = self._index.searcher().aggregate(self._tantivy.Query.all_query(), wanted)
        return int(counted["passages"]["value"])

    def stamps(self) -> Mapping[str, str]:
        """Source -> what `finish` noted of it, as committed."""
        searcher = self._index.searcher()
        noted = self._tantivy.Query.term_query(self._schema, "kind", "source")
        hits = searcher.search(noted, max(1, searcher.num_docs)).hits
        found: list[Any] = [searcher.doc(address) for _, address in hits]
        return {document.get_first("source"): document.get_first("stamp") for document in found}

    def remove(self, source: str) -> None:
        """Forget a source and its passages."""
        with self._lock:
            self._writer.delete_documents_by_term("source", source)
            self._numbers[source] = 0

    def add(self, source: str, passages: Iterable[Passage]) -> None:
        """More passages of a source; to replace those it has, `remove` it first."""
        for passage in passages:
            with self._lock, self._writing():
                number = self._numbers.get(source, 0)
                self._numbers[source] = number + 1
                self._writer.add_document(
                    self._tantivy.Document(
                        source=source,
                        number=_number(source, number),
                        title=passage.title,
                        words=f"{passage.title}\n{passage.text}\n{passage.hints}",
                        passage=msgspec.json.encode(passage),
                    )
                )

    def finish(self, source: str, stamp: str) -> None:
        """Note that `source` is there in whole, as of `stamp`."""
        with self._lock, self._writing():
            self._writer.add_document(self._tantivy.Document(source=source, kind="source", stamp=stamp))
            self._numbers.pop(source, None)

    def commit(self) -> None:
        """Make all changes lasting and seen, all or none of them."""
        with self._lock, self._writing():
            self._writer.commit()
            self._index.reload()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raises UserError for what the disk refuses."""
        try:
            yield
        except (ValueError, OSError) as error:
            raise UserError(f"{self._folder}: cannot be written: {error}") from None

    def close(self) -> None:
        """Let go of the folder. Changes since the last commit are lost."""
        with self._lock:
            if self._writer is not None:
                self._writer.rollback()
                self._writer.wait_merging_threads()
                self._writer = None

    def __enter__(self) -> "PassageIndex":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def _place(address: Any) -> tuple[int, int]:
    return address.segment_ord, address.doc


def _number(source: str, number: int) -> int:
    """A passage's number: the same in every build, and another passage's with a chance of 1 in 2**63."""
    digest = hashlib.blake2b(f"{number} {source}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
