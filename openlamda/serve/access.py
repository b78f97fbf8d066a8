"""Who asks, by an API key or by the page's cookie, and whether they may, and how much."""

import asyncio
import hashlib
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from openlamda.serve.errors import ApiError
from openlamda.serve.parts import Parts, parts_of
from openlamda.store.records import Key, KeyLimits

P = ParamSpec("P")
T = TypeVar("T")
COOKIE = "openlamda"
CSRF = "X-Openlamda"
SECRET = "olk_"


@dataclass(frozen=True)
class Caller:
    """The user that a request is answered and kept for, and the key it came with."""

    user_id: str
    key: Key | None = None
    name: str = ""

    @property
    def who(self) -> str:
        """For logs: an id, never a secret."""
        return self.key.id if self.key else self.user_id


async def stored(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What a method of the store gives, which blocks, from a thread."""
    return await asyncio.to_thread(call, *arguments, **named)


def bearer(request: Request) -> str:
    """The key that a request shows, or ""."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


async def by_key(request: Request, scope: str) -> Caller:
    """Whoever calls the API. Raises ApiError where they may not.

    Where no key is required, one that is not of our form is passed over: clients insist on sending something.
    """
    parts, secret = parts_of(request), bearer(request)
    if not secret.startswith(SECRET) and not parts.settings.require_key:
        return Caller(await stored(parts.store.nobody))
    if not secret:
        raise ApiError(401, "no API key, expected Authorization: Bearer olk_...", code="invalid_api_key")
    return await with_secret(parts, secret, scope)


async def with_secret(parts: Parts, secret: str, scope: str) -> Caller:
    """Whoever has this key. Raises ApiError where it is none, or not for this."""
    key = await stored(parts.store.key_of, secret) if secret.startswith(SECRET) and secret.isascii() else None
    if key is None:
        await _refused(parts, "key", "")
        raise ApiError(401, "the API key is not valid, or not any more", code="invalid_api_key")
    if scope not in key.scopes:
        await _refused(parts, "scope", key.id)
        raise ApiError(403, f"the API key is not for {scope}", code="missing_scope")
    return Caller(key.user_id, key, key.name)


async def _refused(parts: Parts, why: str, key_id: str) -> None:
    """Counts a refused key, and notes one for the audit log if none was in the last minute: no flood shall fill it."""
    parts.metrics.refused.labels(why).inc()
    now = time.monotonic()
    if now - parts.noted.get(why, -math.inf) >= 60:
        parts.noted[why] = now
        await stored(parts.store.audit, "server", f"key.refused.{why}", key_id, {})


async def may(parts: Parts, caller: Caller) -> None:
    """Counts a request against its key's limits. Raises ApiError (429) where it is one too many."""
    if caller.key is None:
        return
    allowed = await stored(parts.store.allowed, caller.key.id, caller.key.limits)
    if not allowed.ok:
        parts.metrics.refused.labels(allowed.reason or "limit").inc()
        message = f"the API key's limit of {allowed.reason or 'use'} is reached"
        raise ApiError(429, message, code="rate_limit_exceeded", retry_after=max(1.0, allowed.retry_after))


async def spend(parts: Parts, caller: Caller, tokens: int) -> None:
    """Counts what a request took against its key's day."""
    if caller.key is not None:
        await stored(parts.store.spend, caller.key.id, tokens)


async def by_cookie(request: Request) -> Caller:
    """Whoever has the page open. Raises ApiError where there is no session, or a request that changes something could
    be another site's.
    """
    if request.method not in ("GET", "HEAD") and request.headers.get(CSRF) != "1":
        raise ApiError(403, f"expected the header {CSRF}: 1", code="csrf")
    parts, token = parts_of(request), request.cookies.get(COOKIE, "")
    session = await stored(parts.store.session, token) if token and token.isascii() else None
    if session is None:
        raise ApiError(401, "no session, expected POST /api/session first", code="no_session")
    user, key = session.user, None
    if session.key_id is not None or parts.settings.require_key:
        key = await stored(parts.store.key, session.key_id or "")
        if key is None:
            message = "the API key that this session began with is not valid any more"
            raise ApiError(401, message, code="invalid_api_key")
    return Caller(user.id, key, user.name)


async def begin_session(request: Request, key: str | None) -> Response:
    """A new session's cookie: for a key's owner where one is given, else for a new user without a name. Without a key,
    a browser that has a session keeps it: two tabs are one visitor.
    """
    parts = parts_of(request)
    if request.headers.get(CSRF) != "1":
        raise ApiError(403, f"expected the header {CSRF}: 1", code="csrf")
    if not key:
        with suppress(ApiError):
            await by_cookie(request)
            return Response(status_code=204)
    if key:
        caller = await with_secret(parts, key, "chat")
    elif parts.settings.require_key:
        raise ApiError(401, "this server wants an API key", code="invalid_api_key", param="key")
    else:
        await _may_come(parts, request)
        caller = Caller((await stored(parts.store.new_user)).id)
    lasts = timedelta(days=parts.settings.session_days)
    token = await stored(parts.store.new_session, caller.user_id, lasts, caller.key.id if caller.key else None)
    response = Response(status_code=204)
    options: dict[str, Any] = {"httponly": True, "samesite": "strict", "path": "/", "secure": is_secure(request)}
    response.set_cookie(COOKIE, token, max_age=int(lasts.total_seconds()), **options)
    return response


async def _may_come(parts: Parts, request: Request) -> None:
    """Counts a new user without a name. Raises ApiError (429) where too many come from one address. This machine is not
    counted: it may be a proxy that the server was not told of.
    """
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return
    network = ip_network((address, 64 if address.version == 6 else 32), strict=False)  # whoever has one has a /64
    name = f"from_{hashlib.sha256(str(network).encode()).hexdigest()[:32]}"
    allowed = await stored(parts.store.allowed, name, KeyLimits(parts.settings.sessions_per_minute))
    if not allowed.ok:
        parts.metrics.refused.labels("sessions").inc()
        message = "too many new sessions from this address"
        raise ApiError(429, message, code="rate_limit_exceeded", retry_after=max(1.0, allowed.retry_after))


def is_secure(request: Request) -> bool:
    """Whether the browser came by https."""
    return parts_of(request).settings.secure or request.url.scheme == "https"
