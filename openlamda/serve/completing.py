"""Completions of a prompt by the bare model: drawn, and every token's logprob where they are asked for.

Takes token ids and an engine, gives choices. Knows nothing of HTTP, roles or judges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from openlamda.engine.base import LanguageModel, Sampling, Tokens
from openlamda.serve.completion_shapes import CompletionChoice, Logprobs
from openlamda.text.tokenizer import Symbol, Tokenizer


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked of every prompt. `logprobs`: so many of the likeliest tokens, None: no logprobs at all."""

    sampling: Sampling
    max_tokens: int
    n: int = 1
    seed: int = 0
    echo: bool = False
    logprobs: int | None = None
    stop: tuple[str, ...] = ()
    as_ids: bool = False  # name tokens token_id:N
    tell_ids: bool = False


@dataclass(frozen=True)
class Prompt:
    """Ids to go on with. The first is `hidden` where it was put before a text."""

    tokens: Tokens
    hidden: bool


def prompt_of(tokenizer: Tokenizer, text: str) -> Prompt:
    """A text as the beginning of a document."""
    return Prompt((int(Symbol.DOCUMENT), *tokenizer.encode(text)), True)


def complete(
    model: LanguageModel, tokenizer: Tokenizer, prompt: Prompt, wanted: Wanted
) -> tuple[list[CompletionChoice], int]:
    """The choices, numbered from 0, and how many tokens were said in all."""
    drawn: list[tuple[Tokens, bool, int | None]] = [((), False, None)] * wanted.n
    if wanted.max_tokens:
        sampling = replace(wanted.sampling, max_tokens=wanted.max_tokens)
        alike = sampling.temperature == 0
        found = model.sample(prompt.tokens, 1 if alike else wanted.n, sampling, wanted.seed)
        drawn = [
            (c.tokens, c.finished, _stop(model, prompt.tokens, c.tokens, c.logprob, sampling) if c.finished else None)
            for c in (found * wanted.n if alike else found)
        ]
    choices = [
        _choice(model, tokenizer, prompt, wanted, number, said, finished, stop)
        for number, (said, finished, stop) in enumerate(drawn)
    ]
    return choices, sum(len(said) + (stop is not None) for said, _, stop in drawn)


def _stop(model: LanguageModel, prefix: Tokens, said: Tokens, logprob: float, sampling: Sampling) -> int | None:
    """The stop token that ended a candidate: an engine tells only that there was one, and the logprob of all.

    None where none was asked for: there are servers behind `RemoteLanguageModel` that end at EOS all the same.
    """
    ends = sampling.stop
    if len(ends) < 2:
        return ends[0] if ends else None
    body = sum(model.score(prefix, [said])[0]) if said else 0.0
    scored = model.score((*prefix, *said), [(end,) for end in ends])
    return min(zip(ends, scored, strict=True), key=lambda pair: abs(body + pair[1][0] - logprob))[0]


def _choice(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: Prompt,
    wanted: Wanted,
    number: int,
    said: Tokens,
    finished: bool,
    stop: int | None,
) -> CompletionChoice:
    seen = prompt.tokens[1:] if prompt.hidden else prompt.tokens
    tail = said if stop is None else (*said, stop)
    before = tokenizer.decode(seen)
    text = tokenizer.decode((*seen, *said))
    begin = 0 if wanted.echo else len(before) if text.startswith(before) else len(_common(before, text))
    shown, cut = text[begin:], len(text) - begin
    ends = [place for end in wanted.stop if end and (place := shown.find(end, len(before) - begin)) >= 0]
    if ends:
        shown, cut, finished = shown[: min(ends)], min(ends), True
    logprobs = None
    if wanted.logprobs is not None:
        logprobs = _logprobs(model, tokenizer, prompt, wanted, tail, begin, cut if ends else None)
    choice = CompletionChoice(number, shown, "stop" if finished else "length", logprobs)
    if wanted.tell_ids:
        choice.token_ids = [*(seen if wanted.echo else ()), *tail]
    return choice


def _logprobs(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: Prompt,
    wanted: Wanted,
    tail: Tokens,
    begin: int,
    cut: int | None,
) -> Logprobs:
    """Of the tokens that are shown, in their order; the first of a prompt of ids has no logprob."""
    tokens = (*prompt.tokens, *tail)
    first = len(prompt.tokens)
    if wanted.echo:
        first = 1
    prefix, rest = tokens[:first], tokens[first:]
    scored: list[float | None] = list(model.score(prefix, [rest])[0]) if rest else []
    others = _others(model, prefix, rest, wanted.logprobs)
    if wanted.echo and not prompt.hidden:
        rest, scored = (tokens[0], *rest), [None, *scored]
        others = None if others is None else [None, *others]
    seen = prompt.tokens[1:] if prompt.hidden else prompt.tokens
    whole = (*seen, *tail)
    start = len(whole) - len(rest)
    offsets = _offsets(tokenizer, whole)[start:]

    def name(token: int) -> str:
        return f"token_id:{token}" if wanted.as_ids else spelled(tokenizer, token)

    tops: list[dict[str, float] | None] = []
    for token, logprob, other in zip(rest, scored, others or (), strict=others is not None):
        own = {name(token): logprob} if wanted.logprobs and logprob is not None else {}
        tops.append(None if other is None else {name(i): p for i, p in reversed(other)} | own)
    places = [max(0, offset - begin) for offset in offsets]
    kept = len(rest) if cut is None else sum(place < cut for place in places)
    return Logprobs(
        [name(t) for t in rest][:kept], scored[:kept], None if others is None else tops[:kept], places[:kept]
    )


def _others(
    model: LanguageModel, prefix: Tokens, rest: Tokens, k: int | None
) -> list[list[tuple[int, float]] | None] | None:
    """The k likeliest tokens in each place; None where the engine cannot tell, as the remote one."""
    if not k or not rest:
        return [[] for _ in rest]
    ask: Any = getattr(model, "likeliest", None)
    return None if ask is None else list(ask(prefix, rest, k))


def _offsets(tokenizer: Tokenizer, tokens: Sequence[int]) -> list[int]:
    """Where each token's text begins. A character of several bytes begins where its first byte stands."""
    offsets, text, pending = [], 0, []
    parts: list[int] = []
    for token in tokens:
        offsets.append(text)
        parts.append(token)
        piece = spelled(tokenizer, token)
        if piece.startswith("bytes:"):
            pending.append(token)
            decoded = tokenizer.decode(pending)
            if "\ufffd" in decoded and len(pending) < 4:
                continue
            text += len(decoded)
        else:
            text += len(piece)
        pending = []
    first = spelled(tokenizer, tokens[0]) if tokens else ""
    lead = int(first.startswith(" "))  # SentencePiece's own space before a text is not part of it
    return [max(0, offset - lead) for offset in offsets]


def spelled(tokenizer: Tokenizer, token: int) -> str:
    """A token's text, a byte as OpenAI writes one; control symbols have none."""
    if tokenizer.is_symbol(token):
        return ""
    piece = tokenizer.piece(token)
    if piece.startswith("<0x") and piece.endswith(">"):
        return f"bytes:\\x{piece[3:5].lower()}"
    return piece.replace("\u2581", " ")


def _common(left: str, right: str) -> str:
    """What two texts begin with alike."""
    end = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    return left[:end]
