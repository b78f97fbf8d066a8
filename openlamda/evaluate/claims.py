"""Claims about the outside world and their support, by a rule that anybody can check. Marked "automatic" where shown.

A reply makes a claim where it has a number or a name (a capitalised word that does not open a sentence) that the
context has not. The claim is supported where all such numbers and names stand in the knowledge. The rule misses claims
without numbers and names, and takes made-up people for claims: it is a stand-in for raters, not a replacement.
"""

import re
from collections.abc import Sequence

_MARK = re.compile(r"\[\d+\]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<![.!?:\n] )(?<=[\w,;)\"'] )[A-Z][\w'-]+")
_NOT_NAMES = frozenset(("I", "I'm", "I'd", "I'll", "I've", "OK", "Ok", "Yes", "No"))


def claimed(reply: str, context: Sequence[str]) -> set[str]:
    """Numbers and names that the reply adds to the context. Marks such as [1] are none."""
    said = _MARK.sub("", reply)
    names = {name.removesuffix("'s") for name in _NAME.findall(said) if name not in _NOT_NAMES}
    found = {_plain(word) for word in {*names, *_NUMBER.findall(said)}}
    return found - _words(context)


def supported(claims: set[str], knowledge: Sequence[str]) -> bool:
    """Whether there are claims, and all stand in the knowledge."""
    return bool(claims) and claims <= _words(knowledge)


def _words(texts: Sequence[str]) -> set[str]:
    words = {word.removesuffix("'s") for text in texts for word in re.findall(r"\d+(?:[.,]\d+)*|[\w'-]+", text)}
    return {_plain(word) for word in words}


def _plain(word: str) -> str:
    return word.replace(",", "").casefold()
