"""HTTP for tools, guarded: only to configured hosts, never by accident into a private network, and within bounds.

Takes a method and a URL, gives the body of a good answer. Knows nothing of what is asked. Needs httpx2, the extra
`remote`. A name is resolved once, its addresses are judged, and the connection goes to a judged address, so that a
second look-up cannot give another one. Proxies of the environment are not used: they would resolve names themselves.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from openlamda.errors import Refusal, UserError

if TYPE_CHECKING:
    import httpx2

REDIRECTS = 3
REDIRECTED = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Value = TypeVar("Value")


class GuardedClient:
    """A client for the hosts that it was given, each as a URL such as https://search.example.org.

    A name with a dot must be at public addresses: its owner could move it into the user's network. What is surely of
    that network may be there, since the user wrote it: an address, localhost, a name without a dot; but at link-local
    and multicast addresses is only what is written as such. Scheme and port count: http://localhost:9200 does not
    open http://localhost:22. An answer is due within `timeout` seconds in all, names, redirects and slow bodies
    included, has at most `limit` bytes, and is of one of the media types `kinds`. From any thread. Raises UserError
    for a URL that cannot be used, and where httpx2 is missing.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        timeout: float = 10.0,
        limit: int = 2 * 2**20,
        kinds: tuple[str, ...] = ("application/json",),
    ):
        try:
            import httpx2
        except ModuleNotFoundError:
            raise UserError("HTTP needs httpx2: pip install 'openlamda[remote]'") from None
        self._origins = {_origin(_parsed(url)) for url in hosts}
        self._timeout, self._limit, self._kinds = timeout, limit, kinds
        # A kept connection would be found by its address, whatever name its certificate was checked for.
        self._client = httpx2.Client(
            timeout=timeout, trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0), follow_redirects=False
        )

    def close(self) -> None:
        """Close what is open."""
        self._client.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> bytes:
        """The body of the answer. Only GET follows redirects, and `headers` do not go to another host with them.

        Raises Refusal for a status that is not 2xx, UserError for a host that is not allowed, no answer within the
        time, or one that is too long or of another type. Messages leave the query of the URL out: it may hold a key.
        """
        import httpx2

        target = _parsed(url)
        if params:
            target = target.copy_merge_params(dict(params))
        given_up = threading.Event()

        def ask() -> bytes:
            try:
                return self._follow(method, target, dict(headers or {}), content, given_up)
            except httpx2.TimeoutException:
                raise self._late(target) from None
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise UserError(f"{_shown(target)}: {type(error).__name__}: {error}") from None

        try:
            return _within(self._timeout, ask)
        except queue.Empty:
            given_up.set()
            raise self._late(target) from None

    def _late(self, url: "httpx2.URL") -> UserError:
        return UserError(f"{_shown(url)}: no answer within {self._timeout:g} seconds")

    def _follow(
        self,
        method: str,
        url: "httpx2.URL",
        headers: dict[str, str],
        content: bytes | None,
        given_up: threading.Event,
    ) -> bytes:
        for _ in range(REDIRECTS + 1):
            status, location, body = self._once(method, url, headers, content, given_up)
            if status // 100 == 2:
                return body
            if status not in REDIRECTED or not location or method != "GET":
                said = " ".join(body[:1000].decode(errors="replace").split())[:200]
                raise Refusal(f"{_shown(url)}: HTTP {status}: {said or 'no reason given'}", status)
            following = url.join(location)
            if _origin(following) != _origin(url):
                headers = {}
            url = following
        raise UserError(f"{_shown(url)}: more than {REDIRECTS} redirects")

    def _once(
        self,
        method: str,
        url: "httpx2.URL",
        headers: dict[str, str],
        content: bytes | None,
        given_up: threading.Event,
    ) -> tuple[int, str, bytes]:
        """Status, Location and body of one request."""
        address = self._address(url)
        sent = {**headers, "Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        direct, body = url.copy_with(host=address), bytearray()
        with self._client.stream(
            method, direct, headers=sent, content=content, extensions={"sni_hostname": url.host}
        ) as answer:
            good = answer.status_code // 100 == 2
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if good and kind not in self._kinds:
                raise UserError(f"{_shown(url)}: {kind or 'no media type'}, expected {' or '.join(self._kinds)}")
            if good and answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise UserError(f"{_shown(url)}: a packed answer, which was not asked for")
            for piece in answer.iter_raw():
                body += piece
                if len(body) > self._limit:
                    raise UserError(f"{_shown(url)}: an answer of more than {self._limit:,} bytes")
                if given_up.is_set():
                    break
            return answer.status_code, answer.headers.get("Location", ""), bytes(body)

    def _address(self, url: "httpx2.URL") -> str:
        """An address of the URL's host that may be connected to. Raises UserError for a host that is not allowed."""
        origin = _origin(url)
        if origin not in self._origins:
            raise UserError(f"{_shown(url)}: not a configured host")
        scheme, host, port = origin
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UserError(f"{scheme}://{host}: {getattr(error, 'strerror', None) or error}") from None
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        for address in addresses:  # one bad address among good ones is a trick
            if not _allowed(address, host):
                raise UserError(f"{scheme}://{host}: at {address}, which is no public address")
        return min(addresses, key=lambda address: ":" in address)  # IPv4 first: not every network has IPv6


def _allowed(address: str, host: str) -> bool:
    """Whether a host that the user wrote may be at an address."""
    actual = _inner(address)
    if "." not in host or host.endswith(".localhost"):
        return address == host or not (actual.is_link_local or actual.is_multicast)
    return address == host or (actual.is_global and not actual.is_multicast)


def _inner(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    plain = ipaddress.ip_address(address)
    if isinstance(plain, ipaddress.IPv4Address):
        return plain
    if plain in NAT64:
        return ipaddress.IPv4Address(int(plain) & 0xFFFFFFFF)
    return plain.ipv4_mapped or plain.sixtofour or (plain.teredo[1] if plain.teredo else plain)


def _parsed(url: str) -> "httpx2.URL":
    import httpx2

    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise UserError(f"url {url!r}: {error}, expected http:// or https://") from None
    if parsed.userinfo:
        raise UserError(f"url of {parsed.host}: has a user name or password, which errors would print; leave it out")
    if parsed.scheme not in PORTS or not parsed.host:
        raise UserError(f"url {url!r}, expected http:// or https:// and a host")
    return parsed


def _origin(url: "httpx2.URL") -> tuple[str, str, int]:
    return url.scheme, url.host.lower().rstrip("."), url.port or PORTS.get(url.scheme, 0)


def _shown(url: "httpx2.URL") -> str:
    """The URL in messages."""
    return str(url.copy_with(query=None, fragment=None, username=None, password=None))


def _within(seconds: float, work: Callable[[], Value]) -> Value:
    """What `work` gives, done in a thread; queue.Empty when the time is over, whatever it is doing then."""
    done: queue.SimpleQueue[tuple[Value | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, daemon=True, name="http").start()
    value, error = done.get(timeout=seconds)
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
