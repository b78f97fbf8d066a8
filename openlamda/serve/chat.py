"""/v1/chat/completions: a dialog in, replies with their sources out, at once or in pieces.

In a stream, stages come as ordinary chunks whose delta is empty: every client passes over them, and one that knows
finds `openlamda.stage`. Text goes out only once it was checked and kept.
"""

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from openlamda.dialog.support import MARK
from openlamda.serve import following, replies, sse
from openlamda.serve.access import Caller, by_key, may
from openlamda.serve.agents import Agent
from openlamda.serve.bodies import body_of, json_response
from openlamda.serve.chat_shapes import (
    Annotation,
    ChatChunk,
    ChatCompletion,
    ChatMessage,
    ChatRequest,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    SaidMessage,
    UrlCitation,
    Usage,
    unsupported,
)
from openlamda.serve.errors import INVALID, ApiError, as_api_error
from openlamda.serve.front import report
from openlamda.serve.parts import Parts, parts_of
from openlamda.store.records import KeptIds, KeptReply
from openlamda.text.dialog import Dialog, Turn

TRACE = "X-Openlamda-Trace"
Kept = Sequence[tuple[KeptIds | None, KeptReply]]


async def chat_completions(request: Request) -> Response:
    """POST /v1/chat/completions."""
    parts = parts_of(request)
    caller = await by_key(request, "chat")
    asked = await body_of(request, ChatRequest)
    asked.refused()
    question = _question(agent_of(parts, asked.model), asked)
    work = await replies.job(question)
    await may(parts, caller)
    name = request.headers.get("idempotency-key") or secrets.token_hex(16)
    reply = _Replying(parts, caller, asked, question, replies.named_request(name, msgspec.json.encode(asked)))
    reply.traced = reply.traced or request.headers.get(TRACE, "") == "1"
    if not asked.stream:
        kept = await reply.before() or await reply.keep(await following.outcome(parts, request, work))
        return json_response(reply.whole(kept))
    before = await reply.before()
    return sse.stream(reply.pieces(None if before else following.start(parts, work), before))


def agent_of(parts: Parts, model: str) -> Agent:
    """The agent of a model's name. Raises ApiError (404) where there is none."""
    agent = parts.agents.get(model)
    if agent is None:
        raise ApiError(404, f"there is no model {model[:100]!r} here", param="model", code="model_not_found")
    return agent


class _Replying:
    """One request's way to its answer."""

    def __init__(self, parts: Parts, caller: Caller, asked: ChatRequest, question: replies.Question, request_id: str):
        self._parts, self._caller, self._asked, self._question = parts, caller, asked, question
        self._request_id, self._created = request_id, int(time.time())
        self._id = f"chatcmpl-{request_id[:32]}"
        self.traced = bool(asked.openlamda and asked.openlamda.trace)

    async def before(self) -> Kept | None:
        if self._asked.store is False:
            return None
        return await replies.kept_before(self._parts, self._caller, self._request_id, self._question.choices)

    async def keep(self, answers: list[replies.Answer]) -> Kept:
        """The answers, kept unless the client wants it otherwise."""
        if self._asked.store is False:
            await replies.charge(self._parts, self._caller, answers)
            return [(None, replies.kept_reply(self._question.agent, answer)) for answer in answers]
        return await replies.keep(self._parts, self._caller, self._question, answers, self._request_id)

    def whole(self, kept: Kept) -> ChatCompletion:
        choices = [
            Choice(
                n, SaidMessage(reply.text, annotations(reply)), finish_reason(reply), openlamda=self._own(ids, reply)
            )
            for n, (ids, reply) in enumerate(kept)
        ]
        model = self._question.agent.model_id
        return ChatCompletion(self._id, self._created, model, choices, _usage(kept), citations(kept[0][1]))

    async def pieces(self, task: Any, kept: Kept | None) -> AsyncIterator[bytes]:
        try:
            for n in range(self._question.choices):
                yield self._chunk(ChunkChoice(n, Delta(role="assistant", content="")))
            if task is not None:
                async for stage in following.stages(task):
                    if stage is None:
                        yield sse.COMMENT
                        continue
                    told = {"stage": {"kind": stage.kind, "text": stage.text, "details": dict(stage.details)}}
                    yield self._chunk(ChunkChoice(0, Delta()), openlamda=told)
                kept = await self.keep(await task.result())
            for n, (ids, reply) in enumerate(kept or ()):
                for piece in sse.pieces(reply.text):
                    yield self._chunk(ChunkChoice(n, Delta(content=piece)))
                cited = annotations(reply)
                last = ChunkChoice(n, Delta(annotations=cited) if cited else Delta(), finish_reason(reply))
                last.openlamda = self._own(ids, reply)
                yield self._chunk(last, **({"citations": citations(reply)} if n == 0 else {}))
            if kept and self._asked.stream_options is not None and self._asked.stream_options.include_usage:
                yield self._chunk(usage=_usage(kept))
            yield sse.DONE
        except Exception as error:
            known = as_api_error(error) or report(error)
            yield sse.event(known.body())

    def _chunk(self, choice: ChunkChoice | None = None, **more: Any) -> bytes:
        choices = [] if choice is None else [choice]
        return sse.event(ChatChunk(self._id, self._created, self._question.agent.model_id, choices, **more))

    def _own(self, ids: KeptIds | None, reply: KeptReply) -> Any:
        if not self.traced:
            return msgspec.UNSET
        return {
            "reply_id": ids.reply_id if ids else None,
            "verified": reply.verified,
            "finish_reason": reply.finish_reason,
            "sources": reply.sources,
            "trace": replies.public_trace(reply.trace, hide=self._parts.settings.hide_candidates),
        }


