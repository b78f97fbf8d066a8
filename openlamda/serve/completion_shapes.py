"""What goes in and out of /v1/completions, as OpenAI's clients, harnesses and our own remote engine know it."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from openlamda.serve.chat_shapes import (
    MOST_TEXT,
    Name,
    Seed,
    Stop,
    StreamOptions,
    Temperature,
    TopP,
    Usage,
    unsupported,
)

MOST_PROMPTS = 128
MOST_TOP = 20

Token = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Prompt = Annotated[str, Meta(max_length=MOST_TEXT)]
Tokens = Annotated[list[Token], Meta(min_length=1, max_length=16384)]


class CompletionRequest(Struct, kw_only=True):
    """Text or token ids that the model goes on with, unjudged. Ids may be control symbols; text never forms one."""

    prompt: (
        Prompt | Annotated[list[Prompt | Token | Tokens], Meta(min_length=1, max_length=16384)]
    )  # texts, ids, or lists of ids; never mixed
    model: Name = ""
    n: Annotated[int, Meta(ge=1, le=MOST_PROMPTS)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=MOST_PROMPTS)] | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=16384)] | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=16384)] | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None  # 0 or -1: the whole vocabulary
    min_p: Annotated[float, Meta(ge=0, lt=1)] | None = None
    seed: Seed | None = None
    stop: Stop | None = None
    stop_token_ids: Annotated[list[Token], Meta(max_length=64)] | None = None
    ignore_eos: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=MOST_TOP)] | None = None
    echo: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logit_bias: dict[str, float] | None = None  # -100 forbids a token, 100 forbids all others
    return_tokens_as_token_ids: bool | None = None
    return_token_ids: bool | None = None
    user: Name | None = None
    suffix: str | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None

    def refused(self) -> None:
        """Raises ApiError for what cannot be had here."""
        plain: dict[str, tuple[Any, ...]] = {
            "suffix": (None, ""),
            "presence_penalty": (None, 0),
            "frequency_penalty": (None, 0),
            "repetition_penalty": (None, 1),
            "repeat_penalty": (None, 1),
        }
        for name, values in plain.items():
            if getattr(self, name) not in values:
                raise unsupported(name, "not supported, expected it left out")
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise unsupported("best_of", "expected as many as n")


class Logprobs(Struct):
    """Of each token its text (or token_id:N), natural logprob, the likeliest ones in its place (null where the engine
    cannot tell), and where it begins.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(Struct):
    """One completion. `token_ids`, where asked for, ends with the stop token if one was drawn; the text does not."""

    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: Logprobs | None = None
    token_ids: list[int] | UnsetType = UNSET


class Completion(Struct):
    """The answer; pieces of a stream look the same."""

    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    object: Literal["text_completion"] = "text_completion"


class TokenizeRequest(Struct, kw_only=True):
    """Text to be made token ids."""

    prompt: Prompt
    model: Name = ""
    add_special_tokens: bool = True


class Tokenized(Struct):
    """The ids."""

    tokens: list[int]
    count: int
    max_model_len: int


class DetokenizeRequest(Struct, kw_only=True):
    """Ids to be made text."""

    tokens: Annotated[list[Token], Meta(max_length=16384)]
    model: Name = ""


class Detokenized(Struct):
    """The text; control symbols are gone."""

    prompt: str


class TokenizerInfo(Struct):
    """Names of the symbols that begin and end a text."""

    eos_token: str
    bos_token: str
    pad_token: str
    chat_template: str | None = None
