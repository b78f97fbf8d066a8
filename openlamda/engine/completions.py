"""`/v1/completions` in the words of several servers, read into one shape.

vLLM and others answer as OpenAI does, with tokens named "token_id:5" where they are asked to; llama.cpp's server gives
an id with each token. Takes token ids and a request's fields, gives `Completion`s. Knows nothing of sampling or text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from openlamda.engine.base import Tokens
from openlamda.engine.http import Server
from openlamda.errors import UserError

IDS = {"return_tokens_as_token_ids": True, "return_token_ids": True}  # vLLM's; others pass over them
NAMED = "token_id:"


@dataclass(frozen=True)
class Step:
    """One token of an answer: its id (None: the server does not tell), its name, its logprob and those of others in its
    place. llama.cpp's name of a byte that ends a character is the character.
    """

    token: int | None
    name: str
    logprob: float | None
    others: dict[int, float]


@dataclass(frozen=True)
class Completion:
    """One answer. `tokens` is None where the server does not tell all its tokens' ids."""

    text: str
    stopped: bool  # ended by a stop token, not by max_tokens
    tokens: Tokens | None
    steps: tuple[Step, ...]  # of the prompt, too, where it is echoed; the stop token's among them, where it is told
    whole: bool = True  # every token is a step


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    completions: list[Completion]
    prompt_tokens: int | None  # as the server counts them
    hides_pieces: bool  # llama.cpp: a byte that is not yet a character is no step


class _Entry(msgspec.Struct):
    id: int
    logprob: float
    token: str = ""
    top_logprobs: list["_Entry"] = []


class _Logprobs(msgspec.Struct):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None
    content: list[_Entry] | None = None


class _Choice(msgspec.Struct):
    text: str
    index: int = 0
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class Completions:
    """A server's completions by one model; an empty name leaves the model to the server."""

    def __init__(self, server: Server, model: str = ""):
        self.server = server
        self._named = {"model": model} if model else {}

    def complete(self, prompt: Tokens, n: int = 1, **fields: Any) -> Answer:
        """The `n` completions of a prompt. Raises UserError where the server gives something else."""
        body = {**self._named, "prompt": prompt, "n": n, **IDS, **fields}
        said = self.server.post("/completions", body)
        try:
            answer = msgspec.json.decode(said, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{self.server.url}/completions: {error}, expected an answer as OpenAI's") from None
        if len(answer.choices) != n:
            raise UserError(f"{self.server.url}/completions: {len(answer.choices)} choices, expected {n}")
        choices = sorted(answer.choices, key=lambda choice: choice.index)
        hides = any(choice.logprobs is not None and choice.logprobs.content is not None for choice in choices)
        count = answer.usage.completion_tokens if answer.usage and hides and n == 1 else None
        completions = [_completion(choice, count) for choice in choices]
        return Answer(completions, answer.usage.prompt_tokens if answer.usage else None, hides)


def _completion(choice: _Choice, count: int | None) -> Completion:
    steps = _steps(choice.logprobs) if choice.logprobs is not None else ()
    whole = count is None or count == len(steps)
    tokens = choice.token_ids
    if tokens is None and steps and whole:
        told = [step.token for step in steps if step.token is not None]
        tokens = told if len(told) == len(steps) else None
    known = None if tokens is None else tuple(tokens)
    return Completion(choice.text, choice.finish_reason == "stop", known, steps, whole)


def _steps(logprobs: _Logprobs) -> tuple[Step, ...]:
    if logprobs.content is not None:
        return tuple(
            Step(entry.id, entry.token, entry.logprob, {other.id: other.logprob for other in entry.top_logprobs})
            for entry in logprobs.content
        )
    others: Sequence[dict[str, float] | None] = logprobs.top_logprobs or [None] * len(logprobs.tokens)
    return tuple(
        Step(_id(name), name, logprob, {i: p for other, p in (top or {}).items() if (i := _id(other)) is not None})
        for name, logprob, top in zip(logprobs.tokens, logprobs.token_logprobs, others, strict=False)
    )


def _id(name: str) -> int | None:
    """The id that a token's name tells."""
    number = name.removeprefix(NAMED)
    return int(number) if number != name and number.isascii() and number.isdecimal() and len(number) < 10 else None
