"""Trees of comments to (context, reply) dialogs, and the reasons why messages go."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus.comments import Comment, alphabetic, mine, overlap, unquoted


def thread(*rows):
    return [Comment(*row) for row in rows]


def mined(comments, **settings):
    dropped = Counter()
    dialogs = {talk.id: [(turn.author, turn.text) for turn in talk.dialog.turns] for talk in mine(comments, dropped)}
    return dialogs, dict(dropped)


def test_each_reply_follows_the_path_above_it():
    dialogs, dropped = mined(
        thread(
            ("1", None, "ann", "Which bread is best?"),
            ("2", "1", "bob", "Rye, warm from the oven."),
            ("3", "2", "cid", "With butter on it, too."),
            ("4", "1", "dan", "White bread for me."),
        )
    )
    first, rye = ("user", "Which bread is best?"), "Rye, warm from the oven."
    assert dialogs == {
        "1#2": [first, ("agent", rye)],
        "1#3": [("agent", "Which bread is best?"), ("user", rye), ("agent", "With butter on it, too.")],
        "1#4": [first, ("agent", "White bread for me.")],
    }
    assert not dropped


def test_the_context_is_seven_turns():
    words = "one two three four five six seven eight nine ten".split()
    rows = [(str(n), str(n - 1) if n else None, f"author {n}", f"number {words[n]}") for n in range(10)]
    dialogs, _ = mined(thread(*rows))
    assert [text for _, text in dialogs["0#9"]] == [f"number {word}" for word in words[2:]]
    assert [author for author, _ in dialogs["0#9"]] == ["user", "agent"] * 4


def test_neighbours_of_one_author_are_one_turn():
    dialogs, _ = mined(
        thread(
            ("a", None, "ann", "Good morning all"), ("b", "a", "ann", "And good night"), ("c", "b", "bob", "Sleep well")
        )
    )
    assert dialogs == {"a#c": [("user", "Good morning all\nAnd good night"), ("agent", "Sleep well")]}


@pytest.mark.parametrize(
    ("author", "text", "reason"),
    [
        ("AutoBot", "I am here to help", "author is a bot"),
        ("x", "look at https://example.org now", "URL"),
        ("x", "Yes.", "message too short"),
        ("x", "word " * 129, "message too long"),
        ("x", "1234 5678 =) ok", "message not alphabetic"),
        ("x", "what do you think of this bread", "repeats its parent"),
        ("x", "> quoted\n&gt; quoted again", "message too short"),
    ],
)
def test_a_dropped_message_takes_its_replies_with_it(author, text, reason):
    rows = thread(
        ("1", None, "ann", "So what do you think of this bread?"),
        ("2", "1", author, text),
        ("3", "2", "cid", "I see what you mean"),
        ("4", "3", "dan", "Then so do I"),
        ("5", "1", "eve", "It is very good"),
    )
    dialogs, dropped = mined(rows)
    assert list(dialogs) == ["1#5"]
    assert dropped == {reason: 1, "below a dropped message": 2}


def test_what_is_said_more_than_a_hundred_times_goes():
    for times, kept in ((100, 100), (101, 0)):
        rows = [("0", None, "ann", "Who has seen it?")]
        rows += [
            (str(n), "0", f"author {n}", "Nice one,  MATE" if n % 2 else "nice one, mate") for n in range(1, times + 1)
        ]
        dialogs, dropped = mined(thread(*rows))
        assert len(dialogs) == kept and dropped.get("repeated message", 0) == times - kept


def test_quotes_overlap_and_letters_by_hand():
    assert unquoted("> is it so?\n It is.\n  >> no\nyes") == "It is.\nyes"
    assert overlap("a b c d", "x a b c y") == 1 / 2
    assert overlap("same", "the same") == 1 and overlap("", "x") == 0
    assert alphabetic("ab 12") == 1 / 2 and alphabetic("हिन्दी") == 1 and alphabetic(" ") == 0


def test_loops_orphans_and_deep_trees_end():
    deep = [
        (str(n), str(n - 1) if n else None, f"author {n % 2}", "message " + "".join(chr(97 + int(d)) for d in str(n)))
        for n in range(20_000)
    ]
    rows = thread(*deep, ("x", "y", "a", "in a loop"), ("y", "x", "b", "in a loop too"), ("z", "z", "c", "on its own"))
    rows += thread(
        ("child", "gone", "a", "my parent is gone"), ("reply", "child", "b", "so it is"), ("reply", None, "b", "?")
    )
    dialogs, dropped = mined(rows)
    assert len(dialogs) == 19_999 + 1 and "child#reply" in dialogs
    assert dropped == {"in a loop": 3, "id seen before": 1}


@given(
    st.lists(
        st.tuples(*[st.sampled_from("abcdef")] * 2, st.sampled_from("xyz"), st.sampled_from(["so it is", "no", ">"]))
    )
)
def test_every_message_is_mined_or_counted(rows):
    """Any graph: a message is a root, a reply of a dialog, joined to its author's last, or dropped for a reason."""
    comments = [Comment(own, parent if parent != "f" else None, author, text) for own, parent, author, text in rows]
    dropped = Counter()
    talks = list(mine(comments, dropped))
    assert len({talk.id for talk in talks}) == len(talks)
    assert len(talks) + dropped.total() <= len(comments)
    for talk in talks:
        authors = [turn.author for turn in talk.dialog.turns]
        assert 2 <= len(authors) <= 8 and authors == [
            ("user", "agent")[(n + len(authors)) % 2] for n in range(len(authors))
        ]
