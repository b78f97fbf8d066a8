"""What goes in and out of /v1/chat/completions, as OpenAI's clients know it. The OpenAPI document is made of these.

Fields that are not named here are passed over. Those that are named and would change the answer in a way that is not
ours are refused where they ask for it (`refused`).
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from openlamda.serve.errors import ApiError

MOST_CHOICES = 8
MOST_MESSAGES = 256
MOST_TEXT = 200_000  # characters

Text = Annotated[str, Meta(max_length=MOST_TEXT)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Stop = Annotated[str, Meta(max_length=200)] | Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=4)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(max_length=200)]


class TextPart(Struct, kw_only=True):
    """A part of a message. Text alone is read: a picture is refused."""

    type: Literal["text", "image_url", "input_audio", "file", "refusal"]
    text: Text = ""


class ChatMessage(Struct, kw_only=True):
    """A message. What a system or developer message says is pinned before the dialog, and never cut."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | Annotated[list[TextPart], Meta(max_length=64)] | None = None
    name: Name | None = None
    tool_calls: Annotated[list[Any], Meta(max_length=128)] | None = None


class StreamOptions(Struct):
    """Options of streaming."""

    include_usage: bool | None = None


class Wishes(Struct):
    """What only openlamda knows."""

    trace: bool = False  # candidates, scores and research with each choice


class ResponseFormat(Struct):
    """Text is what there is."""

    type: Literal["text", "json_object", "json_schema"] = "text"


class ChatRequest(Struct, kw_only=True):
    """A dialog that wants a reply. `n` counts the returned choices; how many candidates are drawn is the server's."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=MOST_MESSAGES)]
    model: Name = ""
    n: Annotated[int, Meta(ge=1, le=MOST_CHOICES)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    seed: Seed | None = None
    stop: Stop | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    user: Name | None = None
    store: bool | None = None
    openlamda: Wishes | None = None
    tools: Annotated[list[Any], Meta(max_length=128)] | None = None
    tool_choice: Any = None
    functions: Annotated[list[Any], Meta(max_length=128)] | None = None
    function_call: Any = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    logit_bias: dict[str, float] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    modalities: Annotated[list[Literal["text", "audio"]], Meta(max_length=2)] | None = None
    audio: Any = None

    def refused(self) -> None:
        """Raises ApiError for what cannot be had here."""
        why = {
            "tools": "the agent looks things up with tools of its own; a client's are not supported",
            "tool_choice": "the agent decides itself when it looks something up",
            "functions": "the agent looks things up with tools of its own; a client's are not supported",
            "function_call": "the agent decides itself when it looks something up",
            "logprobs": "a reply is chosen among candidates; their scores come with {'openlamda': {'trace': true}}",
            "logit_bias": "tokens cannot be favoured in a reply; /v1/completions can ban them",
            "presence_penalty": "penalties are not supported",
            "frequency_penalty": "penalties are not supported",
            "audio": "text alone is supported",
        }
        harmless = {"tool_choice": ("none", "auto"), "function_call": ("none", "auto")}
        for name, reason in why.items():
            value = getattr(self, name)
            if value and not (isinstance(value, str) and value in harmless.get(name, ())):
                raise unsupported(name, reason)
        if self.response_format is not None and self.response_format.type != "text":
            raise unsupported("response_format", "replies are text")
        if self.modalities is not None and "audio" in self.modalities:
            raise unsupported("modalities", "text alone is supported")


def unsupported(name: str, why: str) -> ApiError:
    """A field that asks for what cannot be had."""
    return ApiError(400, f"{name}: {why}", param=name, code="unsupported_parameter")


class UrlCitation(Struct):
    """Where `[k]` stands in the content, in characters, and what it names."""

    url: str
    title: str
    start_index: int
    end_index: int


class Annotation(Struct):
    """A citation."""

    url_citation: UrlCitation
    type: Literal["url_citation"] = "url_citation"


class SaidMessage(Struct):
    """The reply."""

    content: str
    annotations: list[Annotation] = []
    refusal: str | None = None
    role: Literal["assistant"] = "assistant"


FinishReason = Literal["stop", "length", "content_filter"]


class Choice(Struct):
    """One choice. `content_filter`: no candidate was safe, and the role's safe reply is said."""

    index: int
    message: SaidMessage
    finish_reason: FinishReason
    logprobs: None = None
    openlamda: dict[str, Any] | UnsetType = UNSET


class Usage(Struct):
    """Tokens of the context that was read, and of what was said."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(Struct):
    """The answer. `citations[k - 1]` is the address that `[k]` in the first choice names."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    citations: list[str] = []
    system_fingerprint: str | None = None
    object: Literal["chat.completion"] = "chat.completion"


class Delta(Struct, omit_defaults=True):
    """What is new."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    annotations: list[Annotation] | UnsetType = UNSET


class ChunkChoice(Struct):
    """A piece of a choice; an empty `delta` says nothing."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None = None
    logprobs: None = None
    openlamda: dict[str, Any] | UnsetType = UNSET


class ChatChunk(Struct):
    """A piece of a streamed answer. `openlamda` has the stage where this piece tells one."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    citations: list[str] | UnsetType = UNSET
    openlamda: dict[str, Any] | UnsetType = UNSET
    system_fingerprint: str | None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
