"""What goes in and out of the page's own calls under /api."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from openlamda.serve.chat_shapes import MOST_TEXT, Seed
from openlamda.store.records import Conversation, KeptIds, KeptReply, Message

Id = Annotated[str, Meta(min_length=1, max_length=100)]
Said = Annotated[str, Meta(min_length=1, max_length=MOST_TEXT, pattern=r"\S")]


class SessionRequest(Struct, kw_only=True):
    """A key, where the server wants one."""

    key: Annotated[str, Meta(max_length=200)] | None = None


class Me(Struct):
    """Who has the page open, and what the server is."""

    user_id: str
    name: str
    require_key: bool
    models: list[str]
    disclosure: str


class RoleShown(Struct):
    """A role to choose."""

    id: str
    name: str
    greeting: str
    description: str


class ConversationShown(Struct):
    """A conversation in the list."""

    id: str
    role: str
    title: str
    updated: str


class Conversations(Struct):
    """The newest first; `next` is what `before` wants for the rest."""

    conversations: list[ConversationShown]
    next: str | None


class NewConversation(Struct):
    """The role to talk to."""

    role: Id = "lamda"


class SourceShown(Struct):
    """What `[k]` names. `verdict` says whether it has what the reply states."""

    k: int
    title: str
    url: str
    quote: str
    verdict: str
    fetched: str | None


class FeedbackShown(Struct):
    """What the user thought of a reply."""

    thumb: str
    reasons: list[str]
    note: str


class MessageShown(Struct, omit_defaults=True):
    """A message of the tree; those of the agent have their reply's fields."""

    id: str
    parent_id: str | None
    author: str
    text: str
    created: str
    reply_id: str | None = None
    sources: list[SourceShown] | None = None
    verified: bool | None = None
    finish_reason: str | None = None
    claims: list[dict[str, Any]] | None = None
    feedback: FeedbackShown | None = None


class ConversationWhole(Struct):
    """A conversation and all that was said in it."""

    id: str
    role: str
    title: str
    greeting: str
    messages: list[MessageShown]


class Renamed(Struct):
    """A new title."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]


class Asked(Struct, kw_only=True):
    """Something said to the agent, after the message `parent_id`. The same `request_id` again asks nothing new."""

    text: Said
    request_id: Id
    parent_id: Id | None = None
    seed: Seed | None = None


class StageShown(Struct):
    """How far a reply is (dialog/telling.py)."""

    kind: Literal["drafting", "judged", "looking_up", "found", "answering"]
    text: str
    details: dict[str, Any]


class Piece(Struct):
    """Some of the checked text."""

    delta: str


class Failed(Struct):
    """Why a stream ends without a reply."""

    message: str
    status: int
    retry_after: float | None = None


class ReplyShown(Struct):
    """A reply."""

    id: str
    message_id: str
    text: str
    sources: list[SourceShown]
    verified: bool
    finish_reason: str
    claims: list[dict[str, Any]]
    html: None = None


class Done(Struct):
    """The last event of a reply's stream."""

    user_message_id: str
    reply: ReplyShown


class FeedbackGiven(Struct):
    """A thumb, or null to take it back, why, and a note."""

    thumb: Literal["up", "down"] | None
    reasons: Annotated[
        list[Literal["harmful", "incomprehensible", "misinformation", "other", "unfair_bias"]], Meta(max_length=5)
    ] = field(default_factory=list)
    note: Annotated[str, Meta(max_length=4000)] = ""


class ArenaAsked(Struct, kw_only=True):
    """What both systems reply to, perhaps after what was said in a conversation."""

    text: Said
    conversation: Id | None = None


class Side(Struct):
    """A reply of which nobody is told yet who made it."""

    text: str
    sources: list[SourceShown]


class ArenaDone(Struct):
    """Two replies to choose from."""

    arena_id: str
    left: Side
    right: Side


class Vote(Struct):
    """Which one is better."""

    winner: Literal["left", "right", "tie", "both_bad"]


class Revealed(Struct):
    """Which system was which."""

    left: str
    right: str


def source_shown(source: dict[str, Any]) -> SourceShown:
    """A kept source as the page wants it."""
    title = source.get("title") or source.get("url") or ""
    support, fetched = source.get("support", ""), source.get("fetched")
    return SourceShown(source["k"], title, source.get("url") or "", source.get("quote", ""), support, fetched)


def message_shown(message: Message) -> MessageShown:
    """A kept message as the page wants it."""
    shown = MessageShown(
        message.id, message.parent_id, message.author, message.text, message.created.isoformat(), message.reply_id
    )
    if message.reply_id is not None:
        shown.sources = [source_shown(source) for source in message.sources]
        shown.verified, shown.finish_reason = message.verified, message.finish_reason
        shown.claims = message.claims
    if (felt := message.feedback) is not None:
        shown.feedback = FeedbackShown(felt.thumb, list(felt.reasons), felt.note)
    return shown


def conversation_shown(conversation: Conversation) -> ConversationShown:
    """A conversation's line in the list."""
    return ConversationShown(conversation.id, conversation.role, conversation.title, conversation.updated.isoformat())


def done(ids: KeptIds, reply: KeptReply) -> Done:
    """The last event: what was kept."""
    shown = ReplyShown(
        ids.reply_id,
        ids.message_id,
        reply.text,
        [source_shown(source) for source in reply.sources],
        reply.verified,
        reply.finish_reason,
        reply.trace.get("claims", []),
    )
    return Done(ids.user_message_id, shown)
