import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from openlamda.errors import UserError
from openlamda.store import NotFound, open_store
from openlamda.store.records import KeyLimits, Session

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHAT = frozenset({"chat"})


def test_a_key_opens_until_it_is_revoked_or_expires(store):
    user = store.new_user("Ann")
    key, secret = store.new_key(user.id, "notebook", frozenset({"chat", "completions"}), KeyLimits(60, 1000))
    assert secret.startswith("olk_") and len(secret) > 40
    assert store.key_of(secret) == key and store.keys() == [key]
    for forged in ("", "olk_", secret[:-1], secret + "x", key.id, "olk_\ud800", "' OR 1=1 --"):
        assert store.key_of(forged) is None
    assert store.revoke_key(key.id) and not store.revoke_key(key.id) and not store.revoke_key("key_no")
    assert store.key_of(secret) is None and store.keys()[0].revoked is not None
    short, secret = store.new_key(user.id, "short", CHAT, KeyLimits(), expires=NOON)
    assert store.key_of(secret, now=NOON - timedelta(seconds=1)) == short and store.key_of(secret, now=NOON) is None


def test_keys_of_one_user(store):
    ann, bob = store.new_user("Ann"), store.new_user("Bob")
    keys = [store.new_key(user.id, "k", CHAT, KeyLimits())[0] for user in (ann, bob, ann)]
    assert store.keys(ann.id) == [keys[0], keys[2]] and store.keys() == keys and store.keys("user_no") == []


def test_who_calls_without_a_key_is_one_user_for_all_replicas(url):
    stores = [open_store(url), open_store(url)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda number: stores[number % 2].nobody(), range(16)))
    name = found.pop()
    assert not found and stores[0].user(name) is not None
    stores[0].delete_user(name)
    assert stores[1].nobody() == name and stores[1].user(name) is not None
    for store in stores:
        store.close()


def test_no_secret_is_in_the_database(tmp_path):
    store = open_store(str(tmp_path / "store.db"))
    user = store.new_user()
    secrets = [store.new_key(user.id, "k", CHAT, KeyLimits())[1], store.new_session(user.id, timedelta(days=1))]
    store.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert user.id.encode() in written
    assert not any(secret.removeprefix("olk_").encode() in written for secret in secrets)


def test_mistakes_with_keys_are_named(store):
    user = store.new_user()
    with pytest.raises(UserError, match="scope 'all', expected one of chat, completions, admin"):
        store.new_key(user.id, "k", frozenset({"chat", "all"}), KeyLimits())
    with pytest.raises(UserError, match="no scope"):
        store.new_key(user.id, "k", frozenset(), KeyLimits())
    with pytest.raises(UserError, match="limit"):
        store.new_key(user.id, "k", CHAT, KeyLimits(-1))
    with pytest.raises(NotFound):
        store.new_key("user_no", "k", CHAT, KeyLimits())
    with pytest.raises(NotFound):
        store.new_session("user_no", timedelta(days=1))


def test_a_session_ends(store):
    user = store.new_user()
    token = store.new_session(user.id, timedelta(hours=1))
    assert store.session(token) == Session(user)
    assert store.session(token, now=datetime.now(UTC) + timedelta(hours=2)) is None
    assert store.session("") is None and store.session(token + "x") is None


def test_requests_fill_up_again_steadily(store):
    limits = KeyLimits(requests_per_minute=6)
    assert [store.allowed("key_a", limits, NOON).ok for _ in range(8)] == [True] * 6 + [False] * 2
    refused = store.allowed("key_a", limits, NOON)
    assert refused.reason == "requests" and refused.retry_after == pytest.approx(10)
    later = NOON + timedelta(seconds=refused.retry_after)
    assert store.allowed("key_a", limits, later).ok and not store.allowed("key_a", limits, later).ok
    assert store.allowed("key_b", limits, NOON).ok
    behind = later - timedelta(seconds=30)  # a replica whose clock is late gives nothing away
    assert not store.allowed("key_a", limits, behind).ok
    assert [store.allowed("key_a", limits, NOON + timedelta(hours=1)).ok for _ in range(7)] == [True] * 6 + [False]


def test_tokens_of_a_day(store):
    limits = KeyLimits(tokens_per_day=100)
    assert store.allowed("key_a", limits, NOON).ok
    store.spend("key_a", 99, NOON)
    assert store.allowed("key_a", limits, NOON).ok and store.spent("key_a", NOON) == 99
    store.spend("key_a", 30, NOON)
    refused = store.allowed("key_a", limits, NOON)
    assert not refused.ok and refused.reason == "tokens" and refused.retry_after == 12 * 3600
    assert store.allowed("key_a", limits, NOON + timedelta(hours=12)).ok
    assert store.spent("key_a", NOON + timedelta(hours=12)) == 0


def test_no_limit_is_no_limit(store):
    assert all(store.allowed("key_a", KeyLimits(), NOON).ok for _ in range(1000))


def test_exactly_as_many_as_allowed_pass_over_all_replicas(url):
    stores = [open_store(url), open_store(url)]
    start = threading.Barrier(8)

    def ask(number: int) -> int:
        start.wait()
        return sum(stores[number % 2].allowed("key_a", KeyLimits(25), NOON).ok for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 25
    for store in stores:
        store.close()


def test_no_spent_token_is_lost_over_all_replicas(url):
    stores = [open_store(url), open_store(url)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: stores[n % 2].spend("key_a", n, NOON), range(80)))
    assert stores[0].spent("key_a", NOON) == sum(range(80))
    for store in stores:
        store.close()
