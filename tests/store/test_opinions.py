import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from openlamda.corpus import objectives, ratings
from openlamda.errors import UserError
from openlamda.store import NotFound
from openlamda.store.ratings import RULES
from openlamda.store.records import REASONS


def test_feedback_said_again_takes_the_place_of_the_first(store, kept):
    user = store.new_user()
    ids = store.keep_exchange(None, None, "hello", kept(), "a", user_id=user.id)
    store.add_feedback(user.id, ids.reply_id, "down", ("other", "harmful"), "no")
    given = store.add_feedback(user.id, ids.reply_id, "up", note="after all\0")
    assert given.thumb == "up" and given.reasons == () and given.note == "after all\ufffd"
    read = store.conversation(user.id, ids.conversation_id).messages[-1].feedback
    assert read == given
    assert store.remove_feedback(user.id, ids.reply_id) and not store.remove_feedback(user.id, ids.reply_id)
    assert store.conversation(user.id, ids.conversation_id).messages[-1].feedback is None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.add_feedback(user.id, ids.reply_id, "up"), range(12)))
    assert len(list(store.ratings())) == 1
    with pytest.raises(UserError, match="reason 'rude', expected one of harmful, incomprehensible"):
        store.add_feedback(user.id, ids.reply_id, "down", ("rude",))
    with pytest.raises(UserError, match="thumb 'sideways'"):
        store.add_feedback(user.id, ids.reply_id, "sideways")


def test_feedback_is_rows_that_ratings_check_reads(store, kept, tmp_path):
    users = [store.new_user(f"user {number}") for number in range(5)]
    for number, user in enumerate(users):  # all five get the same reply to the same dialog
        first = store.keep_exchange(None, None, "hello", kept("hi"), "a", user_id=user.id)
        again = store.keep_exchange(first.conversation_id, first.message_id, "how?", kept("so"), "b", user_id=user.id)
        store.add_feedback(user.id, again.reply_id, "down" if number < 3 else "up", ("misinformation",) * (number < 3))
    alone = store.keep_exchange(None, None, "alone", kept("yes"), "c", user_id=users[0].id)
    store.add_feedback(users[0].id, alone.reply_id, "down", REASONS, "a note")
    rows = list(store.ratings())
    assert [len(row["votes"]) for row in sorted(rows, key=lambda row: row["response"])] == [5, 1]
    assert not any(user.id in json.dumps(rows) or user.name in json.dumps(rows) for user in users)
    path = tmp_path / "ratings.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rules = objectives.read()
    read = ratings.read([path], rules, lenient=True)
    assert len(read.rows) == 2 and not read.dropped
    shared = next(row for row in read.rows if row.response == "so")
    assert [turn.text for turn in shared.context.turns] == ["hello", "hi", "how?"]
    assert ratings.labels(shared, rules) == {"unsafe": True, "unsafe/misinformation": True, "unsafe/falsehoods": True}
    with pytest.raises(UserError, match="1 votes, expected"):
        ratings.read([path], rules)
    path.write_text("".join(json.dumps(row) + "\n" for row in store.ratings(enough=True)))
    assert len(ratings.read([path], rules).rows) == 1


def test_the_rules_that_reasons_stand_for_are_those_that_ship():
    families = {"harmful": "harm", "misinformation": "misinformation", "unfair_bias": "unjust_impact"}
    rules = objectives.read().rules
    assert {reason: rules[rule] for reason, rule in RULES.items()} == families


def test_pseudonyms_are_a_stores_own(store, tmp_path):
    from openlamda.store import open_store

    other = open_store(str(tmp_path / "other.db"))
    user = store.new_user()
    assert store.pseudonym(user.id) == store.pseudonym(user.id) != other.pseudonym(user.id)
    assert user.id.removeprefix("user_") not in store.pseudonym(user.id)
    other.close()


def test_the_first_vote_stands(store, kept):
    user, other = store.new_user(), store.new_user()
    left, right = (store.keep_exchange(None, None, "q", kept(x), x, user_id=user.id).reply_id for x in "ab")
    made = store.new_arena(user.id, left, right, {"left": "pt", "right": "lamda"})
    assert store.votes() == []
    voted = store.add_vote(user.id, made.id, "right")
    assert (voted.winner, voted.systems) == ("right", {"left": "pt", "right": "lamda"})
    assert store.add_vote(user.id, made.id, "left") == voted and store.votes() == [voted]
    with pytest.raises(NotFound):
        store.add_vote(other.id, made.id, "left")
    with pytest.raises(NotFound):
        store.add_vote(user.id, "arena_no", "left")
    with pytest.raises(UserError, match="winner 'both'"):
        store.add_vote(user.id, made.id, "both")
    store.delete_conversation(user.id, store.kept(user.id, "a").conversation_id)
    assert [vote.left for vote in store.votes()] == [None]  # who won stays, without the text
