"""What is answered where something went wrong: one shape, that of OpenAI's API, on every path."""

from typing import Any

import msgspec
from starlette.responses import Response

from openlamda.engine.base import Cancelled, Overloaded
from openlamda.errors import UserError
from openlamda.store.records import NotFound, StoreUnavailable

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "engine_error",
    503: "overloaded_error",
    504: "timeout_error",
}
INVALID = "invalid_value"  # fits the description, and cannot be: what the description alone cannot say
STORE_RETRY = 2.0  # seconds


class ApiError(Exception):
    """An answer other than 200: its status, and what the caller should know."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, retry_after: float = 0
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.retry_after = status, message, param, code, retry_after

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}`, as OpenAI's clients read it."""
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """When to come again, where that is known, and how to sign in."""
        found = {"Retry-After": str(max(1, round(self.retry_after)))} if self.retry_after else {}
        return found | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})

    def response(self) -> Response:
        """The answer."""
        return Response(msgspec.json.encode(self.body()), self.status, self.headers(), "application/json")


def as_api_error(error: BaseException) -> ApiError | None:
    """What an exception of the rooms below means to a caller; None where it is a fault of ours."""
    match error:
        case ApiError():
            return error
        case Overloaded():
            return ApiError(429, "the server is busy, try again later", code="busy", retry_after=error.retry_after)
        case StoreUnavailable():
            message = "the store does not answer, nothing was kept; try again"
            return ApiError(503, message, code="store_unavailable", retry_after=STORE_RETRY)
        case NotFound():
            return ApiError(404, "there is no such thing of yours", code="not_found")
        case TimeoutError():
            return ApiError(504, "the reply took too long", code="deadline")
        case Cancelled():
            return ApiError(499, "the request was cancelled", code="cancelled")
        case UserError():  # what callers can mend is checked before the engine is asked
            return ApiError(502, "the engine behind this server does not answer as expected", code="engine")
    return None
