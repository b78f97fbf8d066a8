"""The outermost layer: every request gets an id, every answer its security headers, a line in the log and a place in
the figures; whatever goes wrong below becomes one clear error.
"""

import logging
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openlamda.engine.base import Cancelled
from openlamda.serve.errors import ApiError, as_api_error
from openlamda.serve.parts import Parts

log = logging.getLogger("openlamda.serve")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
LOCAL = ("localhost", "127.0.0.1", "::1")
WHILE_DRAINING = ("/healthz", "/readyz", "/metrics")


def report(error: BaseException) -> ApiError:
    """A fault of ours: all of it for the log, a number to name it by for the caller."""
    number = secrets.token_hex(4)
    log.error("a request failed", exc_info=error, extra={"fault": number})
    return ApiError(500, f"the server failed; its log knows more under {number}", code="internal")


def _check_name(host: str) -> None:
    """Raises ApiError where a request names another host than this machine: a site whose name was made to lead here
    ("DNS rebinding") would be taken for our own page.
    """
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in LOCAL:
        told = "expected localhost; for other names, such as a proxy's, see --require-key and FORWARDED_ALLOW_IPS"
        raise ApiError(403, f"host {host[:100]!r}: {told}", code="unknown_host")


class Front:
    """ASGI around the application."""

    def __init__(self, app: ASGIApp, parts: Parts):
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, request_id = time.perf_counter(), f"req_{secrets.token_urlsafe(12)}"
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                known = {name.lower() for name, _ in message["headers"]}
                added = HEADERS | {"x-request-id": request_id}
                message["headers"] = [
                    *message["headers"],
                    *((n.encode(), v.encode()) for n, v in added.items() if n.encode() not in known),
                ]
            await send(message)

        try:
            if self._parts.draining and scope["path"] not in WHILE_DRAINING:
                raise ApiError(503, "the server is shutting down", code="shutting_down", retry_after=5)
            if self._parts.settings.local:
                _check_name(Headers(scope=scope).get("host", ""))
            await self._app(scope, receive, sent)
        except Exception as error:
            known = as_api_error(error) or report(error)
            if not status:  # else the answer has begun, and the connection ends
                await known.response()(scope, receive, sent)
            elif not isinstance(error, Cancelled):
                raise
        finally:
            self._note(scope, request_id, status, time.perf_counter() - began)

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", "") or "other"
        self._parts.metrics.requests.labels(path, str(status)).inc()
        self._parts.metrics.seconds.labels(path).observe(seconds)
        told: dict[str, Any] = {"request": request_id, "method": scope["method"], "path": path, "status": status}
        log.info("answered", extra=told | {"ms": round(seconds * 1000, 1)})
