"""The tables. What is changed here is changed in a new file of migrations/versions, too: a test compares them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData()


class Moment(TypeDecorator[datetime]):
    """A time in UTC; SQLite, which has no time zones, keeps it bare."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """UTC, bare on SQLite."""
        if value is None:
            return None
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """With its time zone again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Said(TypeDecorator[str]):
    """Any text that somebody sent. What PostgreSQL cannot hold (NUL, halves of surrogates) becomes U+FFFD in both."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """The text as it can be kept."""
        return None if value is None else holdable(value)


class Id(Said):
    """An id. Whoever asks may name one that is none, of any characters: it is not found then."""

    impl = String(64)
    cache_ok = True


def holdable(text: str) -> str:
    """`text` with U+FFFD for NUL and for halves of surrogates."""
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)


def _id() -> Column[str]:
    return Column("id", Id, primary_key=True)


def _of(table: str, singular: str, **options: Any) -> Column[str]:
    key = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(f"{singular}_id", Id, key, nullable=False, **options)


users = Table("users", metadata, _id(), Column("name", Said, nullable=False), Column("created", Moment, nullable=False))

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    _of("users", "user", index=True),
    Column("key_id", String(64)),  # of the key that it began with; keys go with their user, as sessions do
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False, index=True),
)

keys = Table(
    "keys",
    metadata,
    _id(),
    _of("users", "user", index=True),
    Column("name", Said, nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("requests_per_minute", Integer, nullable=False),
    Column("tokens_per_day", BigInteger, nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("revoked", Moment),
)

# One row for each key (or whoever else is limited) that ever asked: the bucket of its requests and the day's tokens.
meters = Table(
    "meters",
    metadata,
    Column("who", Id, primary_key=True),
    Column("level", Float),
    Column("at", Float),
    Column("day", String(10)),
    Column("tokens", BigInteger, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    _id(),
    _of("users", "user"),
    Column("role", Said, nullable=False),
    Column("title", Said, nullable=False),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False, index=True),
    Index("ix_conversations_listing", "user_id", "updated", "id"),
)

messages = Table(
    "messages",
    metadata,
    _id(),
    _of("conversations", "conversation"),
    Column("parent_id", Id, ForeignKey("messages.id"), index=True),
    Column("position", Integer, nullable=False),  # in its conversation, in the order of writing
    Column("author", String(8), nullable=False),
    Column("text", Said, nullable=False),
    Column("created", Moment, nullable=False),
    Index("ix_messages_in_order", "conversation_id", "position"),
)

replies = Table(
    "replies",
    metadata,
    _id(),
    _of("messages", "message", unique=True),
    _of("users", "user"),
    Column("request_hash", String(64), nullable=False),  # clients choose their ids, of any length
    Column("finish_reason", Said, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("sources", JSON, nullable=False),
    Column("trace", JSON, nullable=False),
    Column("role", Said, nullable=False),
    Column("model", Said, nullable=False),
    Column("seed", Text, nullable=False),
    Column("usage", JSON, nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("user_id", "request_hash", name="uq_replies_request"),  # what makes it exactly once
)

feedback = Table(
    "feedback",
    metadata,
    _of("users", "user", primary_key=True),
    _of("replies", "reply", primary_key=True, index=True),
    Column("thumb", String(8), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("note", Said, nullable=False),
    Column("created", Moment, nullable=False),
)

arenas = Table(
    "arenas",
    metadata,
    _id(),
    _of("users", "user", index=True),
    Column("left_reply", Id, ForeignKey("replies.id", ondelete="SET NULL"), index=True),
    Column("right_reply", Id, ForeignKey("replies.id", ondelete="SET NULL"), index=True),
    Column("systems", JSON, nullable=False),
    Column("created", Moment, nullable=False),
    Column("winner", String(8)),
    Column("voted", Moment),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", Said, nullable=False, index=True),
    Column("action", String(64), nullable=False),
    Column("target", Said, nullable=False, index=True),
    Column("details", JSON, nullable=False),
)

# What the store knows of itself: the salt of pseudonyms.
facts = Table("facts", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))
