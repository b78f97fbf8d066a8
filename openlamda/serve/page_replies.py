"""Replies on the page, in pieces: stages, checked text, and what was kept; and two systems side by side, blind."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from openlamda.dialog.telling import Stage, Tell
from openlamda.engine.base import Limits
from openlamda.serve import following, replies, sse
from openlamda.serve.access import Caller, by_cookie, may, stored
from openlamda.serve.agents import PLAIN, Agent
from openlamda.serve.bodies import body_of, json_response
from openlamda.serve.errors import INVALID, ApiError, as_api_error
from openlamda.serve.front import report
from openlamda.serve.page import ARENA, conversation_of
from openlamda.serve.page_shapes import (
    ArenaAsked,
    ArenaDone,
    Asked,
    Failed,
    Piece,
    Revealed,
    Side,
    StageShown,
    Vote,
    done,
    source_shown,
)
from openlamda.serve.parts import Parts, parts_of
from openlamda.store.records import KeptIds, KeptReply, Message
from openlamda.text.dialog import Dialog, Turn

SYSTEMS = ("lamda", "pt")


async def new_reply(request: Request) -> Response:
    """POST /api/conversations/{id}/replies."""
    caller, parts = await by_cookie(request), parts_of(request)
    asked = await body_of(request, Asked)
    found = await conversation_of(request, caller.user_id)
    agent = parts.agents.get(found.role)
    if agent is None:
        raise ApiError(404, f"the role {found.role!r} is not here any more", code="role_not_found")
    question = _question(agent, path_to(found.messages, asked.parent_id), asked.text, asked.seed)
    work = await replies.job(question)
    name = replies.named_request(asked.request_id, found.id.encode())
    before = await replies.kept_before(parts, caller, name)
    if before is None:
        await may(parts, caller)
    task = None if before else following.start(parts, work)

    async def events() -> AsyncIterator[bytes]:
        kept = before
        try:
            if task is not None:
                async for stage in following.stages(task):
                    yield _told(stage)
                kept = await replies.keep(parts, caller, question, await task.result(), name, found.id, asked.parent_id)
            for ids, reply in kept or ():
                for piece in sse.pieces(reply.text):
                    yield sse.event(Piece(piece), "text")
                yield sse.event(done(ids, reply), "done")
        except Exception as error:
            yield _failed(error)

    return sse.stream(events())


def path_to(messages: Sequence[Message], last: str | None) -> Dialog:
    """What was said on the way to a message. Raises ApiError (404) where there is no such message."""
    by_id, turns = {message.id: message for message in messages}, []
    while last is not None:
        message = by_id.get(last)
        if message is None:
            raise ApiError(404, "there is no such message to follow", param="parent_id", code="not_found")
        turns.append(Turn(message.author, message.text))
        last = message.parent_id
    return Dialog(tuple(reversed(turns)))


async def arena(request: Request) -> Response:
    """POST /api/arena: the same question to two systems; a secret coin says which stands on the left."""
    caller, parts = await by_cookie(request), parts_of(request)
    asked = await body_of(request, ArenaAsked)
    agent, said = parts.agents.get(PLAIN), Dialog()
    if asked.conversation is not None:
        found = await conversation_of(request, caller.user_id, asked.conversation)
        agent = parts.agents.get(found.role)
        said = path_to(found.messages, found.messages[-1].id if found.messages else None)
    if agent is None:
        raise ApiError(404, "the role is not here any more", code="role_not_found")
    question = _question(agent, said, asked.text, None)
    both = [question, replace(question, agent=parts.agents.pretrained(agent))]
    jobs = [await replies.job(each) for each in both]
    await may(parts, caller)
    task = following.start(parts, _after_another(jobs))

    async def events() -> AsyncIterator[bytes]:
        try:
            async for stage in following.stages(task):
                yield _told(stage)
            yield sse.event(await _kept_blind(parts, caller, both, await task.result()), "done")
        except Exception as error:
            yield _failed(error)

    return sse.stream(events())


async def vote(request: Request) -> Response:
    """POST /api/arena/{id}/vote."""
    caller = await by_cookie(request)
    asked = await body_of(request, Vote)
    arena = await stored(parts_of(request).store.add_vote, caller.user_id, request.path_params["id"], asked.winner)
    return json_response(Revealed(arena.systems["left"], arena.systems["right"]))


def _question(agent: Agent, said: Dialog, text: str, seed: int | None) -> replies.Question:
    if not text.strip():
        raise ApiError(400, "the message is empty, expected some text", param="text", code=INVALID)
    seed = secrets.randbits(31) if seed is None else seed % 2**31
    return replies.Question(agent=agent, dialog=said.say("user", text), seed=seed)


def _after_another(
    jobs: Sequence[Callable[[Limits, Tell], list[replies.Answer]]],
) -> Callable[[Limits, Tell], list[replies.Answer]]:
    return lambda limits, tell: [answer for job in jobs for answer in job(limits, tell)]


async def _kept_blind(
    parts: Parts, caller: Caller, questions: Sequence[replies.Question], answers: Sequence[replies.Answer]
) -> ArenaDone:
    """Both replies, kept in one conversation that names no system, in the order of a coin."""
    sides = list(zip(SYSTEMS, questions, answers, strict=True))
    if secrets.randbelow(2):
        sides.reverse()
    kept: list[tuple[KeptIds, KeptReply]] = []
    for _, question, answer in sides:
        reply = replace(replies.kept_reply(question.agent, answer), role=ARENA)
        ids = await stored(
            parts.store.keep_exchange,
            kept[0][0].conversation_id if kept else None,
            None,
            question.dialog.turns[-1].text,
            reply,
            f"arena {secrets.token_hex(16)}",
            user_id=caller.user_id,
        )
        kept.append((ids, reply))
    for answer in answers:
        await replies.charge(parts, caller, [answer])
    systems = {"left": sides[0][0], "right": sides[1][0]}
    left, right = (ids.reply_id for ids, _ in kept)
    made = await stored(parts.store.new_arena, caller.user_id, left, right, systems)
    shown = [Side(reply.text, [source_shown(source) for source in reply.sources]) for _, reply in kept]
    return ArenaDone(made.id, *shown)


def _told(stage: Stage | None) -> bytes:
    if stage is None:
        return sse.COMMENT
    return sse.event(StageShown(stage.kind, stage.text, dict(stage.details)), "stage")


def _failed(error: Exception) -> bytes:
    known = as_api_error(error) or report(error)
    return sse.event(Failed(known.message, known.status, round(known.retry_after, 1) or None), "error")
