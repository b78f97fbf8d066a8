"""From a request to replies that are kept: the part that all ways of asking share.

A question is checked before a thread takes it, answered in the thread, and kept before a word of the answer goes out.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from openlamda.dialog.lamda import Lamda, Reply
from openlamda.dialog.support import MARK
from openlamda.dialog.telling import Tell
from openlamda.engine.base import Limits, within
from openlamda.errors import UserError
from openlamda.serve.access import Caller, spend, stored
from openlamda.serve.agents import Agent
from openlamda.serve.errors import INVALID, ApiError
from openlamda.serve.parts import Parts
from openlamda.store.records import KeptIds, KeptReply
from openlamda.text.dialog import Dialog, Turn

SEEDS = 1_000_003  # between the seeds of a request's choices


@dataclass(frozen=True, kw_only=True)
class Question:
    """What an agent is asked. `system` is pinned before the dialog, after the role's own turns."""

    agent: Agent
    dialog: Dialog
    system: tuple[Turn, ...] = ()
    seed: int = 0
    choices: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None


@dataclass(frozen=True)
class Answer:
    """A reply, what it took, and how often the request was seen before: never more than one is kept."""

    reply: Reply
    usage: dict[str, int]


def lamda_for(question: Question) -> Lamda:
    """The agent as this question wants it. Raises ApiError where that cannot be."""
    lamda = copy(question.agent.lamda)
    if question.system:
        role = lamda.role
        lamda = lamda.playing(replace(role, pinned=(*role.pinned, *question.system)))
    longest = min(question.max_tokens or lamda.draft_sampling.max_tokens, lamda.draft_sampling.max_tokens)
    changes: dict[str, Any] = {"max_tokens": longest}
    if question.top_p is not None:
        changes["top_p"] = max(question.top_p, 1e-6)
    draft, final = dict(changes), dict(changes)
    if question.temperature is not None:  # what was looked up is to be repeated exactly: half of it, as by default
        draft["temperature"], final["temperature"] = question.temperature, question.temperature / 2
    lamda.draft_sampling = replace(lamda.draft_sampling, **draft)
    lamda.final_sampling = replace(lamda.final_sampling, **final)
    try:
        lamda.fit(question.dialog)
    except UserError as error:
        raise ApiError(400, str(error), param="messages", code="context_length_exceeded") from None
    return lamda


async def job(question: Question) -> Callable[[Limits, Tell], list[Answer]]:
    """What a worker does for a question: an answer for each choice. Those are the best candidates that differ; where
    there are too few, the best one stands for the rest.
    """
    if not question.dialog.turns or question.dialog.turns[-1].author != "user":
        raise ApiError(
            400, "the last message is not a user's, expected one to reply to", param="messages", code=INVALID
        )
    if not question.dialog.turns[-1].text.strip():
        raise ApiError(400, "the last message is empty, expected some text", param="messages", code=INVALID)
    lamda = await asyncio.to_thread(lamda_for, question)  # a long dialog takes a while to measure

    def work(limits: Limits, tell: Tell) -> list[Answer]:
        agent = lamda.over(within(lamda.model, limits))
        context = len(agent.grammar.context(agent.fit(question.dialog)).tokens)
        found: dict[str, Reply] = {}
        unsafe: list[Reply] = []  # the safe reply instead, where a seed had nothing else
        for run in range(question.choices):  # where a run has too few that differ, another seed may have more
            limits.check()
            seed = (question.seed + run * SEEDS) % 2**31
            for reply in agent.replies(question.dialog, question.choices - len(found), seed=seed, tell=tell):
                if reply.finish_reason == "safe_reply":
                    unsafe.append(reply)
                else:
                    found.setdefault(reply.text, cut(reply, question.stop))
            if len(found) >= question.choices or (run and len(found) <= 1):
                break
        best = list(found.values()) or unsafe[:1]
        answers = []
        for reply in (best + best[:1] * question.choices)[: question.choices]:
            said = len(agent.tokenizer.encode(reply.text))
            answers.append(
                Answer(reply, {"prompt_tokens": context, "completion_tokens": said, "total_tokens": context + said})
            )
        return answers

    return work


def cut(reply: Reply, stop: Sequence[str]) -> Reply:
    """The reply up to the first of these texts, and the sources that are still cited."""
    places = [place for text in stop if text and (place := reply.text.find(text)) >= 0]
    if not places:
        return reply
    text = reply.text[: min(places)].rstrip()
    cited = {int(k) for k in MARK.findall(text)}
    return replace(
        reply, text=text, sources=tuple(source for source in reply.sources if source.k in cited), finish_reason="stop"
    )


