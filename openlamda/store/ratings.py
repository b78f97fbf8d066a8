"""Feedback as rows of a ratings file (`openlamda ratings check` reads them), under names that nobody can undo.

A thumb is a vote on "helpful"; "incomprehensible" is a vote against "sensible"; the three reasons of safety are votes
for the rule of the shipped objectives that comes closest. What a user was not asked, they did not vote on.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from openlamda.corpus.votes import RATERS
from openlamda.store import tables as t
from openlamda.store.conversations import messages_of
from openlamda.store.part import Part
from openlamda.store.records import Message

RULES = {"harmful": "serious_harm", "misinformation": "falsehoods", "unfair_bias": "slurs"}


class RatingRows(Part):
    """Feedback for training and study."""

    def pseudonym(self, user_id: str) -> str:
        """The user's name in files: always the same, and without this store's salt nobody's."""
        with self._database.read() as connection:
            salt = connection.execute(sa.select(t.facts.c.value).where(t.facts.c.name == "salt")).scalar_one()
        return _pseudonym(salt, user_id)

    def ratings(self, enough: bool = False) -> Iterator[dict[str, Any]]:
        """A row for each reply that anybody gave feedback on; the same reply to the same dialog is one row.

        `enough`: only votes of as many raters as `openlamda ratings check` wants without --lenient; a row that is left
        without a vote is left out.
        """
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        f, r, m = t.feedback.c, t.replies.c, t.messages.c
        query = (
            sa.select(t.feedback, m.id.label("message_id"), m.conversation_id)
            .join(t.replies, r.id == f.reply_id)
            .join(t.messages, m.id == r.message_id)
            .order_by(m.conversation_id, f.created, f.reply_id)
        )
        with self._database.read() as connection:
            salt = connection.execute(sa.select(t.facts.c.value).where(t.facts.c.name == "salt")).scalar_one()
            open_id, tree = "", {}
            for given in connection.execute(query).all():
                if given.conversation_id != open_id:
                    open_id = given.conversation_id
                    tree = {message.id: message for message in messages_of(connection, open_id)}
                path = _path(tree, given.message_id)
                key = tuple((message.author, message.text) for message in path)
                row = rows.setdefault(key, _row(given.reply_id, path))
                _add(row, _pseudonym(salt, given.user_id), given)
        for row in rows.values():
            if enough:
                row["votes"] = _enough(row["votes"])
            if row["votes"]:
                yield row


def _path(tree: dict[str, Message], message_id: str | None) -> list[Message]:
    """From the first message to this one."""
    path = []
    while message_id is not None:
        path.append(tree[message_id])
        message_id = tree[message_id].parent_id
    return path[::-1]


def _row(reply_id: str, path: list[Message]) -> dict[str, Any]:
    names = {"user": "user", "agent": "assistant"}
    context = [{"role": names[message.author], "content": message.text} for message in path[:-1]]
    return {"id": reply_id, "context": context, "response": path[-1].text, "votes": [], "feedback": []}


def _add(row: dict[str, Any], rater: str, given: Any) -> None:
    """One rater's ballot; of a rater who met the same reply twice, the first one counts."""
    if any(ballot["rater"] == rater for ballot in row["votes"]):
        return
    ballot: dict[str, Any] = {"rater": rater, "helpful": "yes" if given.thumb == "up" else "no"}
    if "incomprehensible" in given.reasons:
        ballot["sensible"] = "no"
    if broken := {RULES[reason]: "yes" for reason in given.reasons if reason in RULES}:
        ballot["objectives"] = broken
    row["votes"].append(ballot)
    row["feedback"].append({"rater": rater, "thumb": given.thumb, "reasons": given.reasons, "note": given.note})


def _enough(ballots: list[dict[str, Any]]) -> list[dict[str, Any]]:
    votes = Counter(name for ballot in ballots for name in ("helpful", "sensible") if name in ballot)
    rules = Counter(rule for ballot in ballots for rule in ballot.get("objectives", {}))
    kept = []
    for ballot in ballots:
        left = {name: ballot[name] for name in votes if name in ballot and votes[name] >= RATERS[name]}
        judged = ballot.get("objectives", {}).items()
        if broken := {rule: vote for rule, vote in judged if rules[rule] >= RATERS["safety"]}:
            left["objectives"] = broken
        if left:
            kept.append({"rater": ballot["rater"], **left})
    return kept


def _pseudonym(salt: str, user_id: str) -> str:
    return "rater_" + hmac.new(salt.encode(), user_id.encode(), hashlib.sha256).hexdigest()[:16]
