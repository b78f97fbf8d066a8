"""A server over a scripted model and a real store on SQLite: in this process, or behind a socket."""

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from openlamda.dialog.judge import Judges
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.roles import SHIPPED, Role
from openlamda.engine.scripted import ScriptedModel
from openlamda.serve.agents import Agents
from openlamda.serve.app import create_app
from openlamda.serve.running import Server, config_of, listen
from openlamda.serve.settings import Settings
from openlamda.store.opening import open_store
from openlamda.store.records import KeyLimits
from openlamda.text.dialog import Result
from openlamda.text.tokenizer import Symbol
from openlamda.tools.base import Toolset

DRAFTS = ("It is long.", "I am unsafe.", "The river is blue.", "How long it is")
FINALS = ("It is 12 long. [1]", "The river is 12 long. [1]")


class Book:
    """A search that finds one page."""

    name = "search"

    def __call__(self, query):
        return [Result("the river is 12 long", "https://example.org/river", "River <script>")]


class Calculator:
    name = "calculator"

    def __call__(self, query):
        return []


class Translator:
    name = "translator"

    def __call__(self, query):
        return []


@pytest.fixture(scope="session")
def make_lamda(tokenizer):
    """An agent that drafts DRAFTS, one of them unsafe, and looks up once where the user says "how"; slow where the
    user says "wait": each draw then waits for `gate`.
    """

    def make(gate: threading.Event | None = None, role: Role | None = None) -> Lamda:
        def encode(text):
            return tuple(tokenizer.encode(text))

        unsafe = encode("I am unsafe.")

        def say(prefix, n):
            if gate is not None and "wait" in tokenizer.decode(prefix):
                gate.wait(20)
            if prefix[-1] == Symbol.TS:
                return [encode("river long")]
            if prefix[-1] == Symbol.USER:
                return [encode(text) for text in FINALS]
            if prefix[-1] in (Symbol.RESPONSE, Symbol.AGENT_TURN):
                return [encode(text) for text in DRAFTS]
            return [encode("blue river")]

        def rate(prefix, continuation):
            if continuation == (Symbol.TS,):
                how = "how" in tokenizer.decode(prefix)
                return [-0.1 if how and Symbol.SNIPPET not in prefix else -9.0]
            if continuation == (Symbol.USER,):
                return [-1.0]
            if len(continuation) > 1 and continuation[-1] == Symbol.YES and continuation[-2] == Symbol.UNSAFE:
                bad = continuation[: len(unsafe)] == unsafe
                return [-1.0] * (len(continuation) - 1) + [3.0 if bad else -5.0]
            if len(continuation) > 1 and continuation[-1] == Symbol.YES and continuation[-2] == Symbol.SENSIBLE:
                return [-1.0] * (len(continuation) - 1) + [1.0 / len(continuation)]
            return [-1.0] * len(continuation)

        judges = Judges(attributes=("sensible", "unsafe"))
        tools: list[Any] = [Calculator(), Translator(), Book()]
        return Lamda(ScriptedModel(say, rate), tokenizer, Toolset(tools), judges=judges, role=role, window=400)

    return make


@pytest.fixture
def store(tmp_path):
    opened = open_store(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@pytest.fixture
def make_app(make_lamda, store):
    """An application by its settings."""

    def make(*, gate=None, folders=(SHIPPED,), **settings):
        agents = Agents(lambda: make_lamda(gate), "scripted", folders)
        return create_app(Settings(**settings), agents, store)

    return make


@pytest.fixture
def client(make_app):
    with TestClient(make_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def page(client):
    """The same server as a page sees it: with a session and the header that changes want."""
    client.headers["X-Openlamda"] = "1"
    assert client.post("/api/session", json={}).status_code == 204
    return client


@pytest.fixture
def new_key(store):
    """A key's secret by its scopes and limits."""

    def make(*scopes, **limits):
        return store.new_key(store.new_user("somebody").id, "test", frozenset(scopes), KeyLimits(**limits))[1]

    return make


@dataclass
class Running:
    """A server behind a socket."""

    port: int
    app: Any
    server: uvicorn.Server
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(app):
    listening = listen("127.0.0.1", 0)
    server = Server(config_of(app.state.parts, app), app.state.parts)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Running(listening.getsockname()[1], app, server, thread)
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
        assert not thread.is_alive()


@pytest.fixture
def running(make_app):
    """The application behind a socket."""
    with serving(make_app()) as found:
        yield found


def events(response):
    """(name, data) of each server-sent event."""
    import json

    found = []
    for block in response.text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            data = fields["data"]
            found.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found
