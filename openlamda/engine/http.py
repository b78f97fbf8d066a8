"""JSON over HTTP to a server that others run: bounded in time, size and patience, and every failure one line.

Takes a URL and an object, gives bytes. Knows nothing of models. Needs httpx2, the extra `remote`.
"""

import time
from typing import Any

import msgspec

from openlamda.errors import Refusal, UserError

LIMIT = 64 * 2**20  # bytes of an answer
PATIENCE = 30.0  # seconds in all that 429 and 503 are waited for
CONNECT = 10.0  # seconds


class Server:
    """A server at `url`. The API key goes into the Authorization header and nowhere else; redirects are not followed.

    Raises UserError for an address or a key that cannot be sent, and where httpx2 is not installed.
    """

    def __init__(self, url: str, *, api_key: str = "", timeout: float = 120.0):
        try:
            import httpx2
        except ModuleNotFoundError:
            raise UserError("a remote server needs httpx2: pip install 'openlamda[remote]'") from None
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise UserError(f"url {url!r}: {error}, expected http:// or https://") from None
        if parsed.userinfo:
            raise UserError(
                f"url of {parsed.host}: has a user name or password, which errors would print; leave it out"
            )
        if parsed.scheme not in ("http", "https") or not parsed.host or (parsed.port or 0) > 65535:
            raise UserError(f"url {url!r}, expected http:// or https:// and a host")
        if not api_key.isascii() or any(character.isspace() for character in api_key):
            raise UserError("the API key has spaces or characters beyond ASCII, expected a key as the server gave it")
        self.url = url.rstrip("/")
        self._key, self._timeout = api_key, timeout
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx2.Client(headers=headers, timeout=httpx2.Timeout(timeout, connect=CONNECT))

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The body of the answer to `body` as JSON; from any thread. Raises Refusal for another status than 200, and
        UserError for a server that does not answer, or not within the time, or with too much.
        """
        url, content = self.url + path, msgspec.json.encode(body)
        waited, pause = 0.0, 0.5
        while True:
            status, wait, said = self._once(url, content)
            if status == 200:
                return said
            pause = max(pause, wait)
            if status not in (429, 503) or waited + pause > PATIENCE:
                raise Refusal(f"{url}: HTTP {status}: {self._message(said)}", status)
            time.sleep(pause)
            waited, pause = waited + pause, pause * 2

    def _once(self, url: str, content: bytes) -> tuple[int, float, bytes]:
        """Status, the seconds of Retry-After, body."""
        import httpx2

        body, end = bytearray(), time.monotonic() + self._timeout
        try:
            with self._client.stream("POST", url, content=content) as answer:
                for piece in answer.iter_raw():
                    body += piece
                    if len(body) > LIMIT:
                        raise UserError(f"{url}: an answer of more than {LIMIT >> 20} MiB")
                    if time.monotonic() > end:
                        raise httpx2.ReadTimeout("")
                wait = answer.headers.get("Retry-After", "")
                return answer.status_code, float(wait) if wait.isdecimal() else 0.0, bytes(body)
        except httpx2.TimeoutException:
            raise UserError(f"{url}: no answer within {self._timeout:g} seconds") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise UserError(f"{url}: {type(error).__name__}: {error}") from None

    def _message(self, body: bytes) -> str:
        """What a server says about an error, in one short line without the key."""
        said = body[:10_000].decode(errors="replace")
        try:
            found = msgspec.json.decode(body)
            found = found.get("error", found.get("detail", found)) if isinstance(found, dict) else found
            found = found.get("message", found) if isinstance(found, dict) else found
            said = found if isinstance(found, str) else str(found)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        said = " ".join(said.split())
        said = said.replace(self._key, "***") if self._key else said
        return said[:300] or "no reason given"
