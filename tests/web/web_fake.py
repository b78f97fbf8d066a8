"""A small server of the page's contract. Every browser (session cookie) has a world of its own.

The words of a question choose what happens: "busy", "unavailable" and "broken" fail once, "slow" takes its time, and
web_fake_script.py says the rest.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from web_fake_script import ROLES, scripted, trace_of

WEB = Path(__file__).parents[2] / "openlamda/serve/web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass
class World:
    """What one browser has said and done."""

    conversations: dict[str, dict[str, Any]] = field(default_factory=dict)
    traces: dict[str, dict[str, Any]] = field(default_factory=dict)
    feedback: dict[str, Any] = field(default_factory=dict)
    votes: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)  # request id -> done
    refused: set[str] = field(default_factory=set)  # questions that were not answered at first

    def refuses(self, question: str, word: str) -> bool:
        """Whether a question that has `word` is asked for the first time."""
        first = word in question and question not in self.refused
        self.refused |= {question} if first else set()
        return first


WORLDS: dict[str, World] = {}
_numbers = itertools.count(1)


def _id(prefix: str) -> str:
    return f"{prefix}_{next(_numbers):06d}"


def _world(request: Request) -> World:
    return WORLDS[request.cookies["openlamda"]]


async def session(request: Request) -> Response:
    given = await request.json()
    if request.app.state.require_key and given.get("key") != "olk_right":
        return _error(401, "An API key is needed.")
    token = _id("session")
    WORLDS[token] = World()
    response = JSONResponse({})
    response.set_cookie("openlamda", token, httponly=True, samesite="strict")
    return response


def me(request: Request) -> Response:
    disclosure = "This is a machine and can be wrong. Check what it says against its sources."
    return JSONResponse(
        {
            "user_id": "user_1",
            "name": "",
            "require_key": request.app.state.require_key,
            "models": ["nano"],
            "disclosure": disclosure,
        }
    )


def roles(_: Request) -> Response:
    return JSONResponse(ROLES)


def conversations(request: Request) -> Response:
    listed = [
        {key: conversation[key] for key in ("id", "role", "title", "updated")}
        for conversation in reversed(_world(request).conversations.values())
    ]
    return JSONResponse({"conversations": listed, "next": None})


async def new_conversation(request: Request) -> Response:
    asked = await request.json()
    role = next(role for role in ROLES if role["id"] == asked["role"])
    made = {"id": _id("conv"), "role": role["id"], "title": "", "greeting": role["greeting"], "messages": []}
    _world(request).conversations[made["id"]] = made | {"updated": "2026-01-02T03:04:05+00:00"}
    return JSONResponse(made)


async def conversation(request: Request) -> Response:
    world, key = _world(request), request.path_params["id"]
    if key not in world.conversations:
        return _error(404, "There is no such conversation.")
    if request.method == "PATCH":
        world.conversations[key]["title"] = (await request.json())["title"]
    if request.method == "DELETE":
        del world.conversations[key]
        return Response(status_code=204)
    return JSONResponse(world.conversations[key])


async def replies(request: Request) -> Response:
    world, asked = _world(request), await request.json()
    text = asked["text"]
    if world.refuses(text, "busy"):
        return _error(429, "Too many requests.", {"Retry-After": "1"})
    conversation = world.conversations[request.path_params["id"]]

    async def stream() -> AsyncIterator[bytes]:
        yield b": hello\r\n\r\n"
        pause = 30.0 if "slow" in text else 0.01
        for kind, said in (
            ("drafting", "16 drafts"),
            ("judged", "3 dropped as unsafe"),
            ("looking_up", "looking it up"),
        ):
            yield _event("stage", kind=kind, text=said, details={})
            await asyncio.sleep(pause)
        if world.refuses(text, "unavailable"):
            yield _event("error", message="The store does not answer.", status=503, retry_after=1)
            return
        reply = scripted(text)
        for begin in range(0, len(reply["text"]), 12):
            yield _event("text", delta=reply["text"][begin : begin + 12])
            await asyncio.sleep(0.002)
        done = _keep(world, conversation, asked, reply)
        if world.refuses(text, "broken"):
            return
        yield _event("done", **done)

    return StreamingResponse(stream(), media_type="text/event-stream")


def _keep(world: World, conversation: dict[str, Any], asked: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    if asked["request_id"] in world.kept:
        return world.kept[asked["request_id"]]
    user, agent, reply_id = _id("msg"), _id("msg"), _id("reply")
    conversation["title"] = conversation["title"] or asked["text"][:60]
    shown = {
        "text": reply["text"],
        "sources": reply["sources"],
        "verified": reply.get("verified", True),
        "finish_reason": "stop",
        "claims": reply["claims"],
    }
    when = "2026-01-02T03:04:05+00:00"
    conversation["messages"] += [
        {"id": user, "parent_id": asked["parent_id"], "author": "user", "text": asked["text"], "created": when},
        {"id": agent, "parent_id": user, "author": "agent", "reply_id": reply_id, "created": when, **shown},
    ]
    world.traces[reply_id] = trace_of(asked["text"], reply)
    done = {"user_message_id": user, "reply": {"id": reply_id, "message_id": agent, "html": None, **shown}}
    world.kept[asked["request_id"]] = done
    return done


def trace(request: Request) -> Response:
    return JSONResponse(_world(request).traces[request.path_params["id"]])


async def feedback(request: Request) -> Response:
    world, key = _world(request), request.path_params["id"]
    world.feedback[key] = await request.json()
    for conversation in world.conversations.values():
        for message in conversation["messages"]:
            if message.get("reply_id") == key:
                message["feedback"] = world.feedback[key] if world.feedback[key]["thumb"] else None
    return JSONResponse({})


async def arena(request: Request) -> Response:
    text = (await request.json())["text"]

    async def stream() -> AsyncIterator[bytes]:
        yield _event("stage", kind="drafting", text="16 drafts", details={})
        right = {"text": "I think it is a high mountain in Africa.", "sources": []}
        reply = scripted(text)
        left = {"text": reply["text"], "sources": reply["sources"]}
        yield _event("done", arena_id=_id("arena"), left=left, right=right)

    return StreamingResponse(stream(), media_type="text/event-stream")


async def vote(request: Request) -> Response:
    _world(request).votes.append((request.path_params["id"], (await request.json())["winner"]))
    return JSONResponse({"left": "lamda", "right": "pt"})


def export(request: Request) -> Response:
    return JSONResponse({"conversations": list(_world(request).conversations.values())})


def forget(request: Request) -> Response:
    del WORLDS[request.cookies["openlamda"]]
    response = JSONResponse({})
    response.delete_cookie("openlamda")
    return response


def _event(name: str, **data: Any) -> bytes:
    return f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n".encode()


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"message": message}}, status, headers)


async def _guard(request: Request, call_next: Any) -> Response:
    path = request.url.path
    if path.startswith("/api/") and request.method != "GET" and request.headers.get("x-openlamda") != "1":
        return _error(403, "The header X-Openlamda is missing.")
    if path.startswith("/api/") and path != "/api/session" and request.cookies.get("openlamda") not in WORLDS:
        return _error(401, "There is no session.")
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def create_app(require_key: bool = False) -> Starlette:
    """The fake: the page, its files and its API."""
    app = Starlette(
        routes=[
            Route("/", lambda _: FileResponse(WEB / "index.html")),
            Mount("/static", StaticFiles(directory=WEB)),
            Route("/api/session", session, methods=["POST"]),
            Route("/api/me", me),
            Route("/api/me", forget, methods=["DELETE"]),
            Route("/api/me/export", export),
            Route("/api/roles", roles),
            Route("/api/conversations", conversations),
            Route("/api/conversations", new_conversation, methods=["POST"]),
            Route("/api/conversations/{id}", conversation, methods=["GET", "PATCH", "DELETE"]),
            Route("/api/conversations/{id}/replies", replies, methods=["POST"]),
            Route("/api/replies/{id}/trace", trace),
            Route("/api/replies/{id}/feedback", feedback, methods=["PUT"]),
            Route("/api/arena", arena, methods=["POST"]),
            Route("/api/arena/{id}/vote", vote, methods=["POST"]),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_guard)],
    )
    app.state.require_key = require_key
    return app
