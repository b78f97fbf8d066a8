"""Tokens that follow one another in several ways; equal beginnings are one path."""

from collections.abc import Sequence

import numpy as np

from openlamda.engine.padding import padded_size


class Tree:
    """A tree of tokens. Node 0 is its root: a token that is read, too, or None where the tree's texts begin anew."""

    def __init__(self, root: int | None):
        self._root = root
        self._tokens, self._parents, self._depths = [root or 0], [0], [0]
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def child(self, node: int, token: int) -> int:
        """The node of `token` after `node`."""
        if (node, token) not in self._children:
            self._children[node, token] = len(self._tokens)
            self._tokens.append(token)
            self._parents.append(node)
            self._depths.append(self._depths[node] + 1)
        return self._children[node, token]

    def path(self, node: int, tokens: Sequence[int]) -> int:
        """The last node of `tokens` after `node`."""
        for token in tokens:
            node = self.child(node, token)
        return node

    def arrays(self, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens [N], depths [N], and which nodes each sees: itself and its ancestors [N, N]; N is one of `sizes`.

        Without a root that is read, node n stands at n - 1.
        """
        first = int(self._root is None)
        n = len(self._tokens) - first
        N = padded_size(n, sizes)
        visible_NN = np.eye(N, dtype=bool)
        for node in range(1, n):
            parent = self._parents[node + first] - first
            if parent >= 0:
                visible_NN[node, :n] |= visible_NN[parent, :n]
        filled = np.zeros((2, N), np.int32)
        filled[:, :n] = self._tokens[first:], np.array(self._depths[first:]) - first
        return filled[0], filled[1], visible_NN
