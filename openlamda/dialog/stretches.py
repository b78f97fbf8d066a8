"""The contexts of a dialog's replies, cut so that neighbours begin alike: what they share is read once for all.

Takes turns and a measure, gives contexts. Knows nothing of models.
"""

from collections.abc import Callable, Iterator, Sequence

from openlamda.dialog.roles import Role, pin
from openlamda.text.dialog import Dialog, Turn


def contexts(turns: Sequence[Turn], size: Callable[[Dialog], int], window: int) -> Iterator[tuple[int, Dialog]]:
    """The number of each agent turn that answers something, and its context of at most `window` by `size`, which adds
    up over turns.

    A dialog is cut into stretches, whose turns share one beginning. When the next context would exceed the window, the
    beginning moves on: the new context is the newest turns that fit into a quarter of the window. A last turn that is
    larger than that stands alone, and one larger than the window keeps its end.
    """
    shown: tuple[Turn, ...] = ()
    used = 0
    for number, turn in enumerate(turns):
        if number and turn.author == "agent":
            if used > window:
                last, room = Dialog((turns[number - 1],)), window // 4
                newest = Dialog(tuple(turns[:number])) if size(last) <= room else last
                shown = pin(Role(), newest, size, window if newest is last else room).turns
                used = size(Dialog(shown))
            yield number, Dialog(shown)
        shown += (turn,)
        used += size(Dialog((turn,)))
