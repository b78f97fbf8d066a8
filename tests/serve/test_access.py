"""Keys: who may do what, and how much of it."""

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

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
    assert locked.get("/healthz").status_code == locked.get("/readyz").status_code == 200


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


def test_the_page_obeys_the_keys_limits_and_its_end(locked, store):
    locked.headers["X-Openlamda"] = "1"
    limits = KeyLimits(requests_per_minute=1)
    key, secret = store.new_key(store.new_user("x").id, "k", frozenset({"chat"}), limits)
    assert locked.post("/api/session", json={"key": secret}).status_code == 204
    path = f"/api/conversations/{locked.post('/api/conversations', json={}).json()['id']}/replies"
    asked = [{"text": "hello", "request_id": name} for name in ("a", "a", "b")]  # the second is the first again
    assert [locked.post(path, json=body).status_code for body in asked] == [200, 200, 429]
    store.revoke_key(key.id)
    assert locked.get("/api/me").status_code == 401
