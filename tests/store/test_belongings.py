import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from openlamda.store import NotFound, open_store
from openlamda.store import tables as t
from openlamda.store.records import KeyLimits, Session, utc_now


def fill(store, kept, mark: str):
    """A user with something in every table, all of it with `mark` in it."""
    user = store.new_user(f"name {mark}")
    first = store.keep_exchange(None, None, f"text {mark}", kept(f"reply {mark}"), f"request {mark}", user_id=user.id)
    other = store.keep_exchange(first.conversation_id, first.message_id, mark, kept(mark), "b", user_id=user.id)
    store.new_conversation(user.id, f"role {mark}")
    store.add_feedback(user.id, first.reply_id, "down", ("other",), f"note {mark}")
    arena = store.new_arena(user.id, first.reply_id, other.reply_id, {"left": "pt", "right": "lamda"})
    store.add_vote(user.id, arena.id, "tie")
    key, _ = store.new_key(user.id, f"key {mark}", frozenset({"chat"}), KeyLimits(10, 10))
    store.allowed(key.id, key.limits)
    store.allowed(user.id, key.limits)
    store.spend(key.id, 5)
    store.new_session(user.id, timedelta(days=1))
    store.audit(user.id, "rate limited", key.id, {"why": mark})
    store.audit("operator", "looked", user.id)
    return user, [user.id, key.id, arena.id, *(vars(first)[name] for name in vars(first) if name.endswith("_id"))]


def everything(url: str) -> str:
    store = open_store(url)
    with store._database.read() as connection:
        found = {table.name: [list(map(str, row)) for row in connection.execute(sa.select(table))]
                 for table in t.metadata.sorted_tables}  # fmt: skip
    store.close()
    return json.dumps(found)


def test_export_has_all_and_nothing_of_others(store, kept):
    user, ids = fill(store, kept, "quokka")
    _, others = fill(store, kept, "wombat")
    found = store.export_user(user.id)
    text = json.dumps(found)
    assert all(name in text for name in ids) and not any(name in text for name in others)
    for said in ("name quokka", "text quokka", "reply quokka", "note quokka", "key quokka", "role quokka"):
        assert said in text
    assert "wombat" not in text and "hash" not in text
    assert found["replies"][0]["trace"] == kept("reply quokka").trace
    assert store.audit_log(1)[0].action == "export_user"
    with pytest.raises(NotFound):
        store.export_user("user_no")


def test_nothing_of_a_deleted_user_is_left_but_a_line_without_content(url, kept, tmp_path):
    store = open_store(url)
    user, ids = fill(store, kept, "quokka")
    other, others = fill(store, kept, "wombat")
    counts = store.delete_user(user.id, actor="operator")
    assert counts == {"feedback": 1, "replies": 2, "messages": 4, "conversations": 2, "arenas": 1, "sessions": 1,
                      "keys": 1, "meters": 2, "users": 1}  # fmt: skip
    line = store.audit_log(1)[0]
    assert (line.actor, line.action, line.target, line.details) == ("operator", "delete_user", user.id, counts)
    left = everything(url)
    assert "quokka" not in left and all(name not in left for name in ids[1:])
    assert left.count(user.id) == 1  # the line
    assert "wombat" in left and all(name in left for name in others)
    assert len(store.conversations(other.id)) == 2
    with pytest.raises(NotFound):
        store.delete_user(user.id)
    with pytest.raises(NotFound):
        store.keep_exchange(None, None, "again", kept(), "c", user_id=user.id)
    store.close()
    for path in tmp_path.glob("store.db*"):  # in SQLite's files neither, free pages and log included
        assert b"quokka" not in path.read_bytes()