async def charge(parts: Parts, caller: Caller, answers: Sequence[Answer]) -> None:
    """Adds one question's answers to the figures, and their tokens to its key's day: the prompt's once."""
    prompt, said = answers[0].usage["prompt_tokens"], sum(answer.usage["completion_tokens"] for answer in answers)
    parts.metrics.tokens.labels("prompt").inc(prompt)
    parts.metrics.tokens.labels("completion").inc(said)
    for answer in answers:
        parts.metrics.replies.labels(answer.reply.finish_reason).inc()
    for trace in {answer.reply.trace.seed: answer.reply.trace for answer in answers}.values():  # of one seed, one round
        for stage, seconds in trace.timings.items():
            parts.metrics.stages.labels(stage).observe(seconds)
        for considered in (c for drawn in trace.rounds.values() for c in drawn):
            if considered.dropped is not None:
                why = considered.dropped if considered.dropped in ("unsafe", "empty") else "other"
                parts.metrics.dropped.labels(why).inc()
    await spend(parts, caller, prompt + said)


def kept_reply(agent: Agent, answer: Answer) -> KeptReply:
    """An answer as the store keeps it."""
    reply = answer.reply
    sources = [dict(vars(source)) for source in reply.sources]
    thresholds = agent.lamda.judges.thresholds | agent.lamda.role.wanted
    trace = reply.trace.to_json() | {"thresholds": thresholds}
    role, model, seed = agent.id, agent.model, reply.trace.seed
    return KeptReply(reply.text, reply.finish_reason, reply.verified, sources, trace, role, model, seed, answer.usage)


async def keep(
    parts: Parts,
    caller: Caller,
    question: Question,
    answers: Sequence[Answer],
    request_id: str,
    conversation_id: str | None = None,
    parent_id: str | None = None,
) -> list[tuple[KeptIds, KeptReply]]:
    """Where the answers are kept, and what is kept there: of a request that was seen before, what came of it then."""
    kept = []
    user_text, earlier = question.dialog.turns[-1].text, question.dialog.turns[:-1]
    for number, answer in enumerate(answers):
        name = request_id if number == 0 else f"{request_id} {number}"
        reply = kept_reply(question.agent, answer)
        ids = await stored(
            parts.store.keep_exchange,
            conversation_id,
            parent_id,
            user_text,
            reply,
            name,
            user_id=caller.user_id,
            earlier=earlier if conversation_id is None else (),
        )
        if not ids.new:
            reply = await stored(parts.store.reply, caller.user_id, ids.reply_id) or reply
        kept.append((ids, reply))
    await charge(parts, caller, answers)
    return kept


async def kept_before(
    parts: Parts, caller: Caller, request_id: str, choices: int = 1
) -> list[tuple[KeptIds, KeptReply]] | None:
    """What came of the same request before, if it did."""
    found = []
    for number in range(choices):
        ids = await stored(parts.store.kept, caller.user_id, request_id if number == 0 else f"{request_id} {number}")
        reply = await stored(parts.store.reply, caller.user_id, ids.reply_id) if ids else None
        if ids is None or reply is None:
            return None
        found.append((ids, reply))
    return found


def named_request(name: str, body: bytes) -> str:
    """The store's name for a request that its client named: what was asked is part of it, so that nobody gets
    another's reply.
    """
    return hashlib.sha256(name.encode() + b"\0" + body).hexdigest()


def public_trace(trace: dict[str, Any], *, hide: bool) -> dict[str, Any]:
    """A trace for whoever asked; with `hide`, only what was said keeps its text."""
    if not hide:
        return trace

    def shown(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [c if c.get("chosen") else c | {"text": "", "dropped": _why(c.get("dropped"))} for c in candidates]

    rounds = {name: shown(drawn) for name, drawn in trace.get("rounds", {}).items()}
    if "final" in rounds:  # drafts that were corrected were not said either
        rounds["draft"] = [c | {"text": ""} for c in rounds["draft"]]
    return trace | {"rounds": rounds, "candidates": rounds.get(trace.get("round", ""), [])}


def _why(dropped: str | None) -> str | None:
    """Why, without what a candidate stated."""
    return dropped.partition(":")[0] if dropped else dropped
