"""What tools answered a short while ago, in memory. Knows nothing of tools: a key, results, a time to live."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

from openlamda.text.dialog import Result

CAPACITY = 512  # queries


class ResultCache:
    """At most `capacity` answers; the one used longest ago goes first. From any thread."""

    def __init__(self, capacity: int = CAPACITY, clock: Callable[[], float] = time.monotonic):
        self._capacity, self._clock = capacity, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, tuple[Result, ...]]] = OrderedDict()

    def get(self, key: Hashable) -> list[Result] | None:
        """What was put under `key`, or None where there is nothing or its time is over."""
        with self._lock:
            until, results = self._kept.get(key, (float("-inf"), ()))
            if until <= self._clock():
                self._kept.pop(key, None)
                return None
            self._kept.move_to_end(key)
            return list(results)

    def put(self, key: Hashable, results: Sequence[Result], seconds: float) -> None:
        """Keep `results` for so many seconds."""
        if seconds <= 0:
            return
        with self._lock:
            self._kept[key] = self._clock() + seconds, tuple(results)
            self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
