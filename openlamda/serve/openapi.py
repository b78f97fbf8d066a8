"""The OpenAPI document: the paths, and every shape as msgspec reads and writes it, so that neither can drift."""

from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any

import msgspec

from openlamda.serve import chat_shapes, completion_shapes, page_shapes, service


class ErrorBody(msgspec.Struct):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Error(msgspec.Struct):
    """Any answer that is none: the shape of OpenAI's API, on every path."""

    error: ErrorBody


@dataclass(frozen=True)
class Call:
    """A method of a path. `errors` beside those that every call of its kind can have."""

    method: str
    path: str
    summary: str
    gives: Any = None  # a shape, a content type, or None: nothing
    takes: Any = None
    status: int = 200
    streams: tuple[tuple[str, Any], ...] = ()  # name and shape of its events, if it answers in pieces
    access: str = "key"  # "key", "page" or ""
    errors: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    other: tuple[int, ...] = field(default=())  # statuses without a body


_STAGE = (("stage", page_shapes.StageShown), ("error", page_shapes.Failed))
CALLS = (
    Call(
        "post",
        "/v1/chat/completions",
        "Reply to a dialog",
        chat_shapes.ChatCompletion,
        chat_shapes.ChatRequest,
        streams=(("", chat_shapes.ChatChunk), ("", Error)),
        errors=(404, 429, 502, 503, 504),
    ),
    Call(
        "post",
        "/v1/completions",
        "Go on with a prompt, unjudged",
        completion_shapes.Completion,
        completion_shapes.CompletionRequest,
        streams=(("", completion_shapes.Completion),),
        errors=(404, 429, 502, 503, 504),
    ),
    Call("get", "/v1/models", "All agents", service.Models),
    Call("get", "/v1/models/{id}", "One agent", service.Model, errors=(404,)),
    Call(
        "post",
        "/tokenize",
        "Token ids of a text",
        completion_shapes.Tokenized,
        completion_shapes.TokenizeRequest,
        errors=(404,),
    ),
    Call(
        "post",
        "/detokenize",
        "The text of token ids",
        completion_shapes.Detokenized,
        completion_shapes.DetokenizeRequest,
        errors=(404,),
    ),
    Call("get", "/tokenizer_info", "The tokenizer's symbols", completion_shapes.TokenizerInfo),
    Call("get", "/healthz", "Whether the process answers", service.Health, access=""),
    Call("get", "/readyz", "Whether it takes requests", service.Health, access="", errors=(503,)),
    Call("get", "/metrics", "Figures for Prometheus", "text/plain", access=""),
    Call("get", "/openapi.json", "This document", dict[str, Any], access=""),
    Call("post", "/admin/reload", "Load the model again", service.Reloaded, errors=(502,)),
    Call(
        "post",
        "/api/session",
        "Begin a session: a cookie",
        None,
        page_shapes.SessionRequest,
        204,
        access="csrf",
        errors=(401, 403, 429),
    ),
    Call("get", "/api/me", "Who has the page open", page_shapes.Me, access="page"),
    Call("delete", "/api/me", "Delete all of this user's data", dict[str, int], access="page"),
    Call("get", "/api/me/export", "All of this user's data", dict[str, Any], access="page"),
    Call("get", "/api/roles", "Roles to choose from", list[page_shapes.RoleShown], access="page"),
    Call(
        "get",
        "/api/conversations",
        "This user's conversations",
        page_shapes.Conversations,
        access="page",
        query=("before",),
    ),
    Call(
        "post",
        "/api/conversations",
        "A new conversation",
        page_shapes.ConversationWhole,
        page_shapes.NewConversation,
        201,
        access="page",
        errors=(404,),
    ),
    Call(
        "get",
        "/api/conversations/{id}",
        "A conversation with its messages",
        page_shapes.ConversationWhole,
        access="page",
        errors=(404,),
    ),
    Call(
        "patch",
        "/api/conversations/{id}",
        "Rename it",
        page_shapes.ConversationShown,
        page_shapes.Renamed,
        access="page",
        errors=(404,),
    ),
    Call("delete", "/api/conversations/{id}", "Delete it", None, status=204, access="page", errors=(404,)),
    Call(
        "post",
        "/api/conversations/{id}/replies",
        "Say something and get a reply",
        None,
        page_shapes.Asked,
        streams=(*_STAGE, ("text", page_shapes.Piece), ("done", page_shapes.Done)),
        access="page",
        errors=(404, 429),
    ),
    Call("get", "/api/replies/{id}/trace", "How a reply came to be", dict[str, Any], access="page", errors=(404,)),
    Call(
        "put",
        "/api/replies/{id}/feedback",
        "What this user thinks of it",
        page_shapes.FeedbackShown,
        page_shapes.FeedbackGiven,
        access="page",
        errors=(404,),
        other=(204,),
    ),
    Call(
        "post",
        "/api/arena",
        "Two systems' replies, blind",
        None,
        page_shapes.ArenaAsked,
        streams=(*_STAGE, ("done", page_shapes.ArenaDone)),
        access="page",
        errors=(404, 429),
    ),
    Call(
        "post",
        "/api/arena/{id}/vote",
        "Vote, and learn which was which",
        page_shapes.Revealed,
        page_shapes.Vote,
        access="page",
        errors=(404,),
    ),
)
_SAID = {
    400: "The request is not as described",
    401: "No key or session, or one that is not valid",
    403: "The key is not for this, or a header is missing",
    404: "There is no such thing",
    408: "The body came too slowly",
    413: "The body is too large",
    415: "The body is no JSON",
    429: "Too many requests: see Retry-After",
    502: "The engine behind the server fails",
    503: "The store does not answer, or the server is shutting down: see Retry-After",
    504: "It took too long",
}


