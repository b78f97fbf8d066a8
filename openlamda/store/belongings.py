"""What belongs to a user: all of it as JSON, all of it deleted, and what is older than the time it may be kept."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from openlamda.store import tables as t
from openlamda.store.audit import note
from openlamda.store.conversations import kept_reply, messages_of
from openlamda.store.part import Part
from openlamda.store.records import NotFound

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
        that have ended, and nameless users of before then who have nothing left.
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
        "usage": _rows(connection, t.meters, t.meters.c.who.in_(_metered(user_id))),
        "audit": [_plain(row, "id") for row in _lines(connection, _who(connection, user_id))],
    }


def _who(connection: sa.Connection, user_id: str) -> set[str]:
    """The ids that stand for a user in the audit log: the user's own, and those of keys, conversations, replies and
    arenas.
    """
    owned = (t.keys, t.conversations, t.replies, t.arenas)
    found = [connection.execute(sa.select(table.c.id).where(table.c.user_id == user_id)).scalars() for table in owned]
    return {user_id, *(name for names in found for name in names)}


def _metered(user_id: str) -> sa.CompoundSelect[Any]:
    """Whose usage is a user's: that under the user's own id and under those of keys."""
    return (
        sa.select(t.users.c.id)
        .where(t.users.c.id == user_id)
        .union_all(sa.select(t.keys.c.id).where(t.keys.c.user_id == user_id))
    )


def _lines(connection: sa.Connection, whose: set[str]) -> list[Any]:
    """The lines of the audit log that name one of these ids."""
    rows = connection.execute(sa.select(t.audit).order_by(t.audit.c.id))
    return [row for row in rows if row.actor in whose or row.target in whose or _named(row.details, whose)]


def _named(details: Any, whose: set[str]) -> bool:
    if isinstance(details, dict):
        return any(_named(value, whose) for value in details.values())
    if isinstance(details, list):
        return any(_named(value, whose) for value in details)
    return details in whose if isinstance(details, str) else False


def _delete(connection: sa.Connection, user_id: str, actor: str) -> dict[str, int]:
    user = sa.select(t.users.c.id).where(t.users.c.id == user_id).with_for_update()  # nothing is added from here on
    if connection.execute(user).one_or_none() is None:
        raise NotFound("no such user")
    whose, counts = _who(connection, user_id), Counter[str]()
    for row in _lines(connection, whose):
        cleared = {"details": {}} | {side: "deleted" for side in ("actor", "target") if getattr(row, side) in whose}
        connection.execute(sa.update(t.audit).where(t.audit.c.id == row.id).values(cleared))
    meters = sa.delete(t.meters).where(t.meters.c.who.in_(_metered(user_id)))
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
    counts: Counter[str] = Counter()
    m, u = t.meters.c, t.users.c
    counts["sessions"] = connection.execute(sa.delete(t.sessions).where(t.sessions.c.expires < older_than)).rowcount
    meters = sa.delete(t.meters).where(
        m.day < older_than.astimezone(UTC).date().isoformat(), sa.or_(m.at.is_(None), m.at < older_than.timestamp())
    )
    counts["meters"] = connection.execute(meters).rowcount
    arenas = sa.delete(t.arenas).where(t.arenas.c.created < older_than, t.arenas.c.winner.is_(None))
    counts["arenas"] = connection.execute(arenas).rowcount
    idle = [~sa.exists().where(table.c.user_id == u.id) for table in (t.sessions, t.keys, t.conversations, t.arenas)]
    counts["users"] = connection.execute(sa.delete(t.users).where(u.name == "", u.created < older_than, *idle)).rowcount
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
