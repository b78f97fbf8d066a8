"""The turns of a corpus, chunk by chunk, as judges read them: each with its context, what neighbours share once.

Takes files of dialogs and a grammar, gives trees of tokens. Knows nothing of models.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count, groupby, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

from openlamda.corpus.readers import read_lines
from openlamda.corpus.rows import Talk
from openlamda.corpus.shapes import read_row
from openlamda.dialog.stretches import contexts
from openlamda.engine.base import TextTree, Tokens
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar

REPLY_TOKENS = 256  # a longer reply is left out


@dataclass(frozen=True)
class Turned:
    """A turn of a dialog that answers something."""

    id: str
    dialog: Dialog
    number: int

    @property
    def context(self) -> Dialog:
        """All that was said before."""
        return Dialog(self.dialog.turns[: self.number])

    @property
    def response(self) -> str:
        """What the turn says."""
        return self.dialog.turns[self.number].text


class Chunk(NamedTuple):
    """Some turns that follow each other, and what judges read of them."""

    number: int
    seen: int
    left_out: dict[str, int]  # by reason
    judged: list[tuple[Turned, Dialog]]  # with its context; as many as the trees have branches
    trees: list[TextTree]


def turns_of(paths: Iterable[Path], counts: Counter[str]) -> Iterator[Turned]:
    """Every agent turn that answers something, of dialogs between two; what is left out is counted by reason. Files are
    read side by side, a row of each in turn, so that the first turns are from all of them.

    Raises UserError that names file and line for a row that cannot be read.
    """
    for rows in zip_longest(*(read_lines(path) for path in paths)):
        for place, row in filter(None, rows):
            said = next((row[key] for key in ("turns", "messages") if isinstance(row.get(key), list)), ())
            named = (turn.get("speaker") for turn in said if isinstance(turn, dict))
            speakers = {name for name in named if isinstance(name, str)}
            if len(speakers) > 2:
                counts["dialogs of more than two speakers"] += 1
                continue
            try:
                read = read_row(row, place)
            except UserError as error:
                raise UserError(f"{place}: {error}") from None
            if not isinstance(read, Talk):
                counts["rows that are no dialog"] += 1
                continue
            for n, turn in enumerate(read.dialog.turns):
                if n and turn.author == "agent":
                    yield Turned(f"{read.id}#{n}", read.dialog, n)


def chunks_of(
    turns: Iterator[Turned], size: int, window: int, grammar: Grammar, done: Callable[[int], bool]
) -> Iterator[Chunk]:
    """Chunks of `size` turns, whose contexts are cut to `window` tokens by `stretches.contexts`; one that is `done`
    already is empty.
    """

    @lru_cache(maxsize=1024)  # a turn is in the context of all those that follow
    def tokens_of(turn: Turn) -> Tokens:
        return grammar.context(Dialog((turn,))).tokens

    def tokens(dialog: Dialog) -> int:
        return sum(len(tokens_of(turn)) for turn in dialog.turns)

    between = grammar.judge(Dialog()).tokens
    for number in count():
        some = list(islice(turns, size))
        if not some:
            return
        left_out = Counter[str]()
        judged, texts = [], []
        for turn, context in () if done(number) else _shown(some, tokens, window):
            reply = grammar.reply(turn.response)
            if not reply or len(reply) > REPLY_TOKENS:
                left_out["empty replies" if not reply else f"replies of more than {REPLY_TOKENS} tokens"] += 1
                continue
            judged.append((turn, context))
            texts.append((tuple(chain.from_iterable(map(tokens_of, context.turns))), between + reply))
        yield Chunk(number, len(some), dict(left_out), judged, trees_of(texts))


def _shown(turns: Iterable[Turned], size: Callable[[Dialog], int], window: int) -> Iterator[tuple[Turned, Dialog]]:
    """Each turn with the context that is judged with it."""
    for _, group in groupby(turns, key=lambda turn: id(turn.dialog)):
        of_dialog = {turn.number: turn for turn in group}
        dialog = next(iter(of_dialog.values())).dialog  # whole: its stretches do not depend on where a chunk begins
        for number, context in contexts(dialog.turns, size, window):
            if number in of_dialog:
                yield of_dialog[number], context


def trees_of(texts: Iterable[tuple[Tokens, Tokens]]) -> list[TextTree]:
    """Contexts and what follows each; a context that goes on from the one before shares its beginning."""
    trees: list[TextTree] = []
    for context, after in texts:
        branch = (len(context), after)
        if trees and context[: len(trees[-1].trunk)] == trees[-1].trunk:
            trees[-1] = TextTree(context, (*trees[-1].branches, branch))
        else:
            trees.append(TextTree(context, (branch,)))
    return trees