def annotations(reply: KeptReply) -> list[Annotation]:
    """A citation for each `[k]` in the text, where it stands there."""
    sources, found = {source["k"]: source for source in reply.sources}, []
    for mark in MARK.finditer(reply.text):
        if (source := sources.get(int(mark[1]))) is not None:
            start = mark.end() - len(mark[0].lstrip())
            found.append(Annotation(UrlCitation(source["url"], source["title"] or source["url"], start, mark.end())))
    return found


def citations(reply: KeptReply) -> list[str]:
    """Addresses by number: [k] is the k-th, and "" stands for a number that the text does not name."""
    known = {source["k"]: source["url"] for source in reply.sources}
    return [known.get(k, "") for k in range(1, max(known, default=0) + 1)]


def finish_reason(reply: KeptReply) -> FinishReason:
    """As OpenAI's clients know it."""
    return "content_filter" if reply.finish_reason == "safe_reply" else cast(FinishReason, reply.finish_reason)


def _usage(kept: Kept) -> Usage:
    prompt = kept[0][1].usage["prompt_tokens"]
    said = sum(reply.usage["completion_tokens"] for _, reply in kept)
    return Usage(prompt, said, prompt + said)


def _question(agent: Agent, asked: ChatRequest) -> replies.Question:
    system, turns = [], []
    for number, message in enumerate(asked.messages):
        text = _text(message, f"messages[{number}]")
        if message.role in ("system", "developer"):
            if text.strip():
                system.append(Turn("user", text))
        else:
            turns.append(Turn("user" if message.role == "user" else "agent", text))
    stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    return replies.Question(
        agent=agent,
        dialog=Dialog(tuple(turns)),
        system=tuple(system),
        seed=secrets.randbits(31) if asked.seed is None else asked.seed % 2**31,
        choices=asked.n or 1,
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        stop=tuple(stop),
        temperature=asked.temperature,
        top_p=asked.top_p,
    )


def _text(message: ChatMessage, where: str) -> str:
    if message.role in ("tool", "function") or message.tool_calls:
        raise unsupported(
            f"{where}.role", "the agent looks things up with tools of its own; a client's are unsupported"
        )
    content = message.content
    if content is None:
        raise ApiError(400, f"{where}.content: null, expected text", param=f"{where}.content", code=INVALID)
    if isinstance(content, str):
        return content
    for part in content:
        if part.type not in ("text", "refusal"):
            raise unsupported(f"{where}.content", f"a part of type {part.type}: text alone is read")
    return "\n".join(part.text for part in content)
