import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from openlamda.store import NotFound, open_store
from openlamda.store import tables as t
from openlamda.store.records import utc_now
from openlamda.text.dialog import Turn


def test_an_exchange_comes_back_as_it_was(store, kept):
    user = store.new_user("Ann")
    talk = store.new_conversation(user.id, "mount-everest")
    ids = store.keep_exchange(talk.id, None, "how  high is\nit?", kept(), "r1", user_id=user.id)
    read = store.conversation(user.id, talk.id)
    said, answer = read.messages
    assert (said.id, said.parent_id, said.author, said.text) == (ids.user_message_id, None, "user", "how  high is\nit?")
    assert (answer.id, answer.parent_id, answer.author) == (ids.message_id, ids.user_message_id, "agent")
    assert (answer.reply_id, answer.verified, answer.finish_reason) == (ids.reply_id, True, "stop")
    assert answer.sources == [{"k": 1, "url": "https://example.org"}]
    assert store.reply(user.id, ids.reply_id) == kept()
    assert read.title == "how high is it?" and read.role == "mount-everest"
    assert read.updated >= talk.updated and read.updated.utcoffset().total_seconds() == 0


def test_another_user_sees_and_changes_nothing(store, kept):
    ann, bob = store.new_user(), store.new_user()
    ids = store.keep_exchange(None, None, "hello", kept(), "r1", user_id=ann.id)
    talk = ids.conversation_id
    assert store.conversation(bob.id, talk) is None and store.reply(bob.id, ids.reply_id) is None
    assert store.conversations(bob.id) == [] and store.rename(bob.id, talk, "mine") is None
    assert not store.delete_conversation(bob.id, talk)
    for change in (
        lambda: store.keep_exchange(talk, None, "hi", kept(), "r2", user_id=bob.id),
        lambda: store.add_feedback(bob.id, ids.reply_id, "up"),
        lambda: store.new_arena(bob.id, ids.reply_id, ids.reply_id, {}),
    ):
        with pytest.raises(NotFound):
            change()
    assert store.keep_exchange(
        None, None, "hi", kept(), "r1", user_id=bob.id
    ).new  # ids of requests are each user's own
    assert store.conversation(ann.id, talk).title == "hello"


def test_what_is_edited_and_sent_again_is_a_sibling(store, kept):
    user = store.new_user()
    first = store.keep_exchange(None, None, "one", kept("1"), "a", user_id=user.id)
    talk = first.conversation_id
    second = store.keep_exchange(talk, first.message_id, "two", kept("2"), "b", user_id=user.id)
    third = store.keep_exchange(talk, first.message_id, "two, edited", kept("3"), "c", user_id=user.id)
    messages = {message.id: message for message in store.conversation(user.id, talk).messages}
    assert [message.text for message in messages.values()] == ["one", "1", "two", "2", "two, edited", "3"]
    assert messages[second.user_message_id].parent_id == messages[third.user_message_id].parent_id == first.message_id


@pytest.mark.parametrize("place", ["conversation", "parent", "parent elsewhere"])
def test_what_follows_nothing_is_refused(store, place, kept):
    user = store.new_user()
    talk = store.keep_exchange(None, None, "one", kept(), "a", user_id=user.id)
    other = store.keep_exchange(None, None, "one", kept(), "b", user_id=user.id)
    after = {"conversation": ("conv_no", None), "parent": (talk.conversation_id, "msg_no")}
    conversation, parent = after.get(place, (talk.conversation_id, other.message_id))
    with pytest.raises(NotFound):
        store.keep_exchange(conversation, parent, "two", kept(), "c", user_id=user.id)
    assert store.kept(user.id, "c") is None


def test_earlier_turns_of_a_request_stand_before_it(store, kept):
    user = store.new_user()
    earlier = (Turn("user", "hello"), Turn("agent", "hi"))
    ids = store.keep_exchange(None, None, "how are you?", kept("well"), "a", user_id=user.id, earlier=earlier)
    read = store.conversation(user.id, ids.conversation_id)
    assert [message.text for message in read.messages] == ["hello", "hi", "how are you?", "well"]
    assert [message.parent_id for message in read.messages][1:] == [message.id for message in read.messages][:-1]
    assert read.role == "lamda" and read.title == "how are you?"


@pytest.mark.parametrize(
    "text", ["", "\0 and \ud800 half", "x" * 300_000, "🙂 می\u200cخواهم", "'; DROP TABLE users; --"]
)
def test_any_text_can_be_kept(store, text, kept):
    user = store.new_user(text[:100])
    reply = kept(text, trace={"text": text, "score": float("nan")}, sources=[{"title": text}], seed=2**80)
    ids = store.keep_exchange(None, None, text, reply, text, user_id=user.id)
    expected = text.replace("\0", "\ufffd").replace("\ud800", "\ufffd")
    assert [message.text for message in store.conversation(user.id, ids.conversation_id).messages] == [expected] * 2
    read = store.reply(user.id, ids.reply_id)
    assert read.seed == 2**80 and read.trace["score"] is None and read.text == expected
    assert store.kept(user.id, text).reply_id == ids.reply_id


