"""Against a server in this process; names are resolved by a table, so nothing leaves the machine."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from openlamda.errors import Refusal, UserError
from openlamda.tools.http import GuardedClient, _parsed


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        getattr(self, self.path.strip("/").partition("?")[0] or "json")()

    do_POST = do_GET

    def answer(self, status=200, body=b'{"ok": true}', **headers):
        self.send_response(status)
        for name, value in ({"Content_Type": "application/json; charset=utf-8"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def json(self):
        self.answer()

    def page(self):
        self.answer(Content_Type="text/html")

    def packed(self):
        self.answer(Content_Encoding="gzip")

    def long(self):
        self.answer(body=b"x" * 5000)

    def away(self):
        self.answer(302, Location="http://169.254.169.254/latest")

    def onwards(self):
        self.answer(302, Location=f"http://other:{self.server.server_address[1]}/json")  # type: ignore

    def home(self):
        self.answer(302, Location="/json")

    def circle(self):
        self.answer(302, Location="/circle")

    def broken(self):
        self.answer(503, body=b"overloaded")

    def slow(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        for _ in range(400):
            self.wfile.write(b" ")
            time.sleep(0.05)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # clients that leave early
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def names(monkeypatch) -> dict[str, list[str]]:
    """Names and their addresses, instead of the network's."""
    table: dict[str, list[str]] = {}

    def look_up(host, port, *_, **__):
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in table.get(host, [host])
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


def url(server: ThreadingHTTPServer, path: str = "", host: str = "127.0.0.1") -> str:
    return f"http://{host}:{server.server_address[1]}{path}"


def test_a_configured_private_host_answers(server):
    client = GuardedClient([url(server)])
    assert json.loads(client.request("GET", url(server, "/json"), params={"q": "a b&c"})) == {"ok": True}
    assert parse_qs(urlsplit(server.seen[0][0]).query) == {"q": ["a b&c"]}
    client.request("POST", url(server, "/json"), content=b"{}")
    client.close()


def test_the_name_goes_with_the_request_to_the_judged_address(server, names):
    names["searx"] = ["127.0.0.1"]
    client = GuardedClient([url(server, host="searx")])
    client.request("GET", url(server, "/json", "searx"))
    assert server.seen[0][1]["Host"] == f"searx:{server.server_address[1]}"
    client.close()


@pytest.mark.parametrize("other", ["http://127.0.0.1:1/", "https://127.0.0.1/", "http://example.org/", "ftp://a/"])
def test_other_hosts_ports_and_schemes_are_refused(server, other):
    client = GuardedClient([url(server)])
    with pytest.raises(UserError, match=r"not a configured host|expected http"):
        client.request("GET", other)
    client.close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
    ],
)  # fmt: skip
def test_a_public_name_at_a_private_address_is_refused(names, address):
    names["api.example"] = ["93.184.215.14", address]
    client = GuardedClient(["http://api.example"])
    with pytest.raises(UserError, match="no public address"):
        client.request("GET", "http://api.example/search")
    client.close()


@pytest.mark.parametrize("host", ["searx", "localhost", "search.localhost"])
def test_a_name_of_the_users_network_is_allowed_there_but_not_at_a_link_local_address(server, names, host):
    client = GuardedClient([url(server, host=host)])
    names[host] = ["127.0.0.1"]
    assert client.request("GET", url(server, "/json", host))
    names[host] = ["169.254.169.254"]
    with pytest.raises(UserError, match="no public address"):
        client.request("GET", url(server, "/json", host))
    client.close()


@pytest.mark.parametrize("address", ["10.1.2.3", "fc00::1", "::1", "169.254.1.1"])
def test_an_address_that_the_user_wrote_is_allowed(names, address):
    host = f"[{address}]" if ":" in address else address
    client = GuardedClient([f"http://{host}:1"])
    assert client._address(_parsed(f"http://{host}:1/x")) == address
    client.close()


def test_redirects_stay_with_configured_hosts(server, names):
    names["other"] = ["127.0.0.1"]
    client = GuardedClient([url(server)])
    assert client.request("GET", url(server, "/home"))
    for path in ("/away", "/onwards"):
        with pytest.raises(UserError, match="not a configured host"):
            client.request("GET", url(server, path))
    with pytest.raises(UserError, match="redirects"):
        client.request("GET", url(server, "/circle"))
    with pytest.raises(Refusal, match="HTTP 302"):
        client.request("POST", url(server, "/home"), content=b"")
    client.close()


def test_a_key_is_not_sent_on_to_another_host(server, names):
    names["other"] = ["127.0.0.1"]
    client = GuardedClient([url(server), url(server, host="other")])
    client.request("GET", url(server, "/onwards"), headers={"X-Key": "secret"})
    assert ["X-Key" in headers for _, headers in server.seen] == [True, False]
    client.close()


@pytest.mark.parametrize(
    ("path", "what"),
    [("/page", "text/html, expected application/json"), ("/packed", "packed"), ("/long", "more than 4,096 bytes")],
)
def test_answers_of_another_kind_or_size_are_refused(server, path, what):
    client = GuardedClient([url(server)], limit=4096)
    with pytest.raises(UserError, match=what):
        client.request("GET", url(server, path))
    client.close()


def test_a_slow_answer_is_given_up_in_time(server):
    client = GuardedClient([url(server)], timeout=0.3)
    began = time.monotonic()
    with pytest.raises(UserError, match=r"no answer within 0.3 seconds"):
        client.request("GET", url(server, "/slow"))
    assert time.monotonic() - began < 10
    client.close()


def test_an_error_names_status_and_reason_but_no_query(server):
    client = GuardedClient([url(server)])
    with pytest.raises(Refusal, match=r"/broken: HTTP 503: overloaded") as caught:
        client.request("GET", url(server, "/broken?key=secret"))
    assert caught.value.status == 503
    assert "secret" not in str(caught.value)
    client.close()


@pytest.mark.parametrize("bad", ["http://", "localhost:80", "http://me:pass@host/", "file:///etc"])
def test_a_url_that_cannot_be_used_is_refused_at_once(bad):
    with pytest.raises(UserError, match="url") as caught:
        GuardedClient([bad])
    assert "pass" not in str(caught.value).replace("password", "")
