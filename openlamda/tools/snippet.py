"""The stretch of a passage that answers a query, short enough for a model, and which of its words were asked for.

Takes a query and a text. Knows no index: every backend's passages are cut in the same way.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from itertools import accumulate

LENGTH = 450  # characters: at most 160 tokens of the shipped tokenizer for nine English snippets in ten
STOP = frozenset(
    "a an the of is are was were be been do does did has have had in on at to for from by with and or as it its this "
    "that these those s what which who whom whose when where why how much many about tell me my i you your we".split()
)
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^.!?…]*(?:[.!?…]+(?!\s)[^.!?…]*)*[.!?…]*[\"'”’)\]]*\s*")
_ENDINGS = tuple("ational ations ation ingly edly ings ies ing ied ers ed es er ly s".split())


@lru_cache(2**16)
def stem(word: str) -> str:
    """The word without case, accents and common English endings, so that `wrote it in` meets `Writing`'s kin."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
    if plain.isascii() and not plain.isdigit():
        ending = next((end for end in _ENDINGS if plain.endswith(end) and len(plain) - len(end) >= 3), "")
        plain = plain[: len(plain) - len(ending)]
    return plain.removesuffix("e") if len(plain) > 3 else plain


def stems(query: str) -> set[str]:
    """The stems of a query's words, those that say little left out where others are there."""
    words = [word.casefold() for word in _WORD.findall(query[:2000])]
    return {stem(word) for word in words if word not in STOP} or {stem(word) for word in words}


def marks(query: str, text: str) -> list[tuple[int, int]]:
    """(start, end) of each word of `text` that was asked for."""
    asked = stems(query)
    return [match.span() for match in _WORD.finditer(text) if stem(match[0]) in asked]


def cut_around(query: str, text: str, length: int = LENGTH) -> str:
    """At most `length` characters of `text` on one line: the neighbouring sentences with most of what was asked.

    A word counts the more the rarer it is in the text. What is cut off leaves an ellipsis.
    """
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    room = length - 4  # for the ellipses
    units = [unit for sentence in _SENTENCE.findall(text) if sentence for unit in _shorter(sentence, room)]
    places = [0, *accumulate(map(len, units))]  # where each unit begins, and the end
    hits = [(start, stem(text[start:end])) for start, end in marks(query, text)]
    first, last = _filled(_densest(places, hits, room), places, hits, room)
    cut = text[places[first] : places[last]].strip()
    return f"{'… ' if first else ''}{cut}{' …' if last < len(units) else ''}"


def _densest(places: list[int], hits: list[tuple[int, str]], room: int) -> tuple[int, int]:
    """From which unit to which the words asked for weigh most, the earliest of equals."""
    often = Counter(word for _, word in hits)
    best, most, first = (0, 0), -1.0, 0
    for last in range(1, len(places)):
        while places[last] - places[first] > room:
            first += 1
        weight = sum(1 / often[word] for word in {word for at, word in hits if places[first] <= at < places[last]})
        if weight > most + 1e-9:
            best, most = (first, last), weight
    return best


def _shorter(sentence: str, room: int) -> list[str]:
    """A sentence, or its parts between words where it is too long."""
    parts = []
    while len(sentence) > room:
        cut = sentence.rfind(" ", 0, room) + 1 or room
        parts.append(sentence[:cut])
        sentence = sentence[cut:]
    return [*parts, sentence]


def _filled(window: tuple[int, int], places: list[int], hits: list[tuple[int, str]], room: int) -> tuple[int, int]:
    """The window from its first unit with a hit on, filled up with what follows, where an answer is likely to be."""
    first, last = window
    while first < last - 1 and not any(places[first] <= at < places[first + 1] for at, _ in hits):
        first += 1
    while last < len(places) - 1 and places[last + 1] - places[first] <= room:
        last += 1
    while first > 0 and places[last] - places[first - 1] <= room:
        first -= 1
    return first, last
