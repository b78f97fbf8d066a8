"""Servers in this process that answer as search servers do, for what stands in their collection."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from openlamda.tools.passages import Passage
from openlamda.tools.snippet import stems

Answer = Callable[[str, str, dict[str, str], bytes], tuple[int, Any]]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Serves a function from (method, path and query, headers, body) to (status, JSON value); gives the address."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, value = answer(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.end_headers()
                self.wfile.write(value if isinstance(value, bytes) else json.dumps(value).encode())

            do_POST = do_PUT = do_GET

            def log_message(self, format, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def ranked(query: str, documents: dict[str, dict[str, Any]], fields: tuple[str, ...]) -> list[str]:
    """The names of documents that share words with the query, those that share most first."""
    shared = {
        name: len(stems(query) & stems(" ".join(document.get(field) or "" for field in fields)))
        for name, document in documents.items()
    }
    return sorted((name for name, count in shared.items() if count), key=lambda name: -shared[name])


@dataclass
class OpenSearch:
    """As much of one index of OpenSearch as the client asks for: a request of another shape is answered with 400.

    Documents are seen after a refresh. Ranking is by the number of words shared, not BM25.
    """

    sent: dict[str, dict] = field(default_factory=dict)
    seen: dict[str, dict] = field(default_factory=dict)
    made: bool = False
    logins: set[str] = field(default_factory=set)

    def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.logins.add(headers.get("Authorization", ""))
        verb = urlsplit(path).path.removeprefix("/books")
        if method == "PUT" and verb == "":
            if self.made:
                return 400, {"error": {"type": "resource_already_exists_exception"}}
            self.made = "properties" in json.loads(body)["mappings"]
            return 200, {"acknowledged": True}
        if not self.made:
            return 404, {"error": {"type": "index_not_found_exception"}}
        handler = {
            "/_bulk": self.bulk,
            "/_refresh": self.refresh,
            "/_count": self.count,
            "/_search": self.search,
            "/_delete_by_query": self.delete,
        }.get(verb)
        return (400, {"error": f"no handler for {method} {path}"}) if handler is None else handler(headers, body)

    def bulk(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if headers["Content-Type"] != "application/x-ndjson" or not body.endswith(b"\n"):
            return 406, {"error": "Content-Type"}
        lines = [json.loads(line) for line in body.splitlines()]
        items = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            if "poison" in document.get("text", ""):
                items.append({"index": {"status": 400, "error": {"type": "mapper_parsing_exception"}}})
            else:
                self.sent[action["index"]["_id"]] = document
                items.append({"index": {"status": 201}})
        return 200, {"errors": any("error" in item["index"] for item in items), "items": items}

    def refresh(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.seen = dict(self.sent)
        return 200, {"_shards": {"failed": 0}}

    def delete(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        source = json.loads(body)["query"]["term"]["source"]
        gone = [name for name, document in self.seen.items() if document["source"] == source]
        for name in gone:
            del self.seen[name], self.sent[name]
        return 200, {"deleted": len(gone)}

    def count(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        assert json.loads(body) == {"query": {"bool": {"must_not": {"term": {"kind": "source"}}}}}
        return 200, {"count": sum(document.get("kind") != "source" for document in self.seen.values())}

    def search(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        asked = json.loads(body)
        if "match" in asked["query"]:
            assert set(asked) == {"size", "query", "rescore"}
            names = ranked(asked["query"]["match"]["words"], self.seen, ("title", "text", "hints"))[: asked["size"]]
            return 200, {"hits": {"hits": [{"_id": name, "_source": self.seen[name]} for name in names]}}
        assert asked["query"] == {"term": {"kind": "source"}} and asked["sort"] == [{"source": "asc"}]
        notes = sorted((d for d in self.seen.values() if d.get("kind") == "source"), key=lambda d: d["source"])
        notes = [d for d in notes if d["source"] > asked.get("search_after", [""])[0]][: asked["size"]]
        return 200, {"hits": {"hits": [{"_source": d, "sort": [d["source"]]} for d in notes]}}


def searxng(passages: list[Passage]) -> Answer:
    """A SearXNG instance that knows `passages`: its JSON is that of /search?format=json."""

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        asked = parse_qs(urlsplit(path).query)
        if urlsplit(path).path != "/search" or asked.get("format") != ["json"]:
            return 403, {"error": "format"}
        rows = {str(k): {"title": p.title, "text": p.text, "hints": p.hints} for k, p in enumerate(passages)}
        found = [passages[int(k)] for k in ranked(asked["q"][0], rows, ("title", "text", "hints"))]
        results = [
            {"url": p.url, "title": p.title, "content": p.text, "engine": "x", "score": 1.0, "publishedDate": None}
            for p in found
        ]
        return 200, {"query": asked["q"][0], "number_of_results": 0, "results": results, "answers": [], "infoboxes": []}

    return answer


def brave(passages: list[Passage]) -> Answer:
    """Brave's API with `passages`: /res/v1/web/search, words asked for in <strong>."""

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        asked = parse_qs(urlsplit(path).query)
        if headers.get("X-Subscription-Token") != "key":
            return 422, {"error": {"code": "SUBSCRIPTION_TOKEN_INVALID"}}
        rows = {str(k): {"title": p.title, "text": p.text, "hints": p.hints} for k, p in enumerate(passages)}
        found = [passages[int(k)] for k in ranked(asked["q"][0], rows, ("title", "text", "hints"))]
        results = [
            {
                "type": "search_result",
                "url": p.url,
                "title": p.title,
                "description": re.sub(r"(\w+)$", r"<strong>\1</strong>", p.text.replace("&", "&amp;")),
                "page_age": "2026-01-31T00:00:00",
            }
            for p in found
        ]
        web = {"web": {"type": "search", "results": results}} if results else {}
        return 200, {"type": "search", "query": {"original": asked["q"][0]}, **web}

    return answer


@pytest.fixture
def fakes() -> Any:
    """The servers above, by name."""
    return SimpleNamespace(OpenSearch=OpenSearch, searxng=searxng, brave=brave)
