"""What the page asks beside replies: who has it open, which roles there are, and the conversations of that user."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from openlamda.dialog import disclosure
from openlamda.dialog.rank import WEIGHTS
from openlamda.serve.access import COOKIE, begin_session, by_cookie, stored
from openlamda.serve.agents import Agent
from openlamda.serve.bodies import body_of, json_response
from openlamda.serve.errors import ApiError
from openlamda.serve.page_shapes import (
    Conversations,
    ConversationWhole,
    FeedbackGiven,
    FeedbackShown,
    Me,
    NewConversation,
    Renamed,
    RoleShown,
    SessionRequest,
    conversation_shown,
    message_shown,
)
from openlamda.serve.parts import Parts, parts_of
from openlamda.serve.replies import public_trace
from openlamda.store.records import Conversation

LISTED = 50
ARENA = "arena"  # the role of conversations that hold two replies to vote on; they are not listed


async def session(request: Request) -> Response:
    """POST /api/session."""
    asked = await body_of(request, SessionRequest)
    return await begin_session(request, asked.key)


async def me(request: Request) -> Response:
    """GET /api/me."""
    caller, parts = await by_cookie(request), parts_of(request)
    models = [agent.model_id for agent in parts.agents.all()]
    return json_response(Me(caller.user_id, caller.name, parts.settings.require_key, models, disclosure.answer()))


async def export(request: Request) -> Response:
    """GET /api/me/export."""
    caller = await by_cookie(request)
    found = await stored(parts_of(request).store.export_user, caller.user_id)
    hide = parts_of(request).settings.hide_candidates
    found["replies"] = [reply | {"trace": public_trace(reply["trace"], hide=hide)} for reply in found["replies"]]
    return json_response(found, headers={"Content-Disposition": 'attachment; filename="openlamda-export.json"'})


async def forget(request: Request) -> Response:
    """DELETE /api/me."""
    caller = await by_cookie(request)
    counts = await stored(parts_of(request).store.delete_user, caller.user_id)
    response = json_response(counts)
    response.delete_cookie(COOKIE, path="/")
    return response


async def roles(request: Request) -> Response:
    """GET /api/roles."""
    await by_cookie(request)
    return json_response([_role(agent) for agent in parts_of(request).agents.all()])


def _role(agent: Agent) -> RoleShown:
    role = agent.lamda.role
    return RoleShown(agent.id, role.name, role.greeting, role.description)


async def conversations(request: Request) -> Response:
    """GET /api/conversations."""
    caller, store = await by_cookie(request), parts_of(request).store
    before = request.query_params.get("before")
    found = await stored(store.conversations, caller.user_id, LISTED, before)
    following = found[-1].id if len(found) == LISTED else None
    shown = [conversation_shown(conversation) for conversation in found if conversation.role != ARENA]
    return json_response(Conversations(shown, following))


async def new_conversation(request: Request) -> Response:
    """POST /api/conversations."""
    caller, parts = await by_cookie(request), parts_of(request)
    asked = await body_of(request, NewConversation)
    agent = parts.agents.get(asked.role)
    if agent is None:
        raise ApiError(404, f"there is no role {asked.role!r} here", param="role", code="role_not_found")
    return json_response(_whole(parts, await stored(parts.store.new_conversation, caller.user_id, agent.id)), 201)


async def conversation(request: Request) -> Response:
    """GET /api/conversations/{id}."""
    caller = await by_cookie(request)
    return json_response(_whole(parts_of(request), await conversation_of(request, caller.user_id)))


async def conversation_of(request: Request, user_id: str, name: str | None = None) -> Conversation:
    """The conversation of a name, or the one that the path names. Raises ApiError (404)."""
    wanted: str = name or request.path_params["id"]
    found = await stored(parts_of(request).store.conversation, user_id, wanted)
    if found is None:
        raise ApiError(404, "there is no such conversation of yours", code="not_found")
    return found


def _whole(parts: Parts, found: Conversation) -> ConversationWhole:
    agent = parts.agents.get(found.role)
    greeting = agent.lamda.role.greeting if agent else ""
    messages = [message_shown(message) for message in found.messages]
    return ConversationWhole(found.id, found.role, found.title, greeting, messages)


async def rename(request: Request) -> Response:
    """PATCH /api/conversations/{id}."""
    caller = await by_cookie(request)
    asked = await body_of(request, Renamed)
    store = parts_of(request).store
    found = await stored(store.rename, caller.user_id, request.path_params["id"], asked.title)
    if found is None:
        raise ApiError(404, "there is no such conversation of yours", code="not_found")
    return json_response(conversation_shown(found))


async def delete_conversation(request: Request) -> Response:
    """DELETE /api/conversations/{id}."""
    caller, store = await by_cookie(request), parts_of(request).store
    if not await stored(store.delete_conversation, caller.user_id, request.path_params["id"]):
        raise ApiError(404, "there is no such conversation of yours", code="not_found")
    return Response(status_code=204)


async def trace(request: Request) -> Response:
    """GET /api/replies/{id}/trace."""
    caller, parts = await by_cookie(request), parts_of(request)
    reply = await stored(parts.store.reply, caller.user_id, request.path_params["id"])
    if reply is None or reply.role == ARENA:  # who made an arena's reply is told after the vote
        raise ApiError(404, "there is no such reply of yours", code="not_found")
    shown = public_trace(reply.trace, hide=parts.settings.hide_candidates)
    more = {"role": reply.role, "model": reply.model, "weights": WEIGHTS, "sources": reply.sources, "text": reply.text}
    return json_response(msgspec.to_builtins(shown | more))


async def feedback(request: Request) -> Response:
    """PUT /api/replies/{id}/feedback."""
    caller, store = await by_cookie(request), parts_of(request).store
    asked, reply_id = await body_of(request, FeedbackGiven), request.path_params["id"]
    if asked.thumb is None:
        if not await stored(store.remove_feedback, caller.user_id, reply_id):
            raise ApiError(404, "there is no feedback of yours on such a reply", code="not_found")
        return Response(status_code=204)
    given = await stored(store.add_feedback, caller.user_id, reply_id, asked.thumb, tuple(asked.reasons), asked.note)
    return json_response(FeedbackShown(given.thumb, list(given.reasons), given.note))
