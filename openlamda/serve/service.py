"""What operators and clients ask about the server itself."""

import asyncio
import logging
import time
from typing import Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from openlamda.dialog.roles import Role
from openlamda.errors import UserError
from openlamda.serve import replicas
from openlamda.serve.access import by_key, stored
from openlamda.serve.agents import OWNER, Agent
from openlamda.serve.bodies import json_response
from openlamda.serve.chat import agent_of
from openlamda.serve.errors import ApiError
from openlamda.serve.parts import Parts, parts_of
from openlamda.store.records import StoreUnavailable
from openlamda.text.dialog import Dialog, Turn

log = logging.getLogger(__name__)
MOST_WAIT = 3.0  # seconds that the store may take to say that it is there


class Model(Struct):
    """A model: an agent in a role."""

    id: str
    created: int
    name: str
    description: str
    owned_by: str = OWNER
    object: Literal["model"] = "model"


class Models(Struct):
    """All models."""

    data: list[Model]
    object: Literal["list"] = "list"


class Health(Struct):
    """Whether the server can be asked, and if not, why."""

    status: Literal["ok", "warming up", "shutting down", "the store does not answer"]


class Reloaded(Struct):
    """The model that is asked from now on."""

    model: str


async def models(request: Request) -> Response:
    """GET /v1/models."""
    await by_key(request, "chat")
    return json_response(Models([_model(agent) for agent in parts_of(request).agents.all()]))


async def model(request: Request) -> Response:
    """GET /v1/models/{id}."""
    await by_key(request, "chat")
    return json_response(_model(agent_of(parts_of(request), request.path_params["id"])))


def _model(agent: Agent) -> Model:
    role = agent.lamda.role
    return Model(agent.model_id, agent.since, role.name, role.description)


async def healthz(request: Request) -> Response:
    """GET /healthz: the process answers."""
    return json_response(Health("ok"))


async def readyz(request: Request) -> Response:
    """GET /readyz: it takes requests, and its store is there."""
    parts = parts_of(request)
    if parts.draining:
        return json_response(Health("shutting down"), 503)
    if not parts.warm:
        return json_response(Health("warming up"), 503)
    try:
        await asyncio.wait_for(stored(parts.store.ping), MOST_WAIT)
    except (StoreUnavailable, TimeoutError):
        return json_response(Health("the store does not answer"), 503)
    return json_response(Health("ok"))


async def metrics(request: Request) -> Response:
    """GET /metrics, for Prometheus."""
    parts = parts_of(request)
    parts.metrics.waiting.set(parts.workers.waiting)
    parts.metrics.under_way.set(parts.workers.under_way)
    text = await asyncio.to_thread(parts.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def reload(request: Request) -> Response:
    """POST /admin/reload: the model and the roles as they are on disk now, for requests that come from now on."""
    caller, parts = await by_key(request, "admin"), parts_of(request)
    if caller.key is None:
        raise ApiError(401, "no API key, expected one with the scope admin", code="invalid_api_key")
    await reloaded(parts, caller.who)
    replicas.tell_all()
    return json_response(Reloaded(parts.agents.model))


async def reloaded(parts: Parts, who: str) -> None:
    """Load the model again. Raises ApiError where it cannot be loaded; the old one replies then as before."""
    try:
        await asyncio.to_thread(parts.agents.reload_model)
    except UserError as error:
        log.error("the model cannot be loaded again, the old one stays", extra={"error": str(error)})
        raise ApiError(502, f"the model cannot be loaded: {error}", code="reload_failed") from None
    await stored(parts.store.audit, who, "model.reload", parts.agents.model, {})


async def warm_up(parts: Parts) -> None:
    """Let the model reply before anybody asks, once so that all is compiled and once to see how long that takes. Only
    its calculator is asked: nothing is looked up anywhere. What fails is told in the log, and tried again.
    """
    while not parts.warm:
        try:
            await asyncio.to_thread(_reply_once, parts.agents.all()[0], 0)
            began = time.monotonic()
            await asyncio.to_thread(_reply_once, parts.agents.all()[0], 1)
            parts.workers.learn(2 * (time.monotonic() - began))  # others ask for more, and for what is not compiled yet
            parts.warm = True
        except Exception:
            log.exception("the model did not reply when it was tried")
            await asyncio.sleep(parts.settings.warm_again)


def _reply_once(agent: Agent, seed: int) -> None:
    lamda = agent.lamda
    tools = tuple(tool.name for tool in lamda.toolset.tools if tool.name == "calculator")
    lamda.playing(Role(tools=tools)).reply(Dialog((Turn("user", "What is 17 plus 5?"),)), seed=seed)


async def watch_roles(parts: Parts) -> None:
    """Look at the role files every few seconds, for as long as the server runs."""
    while True:
        await asyncio.sleep(parts.settings.roles_every)
        try:
            for name in await asyncio.to_thread(parts.agents.refresh):
                log.info("a role changed", extra={"role": name})
                await stored(parts.store.audit, "server", "role.reload", name, {})
        except StoreUnavailable:
            log.warning("a changed role is in use, but the store could not note it")
        except Exception:
            log.exception("role files could not be looked at")
