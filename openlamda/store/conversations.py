"""Conversations and what is said in them; each exchange is kept exactly once, whoever asks how often."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from openlamda.store import tables as t
from openlamda.store.part import Part, hashed
from openlamda.store.records import (
    Conversation,
    Feedback,
    KeptIds,
    KeptReply,
    Message,
    NotFound,
    new_id,
    utc_now,
)
from openlamda.text.dialog import Turn

TITLE = 80  # characters of the first message that name a conversation


class Conversations(Part):
    """Conversations, their messages, and the replies with all that led to them."""

    def new_conversation(self, user_id: str, role: str) -> Conversation:
        """An empty conversation. Raises NotFound where there is no such user."""
        now = utc_now()
        made = Conversation(new_id("conv"), user_id, t.holdable(role), "", now, now)

        def insert(connection: sa.Connection) -> None:
            self._demand_user(connection, user_id)
            _insert_conversation(connection, made)

        self._database.retry(insert)
        return made

    def conversations(self, user_id: str, limit: int = 50, before: str | None = None) -> list[Conversation]:
        """A user's conversations without their messages, what was said last first; `before`: those after that one's
        id in this order, none where it is gone.
        """
        c = t.conversations.c
        query = sa.select(t.conversations).where(c.user_id == user_id)
        query = query.order_by(c.updated.desc(), c.id.desc()).limit(limit)
        with self._database.read() as connection:
            if before is not None:
                marked = sa.select(c.updated, c.id).where(c.id == before, c.user_id == user_id)
                mark = connection.execute(marked).one_or_none()
                if mark is None:
                    return []
                # plain values, with which PostgreSQL finds the place in the index; a join it would walk all along
                query = query.where(sa.tuple_(c.updated, c.id) < sa.tuple_(sa.literal(mark.updated, t.Moment), mark.id))
            return [_conversation(row) for row in connection.execute(query)]

    def conversation(self, user_id: str, conversation_id: str) -> Conversation | None:
        """A conversation with all its messages, oldest first; None where there is none or it is another user's."""
        c = t.conversations.c
        query = sa.select(t.conversations).where(c.id == conversation_id, c.user_id == user_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            return _conversation(row, messages_of(connection, row.id)) if row else None

    def rename(self, user_id: str, conversation_id: str, title: str) -> Conversation | None:
        """The conversation under its new title; None where there is none."""
        c = t.conversations.c
        mine = (c.id == conversation_id, c.user_id == user_id)

        def change(connection: sa.Connection) -> Conversation | None:
            connection.execute(sa.update(t.conversations).where(*mine).values(title=title))
            row = connection.execute(sa.select(t.conversations).where(*mine)).one_or_none()
            return _conversation(row) if row else None

        return self._database.retry(change)

    def delete_conversation(self, user_id: str, conversation_id: str) -> bool:
        """Whether there was one; it is gone with all its messages, replies and their feedback."""
        c = t.conversations.c
        delete = sa.delete(t.conversations).where(c.id == conversation_id, c.user_id == user_id)
        return self._database.retry(lambda connection: connection.execute(delete).rowcount) > 0

    def keep_exchange(
        self,
        conversation_id: str | None,
        parent_id: str | None,
        user_text: str,
        reply: KeptReply,
        request_id: str,
        *,
        user_id: str,
        earlier: Sequence[Turn] = (),
    ) -> KeptIds:
        """Writes what the user said, what the agent said and how it came about, in one transaction.

        `request_id` is the user's name for the request: the same again writes nothing and gives the first ids. Without
        a `conversation_id` the exchange gets a conversation of its own, in which the turns that came `earlier` in the
        request stand first. Raises NotFound where the conversation or the parent is not there, or is another user's.
        """

        def write(connection: sa.Connection) -> KeptIds:
            if kept := _kept(connection, user_id, request_id):
                return kept
            self._demand_user(connection, user_id)  # first, as deletion does: in another order they would clash
            return _write(connection, user_id, conversation_id, parent_id, user_text, reply, request_id, earlier)

        try:
            return self._database.retry(write)
        except exc.IntegrityError:  # another was first with this request, or somebody deleted what is replied to
            if kept := self.kept(user_id, request_id):
                return kept
            raise NotFound("the conversation was deleted meanwhile") from None

    def kept(self, user_id: str, request_id: str) -> KeptIds | None:
        """Where the exchange of a request is kept; None where it is not, so that it may be made."""
        with self._database.read() as connection:
            return _kept(connection, user_id, request_id)

    def reply(self, user_id: str, reply_id: str) -> KeptReply | None:
        """A reply and how it came to be; None where there is none or it is another user's."""
        query = (
            sa.select(t.replies, t.messages.c.text)
            .join(t.messages)
            .where(t.replies.c.id == reply_id, t.replies.c.user_id == user_id)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return kept_reply(row) if row else None


def messages_of(connection: sa.Connection, conversation_id: str) -> tuple[Message, ...]:
    """All messages of a conversation, oldest first, with what the page shows of their replies."""
    r, f = t.replies.c, t.feedback.c
    claims = r.trace["claims"].label("claims")
    opinion = [f.thumb, f.reasons, f.note, f.created.label("felt")]
    query = (
        sa.select(t.messages, r.id.label("reply_id"), r.sources, r.verified, r.finish_reason, claims, *opinion)
        .outerjoin(t.replies, r.message_id == t.messages.c.id)
        .outerjoin(t.feedback, sa.and_(f.reply_id == r.id, f.user_id == r.user_id))
        .where(t.messages.c.conversation_id == conversation_id)
        .order_by(t.messages.c.position)
    )
    return tuple(_message(row) for row in connection.execute(query))


def kept_reply(row: Any) -> KeptReply:
    """The reply of a row of `replies` with its message's text."""
    names = ("text", "finish_reason", "verified", "sources", "trace", "role", "model", "usage")
    return KeptReply(seed=int(row.seed), **{name: getattr(row, name) for name in names})


def _write(
    connection: sa.Connection,
    user_id: str,
    conversation_id: str | None,
    parent_id: str | None,
    user_text: str,
    reply: KeptReply,
    request_id: str,
    earlier: Sequence[Turn],
) -> KeptIds:
    now, c, m = utc_now(), t.conversations.c, t.messages.c
    if conversation_id is None:
        if parent_id is not None:
            raise NotFound("a parent without its conversation")
        conversation = Conversation(new_id("conv"), user_id, reply.role, _title(user_text), now, now)
        _insert_conversation(connection, conversation)
        conversation_id, position = conversation.id, 0
    else:
        renewed = sa.update(t.conversations).where(c.id == conversation_id, c.user_id == user_id)
        title = sa.case((c.title == "", _title(user_text)), else_=c.title)
        if not connection.execute(renewed.values(updated=now, title=title)).rowcount:  # this row is ours until the end
            raise NotFound("no such conversation")
        if parent_id is not None:
            parent = sa.select(m.id).where(m.id == parent_id, m.conversation_id == conversation_id)
            if connection.execute(parent).one_or_none() is None:
                raise NotFound("no such message to follow in this conversation")
        last = sa.select(sa.func.max(m.position)).where(m.conversation_id == conversation_id)
        latest = connection.execute(last).scalar()
        position, earlier = (0 if latest is None else latest + 1), ()
    ids = []
    for turn in (*earlier, Turn("user", user_text), Turn("agent", reply.text)):
        row = {"id": new_id("msg"), "conversation_id": conversation_id, "parent_id": parent_id, "created": now}
        row |= {"author": turn.author, "text": turn.text, "position": position}
        connection.execute(sa.insert(t.messages).values(row))
        parent_id, position = row["id"], position + 1
        ids.append(row["id"])
    kept = KeptIds(conversation_id, ids[-2], ids[-1], new_id("reply"))
    row = {name: value for name, value in vars(reply).items() if name != "text"}
    row |= {"id": kept.reply_id, "message_id": kept.message_id, "user_id": user_id, "created": now}
    row |= {"request_hash": hashed(request_id), "seed": str(reply.seed)}
    connection.execute(sa.insert(t.replies).values(row))
    return kept


def _kept(connection: sa.Connection, user_id: str, request_id: str) -> KeptIds | None:
    r, m = t.replies.c, t.messages.c
    query = (
        sa.select(r.id, r.message_id, m.parent_id, m.conversation_id)
        .join(t.messages, m.id == r.message_id)
        .where(r.user_id == user_id, r.request_hash == hashed(request_id))
    )
    row = connection.execute(query).one_or_none()
    return KeptIds(row.conversation_id, row.parent_id, row.message_id, row.id, new=False) if row else None


def _insert_conversation(connection: sa.Connection, made: Conversation) -> None:
    row = {name: value for name, value in vars(made).items() if name != "messages"}
    connection.execute(sa.insert(t.conversations).values(row))


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE else line[: TITLE - 1].rstrip() + "…"


def _conversation(row: Any, messages: tuple[Message, ...] = ()) -> Conversation:
    return Conversation(row.id, row.user_id, row.role, row.title, row.created, row.updated, messages)


def _message(row: Any) -> Message:
    message = (row.id, row.conversation_id, row.parent_id, row.author, row.text, row.created)
    if row.reply_id is None:
        return Message(*message)
    felt = Feedback(row.reply_id, row.thumb, tuple(row.reasons), row.note, row.felt) if row.thumb else None
    return Message(*message, row.reply_id, row.sources, row.verified, row.finish_reason, row.claims or [], felt)
