"""Web search by a service that answers in JSON: a SearXNG instance, or Brave's API and what is shaped like it.

Off unless it is configured. Takes a query, gives what the service says of the pages; the pages are not fetched. The
service's address is where the query goes, so whoever configures it decides who reads what is asked.
"""

import html
import os
import re
from typing import Any, Literal

import msgspec

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.calls import MAX_TITLE, Limits, is_address
from openlamda.tools.http import GuardedClient
from openlamda.tools.passages import Passage, asked, results

KEY = "OPENLAMDA_WEB_KEY"
MAX_QUERY, MAX_TEXT = 400, 4000  # characters
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,200}>")
Shape = Literal["searxng", "brave"]


class WebSearch:
    """A search service at `url`, the whole address without a query: https://searx.example.org/search, say.

    `key` is sent as Brave wants it, in X-Subscription-Token, and to no other host. Raises UserError for an address that
    cannot be used; a call does so where the service does not answer as it should.
    """

    name = "web"

    def __init__(self, url: str, shape: Shape, *, key: str = "", timeout: float = 10.0):
        self._url, self._shape, self._key = url, shape, key
        self._client = GuardedClient([url], timeout=timeout)

    def __call__(self, query: str) -> list[Result]:
        """What the service found, in its order."""
        return results(query, self.search(query))

    def search(self, query: str, limit: int = 5) -> list[Passage]:
        """At most `limit` pages, each with what the service tells of it; [] where there are no words to ask for."""
        words = " ".join(asked(query)[:MAX_QUERY].split())
        if not re.search(r"\w", words) or limit < 1:
            return []
        params = {"q": words} | ({"format": "json"} if self._shape == "searxng" else {"count": str(limit)})
        headers = {"Accept": "application/json"} | ({"X-Subscription-Token": self._key} if self._key else {})
        said = self._client.request("GET", self._url, params=params, headers=headers)
        try:
            answer = msgspec.json.decode(said)
        except msgspec.DecodeError as error:
            raise UserError(f"{self._url}: {error}, expected JSON") from None
        rows = _rows(answer, self._shape)
        if rows is None:
            raise UserError(f"{self._url}: no list of results in the answer, expected JSON as {self._shape} has it")
        pages = [page for row in rows if (page := _page(row))]
        return pages[:limit]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def web_search(configured: str, *, named: str = "--web", timeout: float = Limits.timeout) -> WebSearch:
    """`searxng=URL` or `brave=URL` as a search; the key is read from OPENLAMDA_WEB_KEY.

    Raises UserError for others, which says where it was configured: it is `named` there.
    """
    shape, found, url = configured.partition("=")
    if not found or shape not in ("searxng", "brave"):
        raise UserError(f"{named}: {configured!r}, expected searxng=URL or brave=URL")
    try:
        return WebSearch(url, shape, key=os.environ.get(KEY, ""), timeout=timeout)
    except UserError as error:
        raise UserError(f"{named}: {error}") from None


def _rows(answer: Any, shape: str) -> list[Any] | None:
    """The results in an answer; None where it has another shape. Brave leaves `web` out where it found nothing."""
    if shape == "brave" and isinstance(answer, dict) and "query" in answer:
        answer = answer.get("web", {"results": []})
    rows = answer.get("results") if isinstance(answer, dict) else None
    return rows if isinstance(rows, list) else None


def _page(row: Any) -> Passage | None:
    """A result's title, address, date and words; None where it has no web address or no text."""
    if not isinstance(row, dict):
        return None
    url, title = _plain(row.get("url")), _plain(row.get("title"))
    text = _plain(row.get("content") or row.get("description"))
    if not url.startswith(("http://", "https://")) or not is_address(url) or not text:
        return None
    date = _plain(row.get("publishedDate") or row.get("page_age"))[:10]
    return Passage(text[:MAX_TEXT], title[:MAX_TITLE], url, date)


def _plain(value: Any) -> str:
    """Text of a field without markup, nor any that was escaped, on one line."""
    return " ".join(_TAG.sub("", html.unescape(_TAG.sub("", value))).split()) if isinstance(value, str) else ""
