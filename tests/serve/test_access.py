"""Keys: who may do what, and how much of it."""

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from openlamda.serve.running import config_of
from openlamda.store.records import KeyLimits

ASK = {"messages": [{"role": "user", "content": "hello"}], "seed": 1}


@pytest.fixture
def locked(make_app):
    with TestClient(make_app(require_key=True), raise_server_exceptions=False) as client:
        yield client


def ask(client, key=None, path="/v1/chat/completions", body=ASK):
    return client.post(path, json=body, headers={"Authorization": f"Bearer {key}"} if key else {})


@pytest.mark.parametrize("key", [None, "none", "olk_", "olk_" + "x" * 43, "olk_\u00e9", "a b", "olk_' OR 1=1 --"])
def test_a_forged_or_absent_key_opens_nothing(locked, key):
    header = {"Authorization": f"Bearer {key}".encode()} if key else {}
    for path in ("/v1/chat/completions", "/v1/completions", "/admin/reload", "/tokenize"):
        response = locked.post(path, json=ASK, headers=header)
        assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer", response.text
        assert response.json()["error"]["code"] == "invalid_api_key"
    assert locked.get("/v1/models", headers=header).status_code == 401
    store = locked.app.state.parts.store
    assert [line.action for line in store.audit_log()] in ([], ["key.refused.key"])  # not one for each
    assert locked.get("/healthz").status_code == 200


def test_a_flood_of_forged_keys_is_a_line_a_minute_of_the_audit_log(locked):
    parts = locked.app.state.parts
    for minute in (1, 2):
        assert {ask(locked, "olk_forged").status_code for _ in range(3)} == {401}
        assert [line.action for line in parts.store.audit_log()] == ["key.refused.key"] * minute
        parts.noted["key"] -= 60


def test_a_local_server_answers_to_names_of_this_machine_alone(make_app):
    with TestClient(make_app(local=True)) as client:
        for host, status in {
            "localhost:8000": 200,
            "127.0.0.1": 200,
            "[::1]:8000": 200,
            "LOCALHOST": 200,
            "evil.example:8000": 403,
            "localhost.evil.example": 403,
            "127.0.0.1@evil.example": 403,
            "[": 403,
            "": 403,
        }.items():
            response = client.get("/healthz", headers={"Host": host})
            assert response.status_code == status, host
            assert "x-request-id" in response.headers


def test_a_key_is_for_its_scopes(locked, new_key):
    chat, bare, admin = new_key("chat"), new_key("completions"), new_key("admin")
    assert ask(locked, chat).status_code == 200
    assert ask(locked, bare).status_code == ask(locked, admin).status_code == 403
    assert ask(locked, chat, "/v1/completions", {"prompt": "a"}).status_code == 403
    assert ask(locked, chat, "/admin/reload").status_code == 403
    assert ask(locked, admin, "/admin/reload").status_code == 200


def test_without_locks_any_client_may_chat_but_a_broken_key_of_ours_is_told(client, store, new_key):
    assert ask(client, "sk-whatever").status_code == ask(client).status_code == 200
    assert ask(client, "olk_forged").status_code == 401
    assert ask(client, path="/admin/reload").status_code == 401


def test_a_revoked_or_expired_key_opens_nothing(locked, store):
    user = store.new_user("x").id
    key, secret = store.new_key(user, "k", frozenset({"chat"}), KeyLimits())
    assert ask(locked, secret).status_code == 200
    store.revoke_key(key.id)
    assert ask(locked, secret).status_code == 401
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert ask(locked, store.new_key(user, "k", frozenset({"chat"}), KeyLimits(), past)[1]).status_code == 401


def test_requests_a_minute_and_tokens_a_day(locked, new_key):
    few = new_key("chat", requests_per_minute=2)
    assert [ask(locked, few).status_code for _ in range(3)] == [200, 200, 429]
    refused = ask(locked, few)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded" and 0 < int(refused.headers["Retry-After"]) <= 60
    assert ask(locked, new_key("chat", tokens_per_day=5)).status_code in (200, 429)
    little = new_key("chat", tokens_per_day=5)
    ask(locked, little)
    assert ask(locked, little).status_code == 429


def test_the_page_of_a_locked_server_wants_a_key(locked, new_key):
    locked.headers["X-Openlamda"] = "1"
    assert locked.post("/api/session", json={}).status_code == 401
    assert locked.post("/api/session", json={"key": "olk_forged"}).status_code == 401
    assert locked.post("/api/session", json={"key": new_key("completions")}).status_code == 403
    assert locked.post("/api/session", json={"key": new_key("chat")}).status_code == 204
    assert locked.get("/api/me").json()["require_key"] is True


def say(client, *names):
    """Statuses of replies to requests of these names."""
    path = f"/api/conversations/{client.post('/api/conversations', json={}).json()['id']}/replies"
    return [client.post(path, json={"text": "hello", "request_id": name}).status_code for name in names]


@pytest.mark.parametrize("require_key", [True, False])
def test_a_page_obeys_the_key_that_it_began_with_and_no_other(make_app, store, require_key):
    user = store.new_user("x").id
    key, few = store.new_key(user, "few", frozenset({"chat"}), KeyLimits(requests_per_minute=2))
    store.new_key(user, "many", frozenset({"chat"}), KeyLimits())
    with TestClient(make_app(require_key=require_key), headers={"X-Openlamda": "1"}) as client:
        assert client.post("/api/session", json={"key": few}).status_code == 204
        assert say(client, "a", "b", "c") == [200, 200, 429]
        assert client.post("/api/arena", json={"text": "hello"}).status_code == 429
        store.revoke_key(key.id)
        assert client.get("/api/me").status_code == 401


def test_one_address_begins_only_so_many_sessions(make_app, monkeypatch):
    app = make_app(sessions_per_minute=2)
    ask = {"url": "/api/session", "json": {}, "headers": {"X-Openlamda": "1", "X-Forwarded-For": "192.0.2.7"}}

    def come(client):
        client.cookies.clear()  # another browser: one that has a session keeps it
        return client.post(**ask)

    for address in ("192.0.2.1", "2001:db8::1"):
        with TestClient(app, client=(address, 1)) as client:
            assert [come(client).status_code for _ in range(3)] == [204, 204, 429]
            assert int(come(client).headers["Retry-After"]) <= 30
    with TestClient(app, client=("2001:db8::2", 1)) as client:  # the same line
        assert come(client).status_code == 429
    with TestClient(app, client=("::ffff:192.0.2.9", 1)) as client:
        assert come(client).status_code == 204
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        assert {come(client).status_code for _ in range(5)} == {204}


def test_forwarded_headers_are_believed_only_when_told(make_app, monkeypatch):
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    app = make_app()
    assert not config_of(app.state.parts, app).proxy_headers
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    assert config_of(app.state.parts, app).proxy_headers


def test_the_page_obeys_the_keys_limits_and_its_end(locked, store):
    locked.headers["X-Openlamda"] = "1"
    limits = KeyLimits(requests_per_minute=1)
    key, secret = store.new_key(store.new_user("x").id, "k", frozenset({"chat"}), limits)
    assert locked.post("/api/session", json={"key": secret}).status_code == 204
    assert say(locked, "a", "a", "b") == [200, 200, 429]  # the second is the first again
    store.revoke_key(key.id)
    assert locked.get("/api/me").status_code == 401
