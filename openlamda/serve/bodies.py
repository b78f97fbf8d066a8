"""A request's body as the value it should be, within bounds of size and time; else an error that names the field."""

import asyncio
import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from openlamda.engine.base import Cancelled
from openlamda.serve.errors import ApiError
from openlamda.serve.parts import parts_of

T = TypeVar("T")
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_FIELD = re.compile(r"missing required field `(\w+)`")


async def body_of(request: Request, kind: type[T]) -> T:
    """The body as a `kind`. Raises ApiError: 408 comes too slowly, 413 too much, 415 no JSON, 400 no `kind`."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != "application/json":  # what a page elsewhere cannot send without asking us first
        raise ApiError(415, f"content type {said or 'none'!r}, expected application/json")
    settings = parts_of(request).settings
    try:
        raw = await asyncio.wait_for(_read(request, settings.max_body), settings.slowest_body)
    except TimeoutError:
        raise ApiError(408, f"the body took longer than {settings.slowest_body:.0f} s") from None
    except ClientDisconnect:
        raise Cancelled("the client left") from None
    return decoded(raw, kind)


def decoded(raw: bytes, kind: type[T]) -> T:
    """JSON as a `kind`. Raises ApiError (400)."""
    try:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError as error:
            if not str(error).startswith("Expected `") or "got `float`" not in str(error):
                raise
            return msgspec.convert(_whole(msgspec.json.decode(raw)), kind)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error)) or _FIELD.search(str(error))
        raise ApiError(400, str(error).replace("$.", "").replace("`$`", "the body"), param=place and place[1]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ApiError(400, f"the body is not JSON: {str(error)[:200]}") from None


def _whole(value: Any) -> Any:
    """The same with 3 for 3.0, which JSON Schema calls an integer."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


async def _read(request: Request, most: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > most:
        raise ApiError(413, f"the body has {declared[:20]} bytes, expected at most {most}")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise ApiError(413, f"the body has more than {most} bytes")
        parts.append(part)
    return b"".join(parts)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON, which no cache keeps."""
    return Response(
        msgspec.json.encode(value), status, {"Cache-Control": "no-store"} | (headers or {}), "application/json"
    )
