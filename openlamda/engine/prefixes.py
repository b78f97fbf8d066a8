"""Which prefixes were read: a tree of blocks of tokens, so that texts which begin alike share what was kept of them.

The tree keeps whatever the engine hands it for a block and knows nothing of arrays. What was used longest ago is
dropped first, and never before what follows it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

from openlamda.engine.base import Tokens

BLOCK = 16  # tokens
Kept = TypeVar("Kept")


class Prefixes(Generic[Kept]):
    """At most `most` blocks of BLOCK tokens, each after those before it."""

    def __init__(self, most: int):
        self.most = most
        self._kept: OrderedDict[int, tuple[int, Tokens, Kept]] = OrderedDict()  # the longest unused first
        self._numbers: dict[tuple[int, Tokens], int] = {}  # (number of the block before, or 0; tokens) -> number
        self._last = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, tokens: Tokens) -> list[Kept]:
        """What is kept of the longest known beginning of `tokens`, block by block."""
        path = self._path(tokens)
        self._use(path)
        return [self._kept[number][2] for number in path]

    def add(self, tokens: Tokens, blocks: Sequence[Kept]) -> None:
        """Keep the last `blocks` of the first whole blocks of `tokens`; those before them are known, or were dropped
        meanwhile, and then nothing is kept.
        """
        path, first = self._path(tokens), len(tokens) // BLOCK - len(blocks)
        if len(path) < first:
            return
        for place in range(len(path), len(tokens) // BLOCK):
            before = path[-1] if path else 0
            block = tokens[place * BLOCK : (place + 1) * BLOCK]
            self._last += 1
            self._numbers[before, block] = self._last
            self._kept[self._last] = (before, block, blocks[place - first])
            path.append(self._last)
        self._use(path)
        while len(self._kept) > self.most:
            _, (before, block, _) = self._kept.popitem(last=False)
            del self._numbers[before, block]

    def _path(self, tokens: Tokens) -> list[int]:
        path: list[int] = []
        for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
            number = self._numbers.get((path[-1] if path else 0, tokens[start : start + BLOCK]))
            if number is None:
                break
            path.append(number)
        return path

    def _use(self, path: Sequence[int]) -> None:
        for number in reversed(path):  # so a block was always used later than those after it
            self._kept.move_to_end(number)