@pytest.mark.parametrize("name", ["\0", "conv_\ud800", "x" * 5000, "' OR 1=1 --", ""])
def test_an_id_of_any_characters_is_one_that_is_not_there(store, name, kept):
    user = store.new_user()
    ids = store.keep_exchange(None, None, "hello", kept(), "a", user_id=user.id)
    assert store.conversation(user.id, name) is None and store.conversation(name, ids.conversation_id) is None
    assert store.conversations(user.id, before=name) == [] and store.conversations(name) == []
    assert store.reply(user.id, name) is None and store.user(name) is None and store.kept(name, name) is None
    assert store.rename(user.id, name, "t") is None and not store.delete_conversation(user.id, name)
    assert not store.remove_feedback(user.id, name) and not store.revoke_key(name) and store.spent(name) == 0
    for change in (
        lambda: store.keep_exchange(name, None, "hi", kept(), "b", user_id=user.id),
        lambda: store.keep_exchange(ids.conversation_id, name, "hi", kept(), "b", user_id=user.id),
        lambda: store.keep_exchange(None, None, "hi", kept(), "b", user_id=name),
        lambda: store.new_conversation(name, "lamda"),
        lambda: store.add_feedback(user.id, name, "up"),
        lambda: store.new_arena(user.id, name, ids.reply_id, {}),
        lambda: store.add_vote(user.id, name, "tie"),
        lambda: store.export_user(name),
        lambda: store.delete_user(name),
    ):
        with pytest.raises(NotFound):
            change()


def test_pages_of_conversations_miss_none(store):
    user = store.new_user()
    made = [store.new_conversation(user.id, "lamda").id for _ in range(7)]
    pages, before = [], None
    while page := store.conversations(user.id, limit=3, before=before):
        pages.append([talk.id for talk in page])
        before = page[-1].id
    assert [name for page in pages for name in page] == made[::-1] and [len(page) for page in pages] == [3, 3, 1]
    assert store.conversations(user.id, before="conv_gone") == []
    assert store.rename(user.id, made[0], "Mountains").title == "Mountains"


def test_a_page_deep_in_a_long_list_is_found_by_the_index(store):
    user, now = store.new_user(), utc_now()
    row = {"user_id": user.id, "role": "lamda", "title": "t", "created": now}
    rows = [row | {"id": f"conv_{n:05}", "updated": now + timedelta(seconds=n // 3)} for n in range(10_000)]
    asked = []
    with store._database.write() as connection:
        connection.execute(sa.insert(t.conversations), rows)
    event.listen(
        store._database.engine, "before_cursor_execute", lambda _c, _k, text, values, *_: asked.append((text, values))
    )
    assert [talk.id for talk in store.conversations(user.id, 3, "conv_05000")] == [
        "conv_04999", "conv_04998", "conv_04997",
    ]  # fmt: skip
    text, values = asked[-1]
    explain = "EXPLAIN QUERY PLAN " if store._database.is_sqlite else "EXPLAIN "
    with store._database.read() as connection:
        if not store._database.is_sqlite:
            connection.execute(sa.text("ANALYZE conversations"))
        plan = "\n".join(str(line[-1]) for line in connection.exec_driver_sql(explain + text, values))
    assert "ix_conversations_listing" in plan and "Sort" not in plan and "TEMP" not in plan
    assert "(updated, " in plan.replace("updated,id", "updated, id")  # the place in it, not the user's part alone


def test_a_deleted_conversation_is_gone_with_its_replies(store, kept):
    user = store.new_user()
    first = store.keep_exchange(None, None, "one", kept(), "a", user_id=user.id)
    store.keep_exchange(first.conversation_id, first.message_id, "two", kept(), "b", user_id=user.id)
    store.add_feedback(user.id, first.reply_id, "up")
    assert store.delete_conversation(user.id, first.conversation_id)
    assert store.conversations(user.id) == [] and store.reply(user.id, first.reply_id) is None
    assert not store.delete_conversation(user.id, first.conversation_id)


def test_a_request_that_many_send_at_once_is_kept_once(url, kept):
    """Two stores on one database, as two processes have, and eight threads on each request."""
    stores = [open_store(url), open_store(url)]
    user = stores[0].new_user()
    talk = stores[0].new_conversation(user.id, "lamda")
    start = threading.Barrier(8)

    def send(number: int):
        start.wait()
        own = [stores[number % 2].keep_exchange(None, None, "hi", kept(), "own", user_id=user.id)]
        shared = (
            stores[number % 2].keep_exchange(talk.id, None, "hi", kept(), f"r{i}", user_id=user.id) for i in range(5)
        )
        return own + list(shared)

    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(send, range(8)))
    for answers in zip(*sent, strict=True):
        assert len({answer.reply_id for answer in answers}) == 1 and sum(answer.new for answer in answers) == 1
    read = stores[0].conversation(user.id, talk.id)
    assert read is not None
    messages = read.messages
    assert len(messages) == 10 and len(stores[0].conversations(user.id)) == 2
    assert len({message.id for message in messages}) == 10
    for opened in stores:
        opened.close()
