"""An index on an OpenSearch server, or one that speaks the same (Elasticsearch): the embedded index's interface.

Takes http://HOST:9200/NAME. The server analyses words (English) and ranks: BM25 finds, phrases and titles re-rank, by
the weights of the embedded index. What is sent is seen after `commit`, but unlike there a process that is killed may
leave a source half replaced; the next update reads it again. A login is read from OPENLAMDA_OPENSEARCH_LOGIN, as
`user:password`.
"""

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from openlamda.errors import Refusal, UserError
from openlamda.text.dialog import Result
from openlamda.tools.http import GuardedClient
from openlamda.tools.index import CANDIDATES, MAX_WORDS, PAIR, TITLE
from openlamda.tools.passages import Passage, asked, results

LOGIN = "OPENLAMDA_OPENSEARCH_LOGIN"
BULK = 500  # documents of one request
PAGE = 1000  # sources of one request
_KEYWORD = {"type": "keyword"}
_SHOWN = {"type": "text", "analyzer": "english", "copy_to": "words"}
MAPPINGS = {
    "dynamic": False,
    "properties": {
        "words": {"type": "text", "analyzer": "english"},
        "title": _SHOWN,
        "text": {**_SHOWN, "index": False},
        "hints": {**_SHOWN, "index": False},
        "url": {"type": "keyword", "index": False, "doc_values": False},
        "date": {"type": "keyword", "index": False, "doc_values": False},
        "source": _KEYWORD,
        "kind": _KEYWORD,
        "stamp": {"type": "keyword", "index": False, "doc_values": False},
    },
}


T = TypeVar("T")


class _Note(msgspec.Struct):
    source: str
    stamp: str


class _Hit(msgspec.Struct, Generic[T], rename={"source": "_source"}):
    source: T
    sort: list[str] = []


class _Hits(msgspec.Struct, Generic[T]):
    hits: list[_Hit[T]]


class _Found(msgspec.Struct, Generic[T]):
    hits: _Hits[T]


class _Counted(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=0)]


class _Outcome(msgspec.Struct):
    error: Any = None


class _Taken(msgspec.Struct):
    errors: bool = False
    items: list[dict[str, _Outcome]] = []


class _Done(msgspec.Struct):
    pass


class OpenSearchIndex:
    """The index NAME of a server; `write` makes it where there is none.

    Raises UserError for an address that names no index, a server that does not answer, or an answer of another shape.
    """

    name = "index"

    def __init__(self, url: str, *, write: bool = False, timeout: float = 10.0):
        base, _, name = url.rstrip("/").rpartition("/")
        if base.endswith(("/", ":")) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
            raise UserError(f"{url}: names no index, expected http://HOST:9200/NAME with a NAME in small letters")
        self._url = f"{base}/{name}"
        self._client = GuardedClient([base], timeout=60.0 if write else timeout, limit=32 * 2**20)
        self._headers = {"Content-Type": "application/json"}
        if login := os.environ.get(LOGIN):
            self._headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        self._queue: list[bytes] = []
        self._numbers: dict[str, int] = {}
        if write:
            try:
                self._ask("PUT", "", {"mappings": MAPPINGS})
            except Refusal as refusal:
                if "already_exists" not in str(refusal):
                    raise

    def __call__(self, query: str) -> list[Result]:
        """The best passages for `query`, cut around what was asked."""
        return results(query, self.search(query))

    def search(self, query: str, limit: int = 5) -> list[Passage]:
        """At most `limit` passages, best first."""
        words = re.findall(r"\w+", asked(query))[:MAX_WORDS]
        if not words or limit < 1:
            return []
        boosts: list[dict[str, Any]] = [{"match": {"title": {"query": " ".join(words), "boost": TITLE}}}]
        boosts += [
            {"match_phrase": {"words": {"query": " ".join(pair), "boost": PAIR}}}
            for pair in dict.fromkeys(pairwise(words))
        ]
        body = {
            "size": limit,
            "query": {"match": {"words": " ".join(words)}},
            "rescore": {
                "window_size": max(limit, CANDIDATES),
                "query": {"rescore_query": {"bool": {"should": boosts}}},
            },
        }
        return [hit.source for hit in self._ask("POST", "/_search", body, _Found[Passage]).hits.hits]

    def __len__(self) -> int:
        """Passages that can be found."""
        asked = {"query": {"bool": {"must_not": {"term": {"kind": "source"}}}}}
        return self._ask("POST", "/_count", asked, _Counted).count

    def stamps(self) -> Mapping[str, str]:
        """Source -> what `finish` noted of it."""
        found: dict[str, str] = {}
        after: list[str] = []
        while True:
            body: dict[str, Any] = {"size": PAGE, "query": {"term": {"kind": "source"}}, "sort": [{"source": "asc"}]}
            body |= {"search_after": after} if after else {}
            hits = self._ask("POST", "/_search", body, _Found[_Note]).hits.hits
            found |= {hit.source.source: hit.source.stamp for hit in hits}
            if len(hits) < PAGE:
                return found
            if hits[-1].sort <= after:
                raise UserError(f"{self._url}: sources that end at {after}, expected those after them")
            after = hits[-1].sort

    def remove(self, source: str) -> None:
        """Forget a source and its passages, at once."""
        self._send()
        self._numbers[source] = 0
        self._ask("POST", "/_delete_by_query?refresh=true&conflicts=proceed", {"query": {"term": {"source": source}}})

    def add(self, source: str, passages: Iterable[Passage]) -> None:
        """More passages of a source; to replace those it has, `remove` it first."""
        for passage in passages:
            number = self._numbers.get(source, 0)
            self._numbers[source] = number + 1
            self._put(f"{number} {source}", {**msgspec.to_builtins(passage), "source": source})

    def finish(self, source: str, stamp: str) -> None:
        """Note that `source` is there in whole, as of `stamp`."""
        self._put(f"source {source}", {"source": source, "kind": "source", "stamp": stamp})
        self._numbers.pop(source, None)

    def commit(self) -> None:
        """Send what is left, and make it seen."""
        self._send()
        self._ask("POST", "/_refresh", None)

    def close(self) -> None:
        """Close the connection; what was not sent is lost."""
        self._client.close()

    def __enter__(self) -> "OpenSearchIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, name: str, document: dict[str, Any]) -> None:
        # ids may have 512 bytes, a path more: what makes it one of a kind is its digest
        digest = base64.urlsafe_b64encode(_digest(name)).decode().rstrip("=")
        self._queue += [msgspec.json.encode({"index": {"_id": digest}}), msgspec.json.encode(document)]
        if len(self._queue) >= 2 * BULK:
            self._send()

    def _send(self) -> None:
        if not self._queue:
            return
        lines, self._queue = b"\n".join(self._queue) + b"\n", []
        answer = self._ask("POST", "/_bulk", lines, _Taken)
        if answer.errors:
            told = (one.error for item in answer.items for one in item.values() if one.error)
            bad = next(told, "errors without a reason")
            raise UserError(f"{self._url}: {str(bad)[:300]}, expected every document to be taken")

    def _ask(self, method: str, path: str, body: dict[str, Any] | bytes | None, kind: type[T] = _Done) -> T:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else None
        headers = self._headers | ({"Content-Type": "application/x-ndjson"} if isinstance(body, bytes) else {})
        said = self._client.request(method, quote(self._url, safe=":/[]") + path, headers=headers, content=content)
        try:
            return msgspec.json.decode(said, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{self._url}: {error}, expected the JSON of an index that openlamda wrote") from None


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=18).digest()
