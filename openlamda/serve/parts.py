"""What every handler works with, put together once by `create_app`."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from openlamda.serve.agents import Agents
from openlamda.serve.metrics import Metrics
from openlamda.serve.settings import Settings
from openlamda.serve.workers import Workers

if TYPE_CHECKING:
    from openlamda.store.store import Store


@dataclass
class Parts:
    """The server: its rules, who replies, where it is kept. `draining`: it was told to stop, and takes nothing new."""

    settings: Settings
    agents: Agents
    store: "Store"
    workers: Workers
    metrics: Metrics
    draining: bool = False
    warm: bool = False  # the model has replied once, so that what it compiles is there
    noted: dict[str, float] = field(default_factory=dict)  # seconds: the last refused key in the audit log, by why


def parts_of(request: Request) -> Parts:
    """Those of the server that a request came to."""
    return request.app.state.parts
