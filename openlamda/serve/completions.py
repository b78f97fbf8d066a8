"""/v1/completions and its tokenizer: the bare model, for harnesses and for other openlamdas that let this one compute.

What it says was neither judged nor looked up, and it is not kept: a key needs a scope of its own for it.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from openlamda.dialog.telling import Tell
from openlamda.engine.base import Limits, Sampling, within
from openlamda.serve import following, sse
from openlamda.serve.access import by_key, may, spend
from openlamda.serve.agents import Agent
from openlamda.serve.bodies import body_of, json_response
from openlamda.serve.chat import agent_of
from openlamda.serve.chat_shapes import Usage
from openlamda.serve.completing import Prompt, Wanted, complete, prompt_of
from openlamda.serve.completion_shapes import (
    MOST_PROMPTS,
    Completion,
    CompletionChoice,
    CompletionRequest,
    Detokenized,
    DetokenizeRequest,
    Tokenized,
    TokenizeRequest,
    TokenizerInfo,
)
from openlamda.serve.errors import INVALID, ApiError
from openlamda.serve.parts import parts_of
from openlamda.text.tokenizer import Symbol, Tokenizer

USUAL = 16  # tokens, as OpenAI's API has it
ALWAYS, NEVER = 100.0, -100.0


async def completions(request: Request) -> Response:
    """POST /v1/completions."""
    parts = parts_of(request)
    caller = await by_key(request, "completions")
    asked = await body_of(request, CompletionRequest)
    asked.refused()
    agent = agent_of(parts, asked.model)
    prompts = await asyncio.to_thread(_prompts, agent.lamda.tokenizer, asked)
    wanted = _wanted(agent, asked)
    for prompt in prompts:
        if len(prompt.tokens) + wanted.max_tokens > parts.settings.max_context:
            said = f"{len(prompt.tokens)} tokens of prompt and {wanted.max_tokens} to say"
            message = f"{said}, expected at most {parts.settings.max_context} together"
            raise ApiError(400, message, param="prompt", code="context_length_exceeded")
    await may(parts, caller)
    model, tokenizer = agent.lamda.model, agent.lamda.tokenizer

    def work(limits: Limits, tell: Tell) -> tuple[list[CompletionChoice], int]:
        choices, said = [], 0
        for prompt in prompts:
            found, count = complete(within(model, limits), tokenizer, prompt, wanted)
            choices += found
            said += count
        for number, choice in enumerate(choices):
            choice.index = number
        return choices, said

    choices, said = await following.outcome(parts, request, work)
    read = sum(len(prompt.tokens) for prompt in prompts)
    usage = Usage(read, said, read + said)
    for kind, count in (("prompt", read), ("completion", said)):
        parts.metrics.tokens.labels(kind).inc(count)
    await spend(parts, caller, usage.total_tokens)
    answer = Completion(f"cmpl-{secrets.token_hex(12)}", int(time.time()), agent.model_id, choices, usage)
    if not asked.stream:
        return json_response(answer)
    return sse.stream(_pieces(answer, bool(asked.stream_options and asked.stream_options.include_usage)))


async def _pieces(answer: Completion, with_usage: bool) -> AsyncIterator[bytes]:
    def chunk(choices: list[CompletionChoice], usage: Usage | None = None) -> bytes:
        return sse.event(Completion(answer.id, answer.created, answer.model, choices, usage))

    for choice in answer.choices:
        for piece in sse.pieces(choice.text):
            yield chunk([CompletionChoice(choice.index, piece)])
        yield chunk([CompletionChoice(choice.index, "", choice.finish_reason, choice.logprobs, choice.token_ids)])
    if with_usage:
        yield chunk([], answer.usage)
    yield sse.DONE


def _prompts(tokenizer: Tokenizer, asked: CompletionRequest) -> list[Prompt]:
    prompt = asked.prompt
    found: list[Prompt] = []
    if isinstance(prompt, str):
        found = [prompt_of(tokenizer, prompt)]
    elif all(isinstance(part, int) for part in prompt):
        found = [_ids(tokenizer, [part for part in prompt if isinstance(part, int)])]
    elif len({type(part) for part in prompt}) == 1:
        found = [
            prompt_of(tokenizer, part) if isinstance(part, str) else _ids(tokenizer, part)
            for part in prompt
            if not isinstance(part, int)
        ]
    if not found:
        raise ApiError(400, "prompt: texts and ids mixed, expected one kind of them", param="prompt", code=INVALID)
    if len(found) * (asked.n or 1) > MOST_PROMPTS:
        raise ApiError(
            400,
            f"{len(found)} prompts, n = {asked.n or 1}: expected {MOST_PROMPTS} in all",
            param="prompt",
            code=INVALID,
        )
    return found


def _ids(tokenizer: Tokenizer, ids: Sequence[int]) -> Prompt:
    for token in ids:
        if token >= tokenizer.vocab_size:
            raise ApiError(
                400,
                f"prompt: no token {token}, expected less than {tokenizer.vocab_size}",
                param="prompt",
                code=INVALID,
            )
    return Prompt(tuple(ids), False)


def _wanted(agent: Agent, asked: CompletionRequest) -> Wanted:
    vocab = agent.lamda.tokenizer.vocab_size
    banned: list[int] = []
    forced: set[int] = set()
    for name, bias in (asked.logit_bias or {}).items():
        if not name.isascii() or not name.isdecimal() or len(name) > 9 or int(name) >= vocab:
            raise ApiError(400, f"logit_bias: {name[:20]!r} is no token id", param="logit_bias", code=INVALID)
        if bias not in (ALWAYS, NEVER, 0):
            raise ApiError(
                400, f"logit_bias: {bias} for {name}, expected -100, 0 or 100", param="logit_bias", code=INVALID
            )
        if bias:
            forced.add(int(name)) if bias == ALWAYS else banned.append(int(name))
    if forced:
        banned += [token for token in range(vocab) if token not in forced]
    stops = [] if asked.ignore_eos else [int(Symbol.EOS)]
    for token in asked.stop_token_ids or ():
        if token >= vocab:
            raise ApiError(400, f"stop_token_ids: no token {token}", param="stop_token_ids", code=INVALID)
        stops.append(token)
    symbols = [int(symbol) for symbol in Symbol if symbol not in (*stops, *forced)]
    typed = isinstance(asked.prompt, str) or (asked.prompt and isinstance(asked.prompt[0], str))
    if typed:  # whoever sends text wants text
        banned += symbols
    top_k = max(0, asked.top_k or 0)
    sampling = Sampling(
        top_k=min(top_k, vocab),
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else max(asked.top_p, 1e-6),
        min_p=asked.min_p or 0.0,
        min_tokens=asked.min_tokens or 0,
        stop=tuple(dict.fromkeys(stops)),
        banned=tuple(dict.fromkeys(banned)),
    )
    return Wanted(
        sampling=sampling,
        max_tokens=USUAL if asked.max_tokens is None else asked.max_tokens,
        n=asked.n or 1,
        seed=secrets.randbits(31) if asked.seed is None else asked.seed % 2**31,
        echo=bool(asked.echo),
        logprobs=asked.logprobs,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        as_ids=bool(asked.return_tokens_as_token_ids),
        tell_ids=bool(asked.return_token_ids),
    )


async def tokenize(request: Request) -> Response:
    """POST /tokenize."""
    await by_key(request, "completions")
    asked = await body_of(request, TokenizeRequest)
    parts = parts_of(request)
    tokenizer = agent_of(parts, asked.model).lamda.tokenizer
    prompt = await asyncio.to_thread(prompt_of, tokenizer, asked.prompt)
    tokens = list(prompt.tokens if asked.add_special_tokens else prompt.tokens[1:])
    return json_response(Tokenized(tokens, len(tokens), parts.settings.max_context))


async def detokenize(request: Request) -> Response:
    """POST /detokenize."""
    await by_key(request, "completions")
    asked = await body_of(request, DetokenizeRequest)
    tokenizer = agent_of(parts_of(request), asked.model).lamda.tokenizer
    prompt = _ids(tokenizer, asked.tokens)
    return json_response(Detokenized(tokenizer.decode(prompt.tokens)))


async def tokenizer_info(request: Request) -> Response:
    """GET /tokenizer_info."""
    await by_key(request, "completions")
    return json_response(TokenizerInfo("</s>", "<DOCUMENT>", "<pad>"))
