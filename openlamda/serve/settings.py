"""What a server is told when it starts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Bounds and rules of a server. Seconds, bytes and counts."""

    require_key: bool = False  # without a key, or a session that began with one, nothing is answered
    hide_candidates: bool = False  # traces leave out the texts of candidates that were not said
    local: bool = False  # only names of this machine are answered to: no other site's page may call itself that
    secure: bool = False  # the page is reached by https alone: its cookie says so
    workers: int = 4  # replies under way at once; the engine draws for all of them together
    most_waiting: int = 64  # replies that may wait for a worker
    deadline: float = 120.0  # from request to reply
    slowest_body: float = 20.0  # until a request's body has come
    max_body: int = 2**20
    max_header: int = 2**15
    max_context: int = 2048  # tokens of a completion's prompt and text
    session_days: int = 365
    sessions_per_minute: int = 30  # new users without a key, from one address
    drain: float = 60.0  # what runs when the server is told to stop may take so long
    warm_again: float = 5.0  # after the model did not reply when it was tried
    roles_every: float = 2.0  # how often role files are looked at