def test_a_user_who_is_deleted_while_talking_leaves_nothing(url, kept):
    stores = [open_store(url), open_store(url)]
    user = stores[0].new_user("quokka")
    talk = stores[0].new_conversation(user.id, "lamda")

    written = [threading.Event() for _ in range(4)]

    def talks(worker: int) -> None:
        with contextlib.suppress(NotFound):
            for number in range(10_000):
                place = talk.id if worker % 2 else None
                stores[worker % 2].keep_exchange(place, None, "hi", kept(), f"{worker}/{number}", user_id=user.id)
                written[worker].set()

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(talks, worker) for worker in range(4)]
        assert all(begun.wait(60) for begun in written)
        counts = stores[0].delete_user(user.id)
        for worker in running:
            worker.result(60)  # it came to its end with NotFound
    assert counts["replies"] * 2 == counts["messages"] >= 8
    assert everything(url).count(user.id) == 2  # who deleted whom
    for store in stores:
        store.close()


def test_retention_takes_what_is_old_and_who_has_nothing_left(store, kept):
    old, _ = fill(store, kept, "quokka")
    gone = store.new_user()
    store.new_session(gone.id, timedelta(seconds=-10))
    half = store.keep_exchange(None, None, "old", kept(), "a", user_id=old.id)
    named = store.new_user("everybody without a key")
    now = utc_now()
    new = store.new_user()
    store.keep_exchange(half.conversation_id, half.message_id, "new", kept(), "c", user_id=old.id)
    counts = store.purge(now)
    assert counts["conversations"] == 2 and counts["replies"] == 2 and counts["messages"] == 4
    assert counts["users"] == 1 and counts["sessions"] == 1
    assert [talk.id for talk in store.conversations(old.id)] == [half.conversation_id]
    assert store.user(named.id) == named
    assert store.user(gone.id) is None and store.user(new.id) == new and store.user(old.id) == old
    assert store.audit_log(1)[0].action == "purge"
    assert store.purge(now)["conversations"] == 0


def test_retention_takes_who_came_once_and_never_talked(store, kept):
    came, talks = store.new_user(), store.new_user()
    token = store.new_session(came.id, timedelta(days=365))
    still = store.new_session(talks.id, timedelta(days=365))
    now = utc_now()
    store.keep_exchange(None, None, "hi", kept(), "a", user_id=talks.id)
    nobody = store.nobody()
    counts = store.purge(now)
    assert counts["users"] == 1 and counts["conversations"] == 0
    assert store.session(token) is None and store.session(still) == Session(talks) and store.user(nobody)


def test_retention_and_who_begins_to_talk_again(url, kept):
    """Purges beside new conversations of the users whom they look at: what was acknowledged stays."""
    stores = [open_store(url), open_store(url)]
    users = [stores[0].new_user() for _ in range(60)]
    now, acknowledged = utc_now(), {}

    def talk(user) -> None:
        with contextlib.suppress(NotFound):
            ids = stores[1].keep_exchange(None, None, "hi", kept(), "a", user_id=user.id)
            acknowledged[user.id] = ids.conversation_id

    with ThreadPoolExecutor(2) as pool:
        talking = [pool.submit(talk, user) for user in users]
        gone = sum(stores[0].purge(now)["users"] for _ in range(5))
        for one in talking:
            one.result(60)
    assert gone + len(acknowledged) == len(users)
    for user_id, conversation_id in acknowledged.items():
        assert stores[0].conversation(user_id, conversation_id) is not None
    for store in stores:
        store.close()


def test_retention_in_many_batches(store, kept, monkeypatch):
    monkeypatch.setattr("openlamda.store.belongings.BATCH", 3)
    user = store.new_user()
    for number in range(10):
        store.keep_exchange(None, None, "hi", kept(), str(number), user_id=user.id)
    assert store.purge(utc_now() + timedelta(seconds=1))["conversations"] == 10
    assert store.user(user.id) is None


def test_the_audit_log_is_newest_first(store):
    for number in range(5):
        store.audit("operator", "reload", f"role {number}", {"number": number})
    assert [line.details["number"] for line in store.audit_log(3)] == [4, 3, 2]
