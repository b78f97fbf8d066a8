"""What belongs to a user: all of it as JSON, all of it deleted, and what is older than the time it may be kept."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from openlamda.store import tables as t
from openlamda.store.audit import note
from openlamda.store.conversations import kept_reply, messages_of
from openlamda.store.part import Part
from openlamda.store.records import NotFound, utc_now

BATCH = 200  # conversations that a purge deletes in one transaction, so that others get their turn


class Belongings(Part):
    """Export, deletion and retention."""

    def export_user(self, user_id: str, actor: str = "") -> dict[str, Any]:
        """All that the store has of a user, as plain values. Raises NotFound where there is no such user.

        Hashes of secrets are no data of the user's, and stay. `actor` is who asked, for the audit log: the user, if
        nobody else.
        """
        with self._database.read() as connection:
            found = _export(connection, user_id)
        self._database.retry(lambda c: note(c, actor or user_id, "export_user", user_id, {}))
        return found

    def delete_user(self, user_id: str, actor: str = "") -> dict[str, int]:
        """How many rows were deleted, by table: all of the user's, in one transaction. Raises NotFound.

        The audit log keeps one line, with the user's id and these counts; in its other lines the user has no name any
        more. `actor` is who asked: the user, if nobody else.
        """
        counts = self._database.retry(lambda c: _delete(c, user_id, actor or user_id))
        self._database.forget()
        return counts

    def purge(self, older_than: datetime, actor: str = "") -> dict[str, int]:
        """How many rows were deleted, by table: conversations in which nothing was said since `older_than`, sessions
        that have ended, what was used before then, and nameless users of before then who have nothing left but a
        session: their browser gets another one.
        """
        counts: Counter[str] = Counter()
        while True:
            found = self._database.retry(lambda c: _purge_conversations(c, older_than))
            counts.update(found)
            if not found["conversations"]:
                break
        counts.update(self._database.retry(lambda c: _purge_rest(c, older_than)))
        self._database.retry(
            lambda c: note(c, actor or "retention", "purge", "", {"before": older_than.isoformat(), **counts})
        )
        self._database.forget()
        return dict(counts)


def _export(connection: sa.Connection, user_id: str) -> dict[str, Any]:
    user = connection.execute(sa.select(t.users).where(t.users.c.id == user_id)).one_or_none()
    if user is None:
        raise NotFound("no such user")
    names = _names(connection, user_id)
    conversations = sa.select(t.conversations).where(t.conversations.c.user_id == user_id)
    replies = sa.select(t.replies, t.messages.c.text).join(t.messages).where(t.replies.c.user_id == user_id)
    talks = []
    for row in connection.execute(conversations.order_by(t.conversations.c.created, t.conversations.c.id)).all():
        talk = _plain(row, "user_id")
        talk["messages"] = [_bare(vars(message)) for message in messages_of(connection, row.id)]
        talks.append(talk)
    return {
        "user": _plain(user),
        "conversations": talks,
        "replies": [
            {"id": row.id, "message_id": row.message_id, **vars(kept_reply(row))}
            for row in connection.execute(replies.order_by(t.replies.c.created, t.replies.c.id))
        ],
        "votes": _rows(connection, t.arenas, t.arenas.c.user_id == user_id),
        "keys": _rows(connection, t.keys, t.keys.c.user_id == user_id, "secret_hash"),
        "sessions": _rows(connection, t.sessions, t.sessions.c.user_id == user_id, "token_hash"),
        "usage": _rows(connection, t.meters, t.meters.c.who.in_(names)),
        "audit": _rows(connection, t.audit, _lines(names), "id"),
    }


def _names(connection: sa.Connection, user_id: str) -> set[str]:
    """The ids that stand for a user in the audit log and in what was used: the user's own and those of keys."""
    return {user_id, *connection.execute(sa.select(t.keys.c.id).where(t.keys.c.user_id == user_id)).scalars()}


def _lines(names: set[str]) -> sa.ColumnElement[bool]:
    """Which lines of the audit log name one of these ids."""
    return sa.or_(t.audit.c.actor.in_(names), t.audit.c.target.in_(names))


