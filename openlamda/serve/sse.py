"""Server-sent events: bytes of one event after another, and a comment where there is nothing to say for a while."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from starlette.responses import StreamingResponse

PING = 10.0  # seconds
COMMENT = b": still here\n\n"
DONE = b"data: [DONE]\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_PIECE = re.compile(r"\s*\S+\s*")


def event(value: Any, name: str = "") -> bytes:
    """One event; JSON has no line ends within it."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + msgspec.json.encode(value) + b"\n\n"


def pieces(text: str) -> Iterator[str]:
    """A checked text word by word; together they are the text."""
    found = _PIECE.findall(text)
    return iter(found if "".join(found) == text else [text])


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that sends them."""
    return StreamingResponse(events, headers=_HEADERS, media_type="text/event-stream")
