"""The remote engine: a server that speaks OpenAI's `/v1/completions`, behind the `LanguageModel` seam. No jax.

Prompts are sent as token ids and never as text, since text that users write could form the names of control symbols.
The logprob of any one token that could come next is read by making the server draw it: a bias picks the token, and what
is reported is the model's own logprob, before the bias. `connect` finds out whether a server can do all this.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from openlamda.engine.base import Candidate, Sampling, Tokens
from openlamda.engine.completions import Answer, Completion, Completions
from openlamda.engine.http import Server
from openlamda.errors import Refusal, UserError
from openlamda.text.tokenizer import Symbol, Tokenizer

AT_ONCE = 16  # requests under way, and continuations in one of them
TOP = 20  # logprobs asked for beside that of the drawn token: vLLM's default limit
ALWAYS, NEVER = 100.0, -100.0  # biases, the limits of OpenAI's API
PLAIN: dict[str, Any] = {
    "top_p": 1.0,
    "min_p": 0.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repetition_penalty": 1.0,  # vLLM's name
    "repeat_penalty": 1.0,  # llama.cpp's
}
"""What servers would otherwise choose for themselves, some of them by a file beside the weights."""
ONE = PLAIN | {"max_tokens": 1, "temperature": 0.0}
SENT = ("top_k", "temperature", "max_tokens", "stop", "banned", "top_p", "min_p")  # of Sampling

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Abilities:
    """What a server can do besides what every server has to."""

    many: bool  # several continuations in one request
    echo: bool  # logprobs of the prompt's own tokens
    stops: bool  # at tokens that it is given, or it tells ids, so that its answers can be cut there


class RemoteLanguageModel:
    """A model on a server. The same arguments give the same candidates only as far as the server keeps that promise."""

    def __init__(self, completions: Completions, tokenizer: Tokenizer, abilities: Abilities):
        self.abilities = abilities
        self._completions, self._tokenizer = completions, tokenizer
        self._url = completions.server.url

    @classmethod
    def connect(
        cls, url: str, tokenizer: Tokenizer, *, model: str = "", api_key: str = "", timeout: float = 120.0
    ) -> "RemoteLanguageModel":
        """The model of a server at `url`, as http://host:8000/v1, whose vocabulary is the tokenizer's.

        Asks a few small requests first. Raises UserError, which says what is missing and what it is needed for.
        """
        server = Server(url, api_key=api_key, timeout=timeout)
        try:
            completions = Completions(server, model)
            return cls(completions, tokenizer, _probe(completions, tokenizer))
        except BaseException:
            server.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self._completions.server.close()

    def sample(self, prefix: Tokens, n: int, sampling: Sampling, seed: int) -> list[Candidate]:
        """`n` continuations of `prefix`. Where the server does not tell all ids, its text is made tokens again by our
        tokenizer, which may cut it otherwise than the model did; `logprob` is then that of what was drawn.
        """
        asked = self._asked(sampling)
        drawn = min(n, 1) if sampling.temperature == 0 else n  # the likeliest is the same each time
        size = AT_ONCE if self.abilities.many else 1

        def part(start: int) -> list[Candidate]:
            count = min(size, drawn - start)
            first = (1000 * seed + start) % 2**31  # those of the next seed's candidates are others
            answer = self._completions.complete(prefix, count, seed=first, **asked)
            return [self._candidate(prefix, completion, sampling) for completion in answer.completions]

        found = [candidate for part in _together(part, range(0, drawn, size)) for candidate in part]
        return found * n if drawn < n else found

    def score(self, prefix: Tokens, continuations: Sequence[Tokens]) -> list[list[float]]:
        """For each continuation, the natural logprob of each of its tokens given all before it: by an echo of the
        prompt where the server has one, else token by token.
        """
        alone = [continuation for continuation in continuations if len(continuation) == 1 or not self.abilities.echo]
        wanted: dict[Tokens, dict[int, None]] = {}
        for continuation in alone:
            for place, token in enumerate(continuation):
                wanted.setdefault(prefix + continuation[:place], {})[token] = None
        found = dict(zip(wanted, _together(lambda prompt: self._next(prompt, wanted[prompt]), wanted), strict=True))

        def scores(continuation: Tokens) -> list[float]:
            if len(continuation) > 1 and self.abilities.echo:
                return _echo(self._completions, prefix, continuation)
            return [found[prefix + continuation[:place]][token] for place, token in enumerate(continuation)]

        return _together(scores, continuations)

    def rate(
        self, prefix: Tokens, replies: Sequence[Tokens], questions: Sequence[Tokens], yes: int, no: int
    ) -> list[list[float]]:
        """The gap of `yes` and `no` for each reply and question, a request or two for each."""
        prompts = [prefix + reply + question for reply in replies for question in questions]
        found = iter(_together(lambda prompt: self._next(prompt, (yes, no)), prompts))
        return [[(rating := next(found))[yes] - rating[no] for _ in questions] for _ in replies]

    def _asked(self, sampling: Sampling) -> dict[str, Any]:
        """A request's fields. Raises UserError for what a server cannot be asked for."""
        values = vars(sampling)
        for field in fields(sampling):
            if field.name not in SENT and values[field.name] != field.default:
                raise UserError(
                    f"{self._url}: sampling by {field.name} = {values[field.name]!r} is for local models, expected"
                    f" {field.default!r}"
                )
        if Symbol.EOS not in sampling.stop + sampling.banned:
            raise UserError(f"{self._url}: sampling does not stop at EOS, expected it: a server always does")
        return PLAIN | {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_k": min(sampling.top_k, self._tokenizer.vocab_size),
            "stop_token_ids": sampling.stop,  # where they are passed over, what follows is cut off here
            "logit_bias": {str(token): NEVER for token in sampling.banned},
            "logprobs": 1,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
        }

    def _candidate(self, prefix: Tokens, completion: Completion, sampling: Sampling) -> Candidate:
        if not completion.whole:
            return self._mended(prefix, completion, sampling)
        said, steps, stopped = completion.tokens, completion.steps, completion.stopped
        if said is not None:
            end = next((place for place, token in enumerate(said) if token in sampling.stop), len(said))
            tokens, steps, stopped = said[:end], steps[: end + 1], stopped or end < len(said)
        elif self.abilities.stops or set(sampling.stop) <= {Symbol.EOS}:
            tokens = self._cut(completion.text, sampling)
        else:
            raise UserError(f"{self._url}: tells no ids and stops at EOS alone, expected one of them: queries need it")
        for token in tokens:
            if not 0 <= token < self._tokenizer.vocab_size or token in sampling.banned:
                raise UserError(f"{self._url}: drew token {token}, which is banned or not in the vocabulary")
        logprobs = [step.logprob for step in steps if step.logprob is not None]
        if len(logprobs) < len(steps) or (tokens and not steps):
            raise UserError(f"{self._url}: {len(logprobs)} logprobs for {len(tokens)} tokens, expected one for each")
        return Candidate(tokens, sum(logprobs), stopped)

    def _mended(self, prefix: Tokens, completion: Completion, sampling: Sampling) -> Candidate:
        """A candidate with bytes that llama.cpp did not tell: by what it spells, up to a stop token."""
        text, ending = "", (int(Symbol.EOS),) if completion.stopped else ()
        for step in completion.steps:
            if step.token is not None and step.token in sampling.stop:
                ending = (step.token,)
                break
            text += step.name
        tokens = self._cut(text, sampling)
        return Candidate(tokens, sum(self.score(prefix, [tokens + ending])[0]), bool(ending))

    def _cut(self, text: str, sampling: Sampling) -> Tokens:
        return tuple(self._tokenizer.encode(text.removeprefix(" ")))[: sampling.max_tokens]  # it adds a space itself

    def _next(self, prompt: Tokens, wanted: Iterable[int]) -> dict[int, float]:
        """The logprobs of tokens that could come next."""
        found: dict[int, float] = {}
        for token in wanted:
            if token not in found:
                answer = _forced(self._completions, prompt, token, TOP)
                if not answer.completions[0].steps:  # a byte, which llama.cpp does not tell as drawn, only among all
                    answer = _forced(self._completions, prompt, Symbol.EOS, self._tokenizer.vocab_size)
                found |= _logprobs(answer)
            if token not in found and self.abilities.echo:  # a server that names tokens by their text
                found[token] = _echo(self._completions, prompt, (token,))[0]
            if token not in found:
                piece = self._tokenizer.piece(token)
                raise UserError(
                    f"{self._url}: tells no logprob of {piece}, expected one by token id or by an echo of the prompt:"
                    " judges and research need it"
                )
        return found