def _delete(connection: sa.Connection, user_id: str, actor: str) -> dict[str, int]:
    user = sa.select(t.users.c.id).where(t.users.c.id == user_id).with_for_update()  # nothing is added from here on
    if connection.execute(user).one_or_none() is None:
        raise NotFound("no such user")
    names, counts = _names(connection, user_id), Counter[str]()
    both = (t.audit.c.actor, t.audit.c.target)
    sides = {side.name: sa.case((side.in_(names), "deleted"), else_=side) for side in both}
    connection.execute(sa.update(t.audit).where(_lines(names)).values(details={}, **sides))
    meters = sa.delete(t.meters).where(t.meters.c.who.in_(names))
    counts["meters"] = connection.execute(meters).rowcount
    counts += _delete_talks(connection, t.conversations.c.user_id == user_id)
    for table, column in (
        (t.feedback, t.feedback.c.user_id),
        (t.arenas, t.arenas.c.user_id),
        (t.sessions, t.sessions.c.user_id),
        (t.keys, t.keys.c.user_id),
    ):
        counts[table.name] += connection.execute(sa.delete(table).where(column == user_id)).rowcount
    counts["users"] = connection.execute(sa.delete(t.users).where(t.users.c.id == user_id)).rowcount
    note(connection, actor, "delete_user", user_id, dict(counts))
    return dict(counts)


def _delete_talks(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Counter[str]:
    """Deletes conversations with all that hangs on them, and counts it."""
    talks = sa.select(t.conversations.c.id).where(which)
    messages = sa.select(t.messages.c.id).where(t.messages.c.conversation_id.in_(talks))
    replies = sa.select(t.replies.c.id).where(t.replies.c.message_id.in_(messages))
    counts: Counter[str] = Counter()
    for table, condition in (
        (t.feedback, t.feedback.c.reply_id.in_(replies)),
        (t.replies, t.replies.c.message_id.in_(messages)),
        (t.messages, t.messages.c.conversation_id.in_(talks)),
        (t.conversations, which),
    ):
        counts[table.name] = connection.execute(sa.delete(table).where(condition)).rowcount
    return counts


def _purge_conversations(connection: sa.Connection, older_than: datetime) -> Counter[str]:
    c = t.conversations.c
    old = (
        sa.select(c.id).where(c.updated < older_than).order_by(c.updated).limit(BATCH).with_for_update(skip_locked=True)
    )
    names = connection.execute(old).scalars().all()
    return _delete_talks(connection, c.id.in_(names))


def _purge_rest(connection: sa.Connection, older_than: datetime) -> Counter[str]:
    counts = Counter[str](users=0)
    m, u = t.meters.c, t.users.c
    counts["sessions"] = connection.execute(sa.delete(t.sessions).where(t.sessions.c.expires <= utc_now())).rowcount
    meters = sa.delete(t.meters).where(
        m.day < older_than.astimezone(UTC).date().isoformat(), sa.or_(m.at.is_(None), m.at < older_than.timestamp())
    )
    counts["meters"] = connection.execute(meters).rowcount
    arenas = sa.delete(t.arenas).where(t.arenas.c.created < older_than, t.arenas.c.winner.is_(None))
    counts["arenas"] = connection.execute(arenas).rowcount
    idle = [~sa.exists().where(table.c.user_id == u.id) for table in (t.keys, t.conversations, t.arenas)]
    old = (u.name == "", u.created < older_than, *idle)
    locked = sa.select(u.id).where(*old).limit(BATCH).with_for_update(skip_locked=True)
    while names := connection.execute(locked).scalars().all():  # asked twice: one may have begun to talk meanwhile
        gone = connection.execute(sa.delete(t.users).where(u.id.in_(names), *old)).rowcount
        counts["users"] += gone
        if gone < len(names):
            break
    return counts


def _rows(
    connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool], without: str = ""
) -> list[dict[str, Any]]:
    return [_plain(row, without) for row in connection.execute(sa.select(table).where(which))]


def _plain(row: Any, without: str = "") -> dict[str, Any]:
    return _bare({name: value for name, value in row._mapping.items() if name != without})


def _bare(values: dict[str, Any]) -> dict[str, Any]:
    """Plain values: times in ISO 8601, records as objects."""
    plain = {}
    for name, value in values.items():
        if isinstance(value, datetime):
            value = value.isoformat()
        elif hasattr(value, "__dataclass_fields__"):
            value = _bare(vars(value))
        plain[name] = list(value) if isinstance(value, tuple) else value
    return plain
