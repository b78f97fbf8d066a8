"""Whether the passages that a reply cites have what it states: a rule that anybody can check (text/stated.py).

A mark covers its sentence and those before it that have none, back to the last mark; marks alone belong to the sentence
before them, or else to the first. A sentence with a citation is supported where the cited passages, together with what
was computed, have every number, date and name in it: those that the user said, too, since an answer about one thing out
of a passage on another is none. A sentence without a citation is only asked for the source of its numbers and dates.
What has neither number nor date nor name cannot be checked so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from openlamda.text.dialog import Result
from openlamda.text.stated import Passage, Stated, missing, stated

Verdict = Literal["supported", "not in the source", "nothing to check", "no source"]
FAILED = ("not in the source", "no source")
MAX_QUOTE = 300  # characters
MARK = re.compile(r"\s?\[(\d{1,3})\]")
_MARKS = r"(?:\s*\[\d{1,3}\])"
_SENTENCE_END = re.compile(rf"(?<=[.!?…])[\"'”’)]*{_MARKS}*(?=\s+\S)(?!{_MARKS})|(?<=\])(?=\s+[A-Z])|\n+")
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr|vs|No|c|ca|approx|e\.g|i\.e))\.$")


@dataclass(frozen=True)
class Claim:
    """A sentence of a reply, without marks, and whether what it states stands in what it cites."""

    text: str
    cites: tuple[int, ...]
    verdict: Verdict
    missing: tuple[str, ...] = ()  # what the sources do not have

    @property
    def failed(self) -> bool:
        """Whether it states what no source of it has."""
        return self.verdict in FAILED


def claims(reply: str, results: Sequence[Result], given: Sequence[str] = ()) -> list[Claim]:
    """Every sentence of `reply` with its verdict; mark [k] names the k-th of `results`.

    `given` is what the role and the user said.
    """
    computed = [_passage(result.text) for result in results if result.url is None]
    passages = [_passage(result.text, result.title or "") for result in results]
    topic = _passage(" ".join(given))
    found: list[Claim] = []
    leading: tuple[int, ...] = ()  # marks before the first sentence
    for sentence in sentences(reply):
        text = MARK.sub("", sentence).strip()
        cites = tuple(dict.fromkeys(k for k in map(int, MARK.findall(sentence)) if 1 <= k <= len(results)))
        if text:
            found.append(Claim(text, tuple(dict.fromkeys((*leading, *cites))), "nothing to check"))
            leading = ()
        elif found:
            found[-1] = replace(found[-1], cites=tuple(dict.fromkeys((*found[-1].cites, *cites))))
        else:
            leading = cites
        if cites:
            for n in range(len(found) - 2, -1, -1):
                if found[n].cites:
                    break
                found[n] = replace(found[n], cites=cites)
    return [_checked(claim, [passages[k - 1] for k in claim.cites], computed, topic) for claim in found]


def _checked(claim: Claim, cited: Sequence[Passage], computed: Sequence[Passage], topic: Passage) -> Claim:
    what = stated(claim.text)
    if not cited:
        said = topic.has(what)
        what = Stated(what.numbers - said, what.dates - said)
    if not what:
        return claim
    lacking = missing(what, [*cited, *computed])
    if not lacking:
        return replace(claim, verdict="supported")
    return replace(claim, verdict="not in the source" if cited else "no source", missing=tuple(sorted(lacking)))


@lru_cache(maxsize=256)
def _passage(text: str, title: str = "") -> Passage:
    """Sixteen candidates are checked against the same passages."""
    return Passage(text, title)


def sentences(text: str) -> list[str]:
    """The sentences, each with the marks that follow it."""
    found, begin = [], 0
    for end in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[begin : end.start()]):
            found.append(text[begin : end.end()].strip())
            begin = end.end()
    return [sentence for sentence in (*found, text[begin:].strip()) if sentence]


def quote(passage: str, sentence: str) -> str:
    """The sentence of `passage` that has most of what `sentence` states, word for word; "" where none has any of it."""
    what = stated(sentence)
    parts = sentences(passage)
    has = [len(Passage(part).has(what)) for part in parts]
    best = max(has, default=0)
    return parts[has.index(best)][:MAX_QUOTE] if best else ""