def _together(function: Callable[[A], B], values: Iterable[A]) -> list[B]:
    """The function of each value, many at once."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(function, values))


def _forced(completions: Completions, prompt: Tokens, token: int, top: int) -> Answer:
    """What the server tells when it has to draw `token`."""
    bias = {str(int(token)): ALWAYS}
    return completions.complete(prompt, logprobs=top, logit_bias=bias, **ONE)


def _logprobs(answer: Answer) -> dict[int, float]:
    """The logprobs of what could come next that an answer tells."""
    found: dict[int, float] = {}
    for step in answer.completions[0].steps[:1]:
        found |= step.others
        if step.token is not None and step.logprob is not None:
            found[step.token] = step.logprob
    return found


def _echo(completions: Completions, prefix: Tokens, continuation: Tokens) -> list[float]:
    prompt = prefix + continuation
    answer = completions.complete(prompt, logprobs=1, echo=True, **ONE)
    steps = answer.completions[0].steps[len(prefix) : len(prompt)]
    logprobs = [step.logprob for step in steps if step.logprob is not None]
    if len(logprobs) != len(continuation):
        raise UserError(f"{completions.server.url}: an echo of {len(logprobs)} logprobs, expected {len(continuation)}")
    return logprobs


def _probe(completions: Completions, tokenizer: Tokenizer) -> Abilities:
    """What a server can do. Raises UserError where it lacks what every reply needs."""
    url = completions.server.url
    prompt = (int(Symbol.USER_TURN), *tokenizer.encode("hello"), int(Symbol.RESPONSE))
    _check_prompt(completions, prompt)
    token = next(i for i in reversed(range(tokenizer.vocab_size)) if tokenizer.decode([i]).strip().isalpha())
    answer = _forced(completions, prompt, token, 1)
    first = answer.completions[0]
    if not first.steps or first.steps[0].logprob is None:
        raise UserError(f"{url}: answers without logprobs, expected them: candidates, judges and research need them")
    expected, said = tokenizer.decode([token]).strip(), first.text.strip()
    if first.tokens is not None and first.tokens != (token,):
        raise UserError(f"{url}: passes over logit_bias, expected it obeyed: it keeps control symbols out of replies")
    if said != expected:
        raise UserError(
            f"{url}: {said!r} for token {token}, which is {expected!r} in tokenizer.model; expected a server that has"
            " the same vocabulary and obeys logit_bias"
        )
    logprob = first.steps[0].logprob
    if logprob > -0.01:
        raise UserError(f"{url}: logprobs are told after logit_bias, expected the model's own (vLLM: raw_logprobs)")
    many = not answer.hides_pieces and _can(lambda: completions.complete(prompt, AT_ONCE, **ONE | {"temperature": 1.0}))
    echo = _can(lambda: abs(_echo(completions, prompt, (token,))[0] - logprob) < 0.1)
    snippet = {"logit_bias": {str(int(Symbol.SNIPPET)): ALWAYS}, "stop_token_ids": [Symbol.SNIPPET], "max_tokens": 2}
    stops = first.tokens is not None or _can(
        lambda: completions.complete(prompt, **ONE | snippet).completions[0].stopped
    )
    return Abilities(many, echo, stops)


def _check_prompt(completions: Completions, prompt: Tokens) -> None:
    """Raises UserError where a server does not read a prompt of ids as these ids."""
    why = "control symbols can only be sent as ids, since text could form them"
    try:
        read = completions.complete(prompt, **ONE).prompt_tokens
    except Refusal as refusal:
        if refusal.status not in (400, 422, 500, 501):  # not that: the key, the path, the name of the model
            raise
        raise UserError(f"{refusal}; expected a server that takes a prompt of token ids: {why}") from None
    if read != len(prompt):
        raise UserError(
            f"{completions.server.url}: read {read} tokens of a prompt of {len(prompt)} ids, expected these ids: {why}"
        )


def _can(ask: Callable[[], object]) -> bool:
    """Whether a request is answered, and not with False. A server that does not know one says so in many ways."""
    try:
        return ask() is not False
    except UserError:
        return False
