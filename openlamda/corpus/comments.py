"""Comment trees as dialogs, by Meena's miner (Adiwardana et al. 2020, section 3.1).

Takes the comments of some trees, gives for each that has a reply in it the dialog of up to seven turns and the reply.
A message that the filters drop takes its sub-tree with it. Knows no files. All comments are in memory at
once.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openlamda.corpus.rows import Talk
from openlamda.text.dialog import Dialog, Turn

CONTEXT_TURNS = 7
MIN_WORDS, MAX_WORDS = 2, 128  # Meena counts subwords
MIN_ALPHABETIC = 0.7
MAX_REPEATS = 100
MAX_OVERLAP = 0.5  # of the message's runs of three words; Meena says "high" and no number

_URL = re.compile(r"https?://|www\.", re.I)
_WORD = re.compile(r"\w+")
_QUOTE = re.compile(r"^[ \t]*(?:>|&gt;).*\n?", re.M)
_NOBODY = ("", "[deleted]")


@dataclass(frozen=True)
class Comment:
    """One message of a tree; `parent` is None for a root."""

    id: str
    parent: str | None
    author: str
    text: str


def mine(comments: Sequence[Comment], dropped: Counter[str]) -> Iterator[Talk]:
    """(context, reply) dialogs: each comment that stays, after up to seven turns above it; the reply is the agent's.

    `dropped` is filled: reason -> messages. A comment whose parent is not there begins a tree; those in a loop have no
    beginning and are dropped. Neighbours by one author are one turn, so that turns do change sides. Dialogs of one tree
    bear the id of its root before the "#", so that they are held back together.
    """
    known: dict[str, Comment] = {}
    for comment in comments:
        if comment.id in known:
            dropped["id seen before"] += 1
        else:
            known[comment.id] = comment
    children: dict[str | None, list[Comment]] = defaultdict(list)
    for comment in known.values():
        children[comment.parent if comment.parent in known else None].append(comment)
    said = Counter(_plain(comment.text) for comment in known.values())
    waiting = [(comment, comment.id, (), "", False) for comment in reversed(children[None])]
    visited = 0
    while waiting:
        comment, root, above, parent, gone = waiting.pop()
        visited += 1
        text = unquoted(comment.text)
        reason = "below a dropped message" if gone else why_dropped(comment.author, text, parent)
        if not reason and said[_plain(comment.text)] > MAX_REPEATS:
            reason = "repeated message"
        path = above
        if reason:
            dropped[reason] += 1
        else:
            path = _longer(above, comment.author, text)
            if len(path) > 1:
                yield _talk(f"{root}#{comment.id}", path)
        waiting += [(child, root, path, text, bool(reason)) for child in reversed(children[comment.id])]
    if visited < len(known):
        dropped["in a loop"] += len(known) - visited


def why_dropped(author: str, text: str, parent: str) -> str:
    """The reason why a message goes, "" for none: the filters that need no other message but its parent's text."""
    if "bot" in author.casefold():
        return "author is a bot"
    if _URL.search(text):
        return "URL"
    words = len(text.split())
    if words < MIN_WORDS:
        return "message too short"
    if words > MAX_WORDS:
        return "message too long"
    if alphabetic(text) < MIN_ALPHABETIC:
        return "message not alphabetic"
    if overlap(text, parent) > MAX_OVERLAP:
        return "repeats its parent"
    return ""


def unquoted(text: str) -> str:
    """`text` without the lines that quote another (they begin with ">")."""
    return _QUOTE.sub("", text).strip()


def alphabetic(text: str) -> float:
    """Share of letters (with the marks that belong to them) among the characters of `text` that are no space."""
    characters = Counter(text)
    letters = sum(n for character, n in characters.items() if unicodedata.category(character)[0] in "LM")
    seen = sum(n for character, n in characters.items() if not character.isspace())
    return letters / seen if seen else 0.0


def overlap(text: str, parent: str) -> float:
    """Share of the runs of three words of `text` that `parent` has, too; a shorter text is one run."""
    words, others = _WORD.findall(text.casefold()), _WORD.findall(parent.casefold())
    size = min(3, len(words))
    runs, theirs = (
        {tuple(of[i : i + size]) for i in range(len(of) - size + 1)} if size else set() for of in (words, others)
    )
    return len(runs & theirs) / len(runs) if runs else 0.0


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _longer(path: tuple[tuple[str, str], ...], author: str, text: str) -> tuple[tuple[str, str], ...]:
    if path and author == path[-1][0] and author not in _NOBODY:
        return (*path[:-1], (author, f"{path[-1][1]}\n{text}"))
    return (*path[-CONTEXT_TURNS:], (author, text))


def _talk(row_id: str, path: tuple[tuple[str, str], ...]) -> Talk:
    turns = (Turn("user" if (len(path) - i) % 2 == 0 else "agent", text) for i, (_, text) in enumerate(path))
    return Talk(row_id, Dialog(tuple(turns)))