@cache
def document() -> dict[str, Any]:
    """The document."""
    shapes = [shape for call in CALLS for shape in (call.gives, call.takes) if _is_shape(shape)]
    once = list(dict.fromkeys([*shapes, *(shape for call in CALLS for _, shape in call.streams), Error]))
    _, components = msgspec.json.schema_components(once, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "openlamda",
            "version": metadata.version("openlamda"),
            "description": "Replies with sources by OpenAI's API, and what the page at / asks.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "olk_..., where the server requires one"},
                "page": {"type": "apiKey", "in": "cookie", "name": "openlamda"},
            },
        },
    }


def _is_shape(shape: Any) -> bool:
    return shape is not None and not isinstance(shape, str)


def _schema(shape: Any) -> dict[str, Any]:
    (found,), _ = msgspec.json.schema_components([shape], ref_template="#/components/schemas/{name}")
    return found


def _streamed(call: Call) -> list[tuple[str, list[Any]]]:
    """Names of events, and the shapes that the data of each can have."""
    named: dict[str, list[Any]] = {}
    for name, shape in call.streams:
        named.setdefault(name, []).append(shape)
    return list(named.items())


def _event(name: str, shapes: list[Any]) -> dict[str, Any]:
    """An event: a line of JSON, or [DONE] at the end of streams whose events have no name."""
    said = {"anyOf": [_schema(shape) for shape in shapes]}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": said}
    if not name:
        data = {"anyOf": [data, {"const": "[DONE]"}], "description": "JSON, and [DONE] at the end"}
        named = {"const": "message"}  # as readers call what has no name
        return {"type": "object", "properties": {"event": named, "data": data}, "required": ["data"]}
    return {"type": "object", "properties": {"event": {"const": name}, "data": data}, "required": ["event", "data"]}


def _operation(call: Call) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if isinstance(call.gives, str):
        content[call.gives] = {"schema": {"type": "string"}}
    elif call.gives is not None:
        content["application/json"] = {"schema": _schema(call.gives)}
    if call.streams:
        content["text/event-stream"] = {"schema": {"oneOf": [_event(*streamed) for streamed in _streamed(call)]}}
    answers: dict[str, Any] = {str(call.status): {"description": "Done"} | ({"content": content} if content else {})}
    answers |= {str(status): {"description": "Done"} for status in call.other}
    errors = {*call.errors, 503}
    errors |= {400, 408, 413, 415} if call.takes else set()
    errors |= {401, 403} if call.access in ("key", "page") else set()
    for status in sorted(errors):
        body = service.Health if call.path == "/readyz" else Error
        answers[str(status)] = {
            "description": _SAID[status],
            "content": {"application/json": {"schema": _schema(body)}},
        }
    operation: dict[str, Any] = {
        "operationId": f"{call.method}_{call.path.strip('/').replace('/', '_').replace('{', '').replace('}', '')}",
        "summary": call.summary,
        "responses": answers,
        "parameters": _parameters(call),
        "security": {"key": [{}, {"key": []}], "page": [{"page": []}]}.get(call.access, []),
    }
    if call.takes:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(call.takes)}},
        }
    return operation


def _parameters(call: Call) -> list[dict[str, Any]]:
    found = []
    if "{id}" in call.path:
        found.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}})
    found += [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in call.query]
    if call.access in ("page", "csrf") and call.method != "get":
        found.append({"name": "X-Openlamda", "in": "header", "required": True, "schema": {"const": "1"}})
    return found
