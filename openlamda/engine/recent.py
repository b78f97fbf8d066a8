"""What was used lately, as much as a number of bytes holds."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A dict that forgets what was used longest ago, so that all but the last value kept take at most `most` bytes."""

    def __init__(self, most: int):
        self._most = most
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key) -> Value | None:
        """The value kept, now the last one used."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def __iter__(self) -> Iterator[Key]:
        """The keys; none is used by that."""
        return iter(self._kept)

    def keep(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of so many bytes."""
        self._bytes += size - self._kept.pop(key, (None, 0))[1]
        self._kept[key] = (value, size)
        while self._bytes > self._most and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][1]
