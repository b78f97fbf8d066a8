"""The application: paths and what answers them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openlamda.serve import chat, completions, page, page_replies, service, site
from openlamda.serve.agents import Agents
from openlamda.serve.bodies import json_response
from openlamda.serve.errors import ApiError
from openlamda.serve.front import Front
from openlamda.serve.metrics import Metrics
from openlamda.serve.openapi import document
from openlamda.serve.parts import Parts
from openlamda.serve.settings import Settings
from openlamda.serve.workers import Workers

if TYPE_CHECKING:
    from openlamda.store.store import Store


def create_app(settings: Settings, agents: Agents, store: "Store") -> Starlette:
    """The server of these agents, whose replies are kept in a store."""
    parts = Parts(settings, agents, store, Workers(settings.workers, settings.most_waiting), Metrics())

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        beside = [asyncio.create_task(service.watch_roles(parts)), asyncio.create_task(service.warm_up(parts))]
        yield
        for task in beside:
            task.cancel()
        await asyncio.to_thread(parts.workers.close)

    app = Starlette(
        routes=routes(),
        middleware=[Middleware(Front, parts=parts)],
        exception_handlers={HTTPException: _http, ApiError: _api},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.parts, app.state.files = parts, site.read_files()
    return app


def routes() -> list[Route]:
    """Every path."""
    return [
        Route("/", site.index),
        Route("/static/{path:path}", site.static),
        Route("/v1/chat/completions", chat.chat_completions, methods=["POST"]),
        Route("/v1/completions", completions.completions, methods=["POST"]),
        Route("/v1/models", service.models),
        Route("/v1/models/{id:path}", service.model),
        Route("/tokenize", completions.tokenize, methods=["POST"]),
        Route("/detokenize", completions.detokenize, methods=["POST"]),
        Route("/tokenizer_info", completions.tokenizer_info),
        Route("/healthz", service.healthz),
        Route("/readyz", service.readyz),
        Route("/metrics", service.metrics),
        Route("/openapi.json", openapi),
        Route("/admin/reload", service.reload, methods=["POST"]),
        Route("/api/session", page.session, methods=["POST"]),
        Route("/api/me", page.me),
        Route("/api/me", page.forget, methods=["DELETE"]),
        Route("/api/me/export", page.export),
        Route("/api/roles", page.roles),
        Route("/api/conversations", page.conversations),
        Route("/api/conversations", page.new_conversation, methods=["POST"]),
        Route("/api/conversations/{id}", page.conversation),
        Route("/api/conversations/{id}", page.rename, methods=["PATCH"]),
        Route("/api/conversations/{id}", page.delete_conversation, methods=["DELETE"]),
        Route("/api/conversations/{id}/replies", page_replies.new_reply, methods=["POST"]),
        Route("/api/replies/{id}/trace", page.trace),
        Route("/api/replies/{id}/feedback", page.feedback, methods=["PUT"]),
        Route("/api/arena", page_replies.arena, methods=["POST"]),
        Route("/api/arena/{id}/vote", page_replies.vote, methods=["POST"]),
    ]


async def openapi(request: Request) -> Response:
    """GET /openapi.json."""
    return json_response(document())


async def _http(request: Request, error: Exception) -> Response:
    """What the router says of paths and methods that are not there."""
    assert isinstance(error, HTTPException)
    response = ApiError(
        error.status_code, error.detail, code="not_found" if error.status_code == 404 else None
    ).response()
    response.headers.update(error.headers or {})
    return response


async def _api(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()
