"""The values that the store takes and gives, and its two errors. Times are in UTC; ids are random and url-safe."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from openlamda.text.dialog import Author

Thumb = Literal["up", "down"]
Winner = Literal["left", "right", "tie", "both_bad"]
THUMBS = ("up", "down")
WINNERS = ("left", "right", "tie", "both_bad")
REASONS = ("harmful", "incomprehensible", "misinformation", "other", "unfair_bias")
SCOPES = ("chat", "completions", "admin")


class StoreUnavailable(Exception):
    """The database does not answer; it may a moment later. The text holds no password and nothing that was said."""


class NotFound(Exception):
    """What should be written to is not there, or is another user's."""


@dataclass(frozen=True)
class User:
    """Somebody who talks: a person in a browser, often without a name, or the owner of keys."""

    id: str
    name: str
    created: datetime


@dataclass(frozen=True)
class KeyLimits:
    """What a key may use; 0 is no limit."""

    requests_per_minute: int = 0
    tokens_per_day: int = 0


@dataclass(frozen=True)
class Key:
    """An API key without its secret, of which the store has a hash alone."""

    id: str
    user_id: str
    name: str
    scopes: frozenset[str]
    limits: KeyLimits
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None


@dataclass(frozen=True)
class Session:
    """A browser's: whose it is, and the id of the key that it began with, if it did."""

    user: User
    key_id: str | None = None


@dataclass(frozen=True)
class Allowed:
    """Whether a request may run now; if not, why ("requests" or "tokens") and after how many seconds it may."""

    ok: bool
    retry_after: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Feedback:
    """What a user thinks of a reply."""

    reply_id: str
    thumb: Thumb
    reasons: tuple[str, ...]
    note: str
    created: datetime


@dataclass(frozen=True)
class Message:
    """A turn. Messages form a tree: one that was edited and sent again is the sibling of the first.

    Those of the agent have the id of their reply, its sources, whether it was verified, how it ended, what it states,
    and what its user thought of it.
    """

    id: str
    conversation_id: str
    parent_id: str | None
    author: Author
    text: str
    created: datetime
    reply_id: str | None = None
    sources: list[dict[str, Any]] = field(default_factory=list)
    verified: bool | None = None
    finish_reason: str | None = None
    claims: list[dict[str, Any]] = field(default_factory=list)
    feedback: Feedback | None = None


@dataclass(frozen=True)
class Conversation:
    """A conversation; its messages, oldest first, where they were asked for."""

    id: str
    user_id: str
    role: str
    title: str
    created: datetime
    updated: datetime
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True)
class KeptReply:
    """A reply as it was given, and how it came to be. `sources` and `trace` are plain values, as JSON has them."""

    text: str
    finish_reason: str
    verified: bool
    sources: list[dict[str, Any]]
    trace: dict[str, Any]
    role: str
    model: str
    seed: int
    usage: dict[str, int]


@dataclass(frozen=True)
class KeptIds:
    """Where an exchange is kept. `new` is False where the same request had been kept before."""

    conversation_id: str
    user_message_id: str
    message_id: str
    reply_id: str
    new: bool = True


@dataclass(frozen=True)
class Arena:
    """Two replies side by side, of which system each is, and which one the user preferred, once there is a vote."""

    id: str
    user_id: str
    left: str | None
    right: str | None
    systems: dict[str, str]
    created: datetime
    winner: Winner | None = None
    voted: datetime | None = None


@dataclass(frozen=True)
class Audited:
    """A line of the audit log."""

    at: datetime
    actor: str
    action: str
    target: str
    details: dict[str, Any]


def new_id(kind: str) -> str:
    """A fresh id: `conv_...`, with 128 random bits."""
    return f"{kind}_{secrets.token_urlsafe(16)}"


def utc_now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)
