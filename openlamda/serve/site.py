"""The page's files, as they lie in web/: each with a hash, so that a browser asks whether it still has the newest."""

import hashlib
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from openlamda.serve.errors import ApiError

WEB = Path(__file__).parent / "web"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
Files = dict[str, tuple[bytes, str, str]]


def read_files(folder: Path = WEB) -> Files:
    """Path below the folder -> (bytes, content type, ETag). What is not here does not exist, whatever a path says."""
    found: Files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            text = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
            name = path.relative_to(folder).as_posix()
            found[name] = content, text, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return found


async def index(request: Request) -> Response:
    """GET /."""
    return _file(request, "index.html")


async def static(request: Request) -> Response:
    """GET /static/{path}."""
    return _file(request, request.path_params["path"])


def _file(request: Request, name: str) -> Response:
    files: Files = request.app.state.files
    if name not in files:
        raise ApiError(404, "there is no such file", code="not_found")
    content, kind, etag = files[name]
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in [given.strip().removeprefix("W/") for given in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)
