"""Figures for Prometheus: counts and times, never text. With several replicas on one host, those of all together."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where replicas share figures, as prometheus-client calls it
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._registry = own
        self.requests = Counter("openlamda_requests", "Answers by path and status.", ["path", "status"], registry=own)
        self.seconds = Histogram(
            "openlamda_request_seconds", "Time to the end of an answer.", ["path"], buckets=_SECONDS, registry=own
        )
        self.stages = Histogram(
            "openlamda_stage_seconds", "Time of a reply's stages.", ["stage"], buckets=_SECONDS, registry=own
        )
        self.tokens = Counter("openlamda_tokens", "Tokens read and said.", ["kind"], registry=own)
        self.replies = Counter("openlamda_replies", "Replies by how they ended.", ["finish_reason"], registry=own)
        self.dropped = Counter("openlamda_dropped_candidates", "Candidates that were dropped.", ["why"], registry=own)
        self.refused = Counter("openlamda_refused", "Requests refused, by why.", ["why"], registry=own)
        self.waiting = Gauge(
            "openlamda_waiting", "Replies that wait for a worker.", registry=own, multiprocess_mode="livesum"
        )
        self.under_way = Gauge(
            "openlamda_under_way", "Replies that run or wait.", registry=own, multiprocess_mode="livesum"
        )

    def text(self) -> bytes:
        """All figures in Prometheus' text form."""
        registry = self._registry
        if os.environ.get(FOLDER):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)
