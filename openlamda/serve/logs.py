"""Logs as JSON, one object a line, without what people said: e-mail addresses, telephone numbers, card numbers and
addresses of machines are masked wherever they stand, and nothing logs a request's body or headers.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from openlamda.corpus.pii import mask

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """A record as one masked JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": masked(record.getMessage()),
        }
        said |= {name: masked(value) for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            said["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(said, ensure_ascii=False, default=str)


def masked(value: Any) -> Any:
    """Text in which personal data is masked; other plain values as they are."""
    if isinstance(value, str):
        return mask(value)
    return value if isinstance(value, int | float | None) else mask(str(value))


def log_as_json(level: int = logging.INFO) -> None:
    """Everything that is logged goes to standard error, as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # httpx2 tells the addresses that it asks for, with what somebody looks up in them
    for name in ("alembic", "httpcore2", "httpx2", "jax", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
