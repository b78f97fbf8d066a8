"""`"hello in French"` -> "Bonjour", by the first backend that knows it: a dictionary, Apertium, a server."""

import os
import re
from collections.abc import Iterator, Sequence

from openlamda.errors import UserError
from openlamda.text.dialog import Result
from openlamda.tools.translation.apertium import Apertium
from openlamda.tools.translation.base import AUTO, CODES, Backend
from openlamda.tools.translation.dictionary import Dictionary

URL, KEY = "OPENLAMDA_TRANSLATE_URL", "OPENLAMDA_TRANSLATE_KEY"  # of a server, in the environment
MAX_LENGTH = 1000  # characters of a query
MAX_WORDS = 8  # of a bare `X in LANGUAGE`, which may be no wish to translate
MAX_OTHERS = 3  # languages besides English that the words may be in, where each is a question to another program
_COMMON = ("es", "fr", "de", "pt", "it", "ru", "ca")  # asked before others
_LANGUAGE = rf"(?P<target>{'|'.join(CODES)})"
_SOURCE = rf"(?P<source>{'|'.join(CODES)})"
_WORDS = r"(?P<words>.+?)"
_ASKED = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"(?:translate|put) {_WORDS}(?: from {_SOURCE})? (?:to|into|in) {_LANGUAGE}",
        r"(?:how|what) (?:do|would|can|should) (?:you|i|we|one|they) (?:say|call) "
        rf"{_WORDS}(?: from {_SOURCE})? in {_LANGUAGE}",
        rf"(?:how to say|how is|say) {_WORDS}(?: said)?(?: from {_SOURCE})? in {_LANGUAGE}",
        rf"what(?:'s| is) (?:the )?{_LANGUAGE} (?:word|translation|expression|phrase)? ?(?:for|of) {_WORDS}",
        rf"(?:the )?{_LANGUAGE} (?:word |translation )?for {_WORDS}",
        rf"what does (?:the {_SOURCE} (?:word |phrase )?)?{_WORDS} mean in {_LANGUAGE}",
        rf"(?:what(?:'s| is) )?(?:the (?:word|phrase) )?{_WORDS} from {_SOURCE} (?:to|into) {_LANGUAGE}",
    )
]
_BARE = re.compile(rf"(?:what(?:'s| is) )?{_WORDS} (?:in|to|into) {_LANGUAGE}", re.IGNORECASE | re.DOTALL)
_QUESTION = re.compile(
    r"(?:who|what|when|where|why|how|which|is|are|was|were|did|does|do|can|has|have)\b", re.IGNORECASE
)
_POLITE = re.compile(r"^(?:(?:please|can you|could you|would you)[, ]+)+|[\s.?!]+$|,? please[.?!]*$", re.IGNORECASE)
_QUOTES = " \"'“”«»‘’.,?!"


def installed() -> list[Backend]:
    """The dictionary, Apertium where it is installed, and the server of OPENLAMDA_TRANSLATE_URL where there is one."""
    backends: list[Backend] = [Dictionary(), Apertium()]
    url = os.environ.get(URL, "")
    if url:
        from openlamda.tools.translation.libretranslate import LibreTranslate  # needs the extra `remote`

        backends.append(LibreTranslate(url, os.environ.get(KEY, "")))
    return backends


class Translator:
    """One result, the translation; no result for what is no wish to translate, or has no translation."""

    name = "translator"

    def __init__(self, backends: Sequence[Backend] | None = None):
        self.backends = installed() if backends is None else list(backends)

    def __call__(self, query: str) -> list[Result]:
        """The translation named by `X in LANGUAGE`, `translate X from LANGUAGE to LANGUAGE` and the like.

        Raises UserError where a backend is broken and no other has a translation.
        """
        if len(query) > MAX_LENGTH:
            return []
        failure: UserError | None = None
        for words, source, target, is_bare in _wishes(query):
            for backend in self.backends:
                if is_bare and backend.name != "dictionary" and not _is_short(words):
                    continue
                try:
                    found = _translated(backend, words, source, target)
                except UserError as error:  # the next backend may know it
                    failure = error
                    continue
                if found:
                    return [Result(found)]
        if failure is not None:
            raise failure
        return []


def _wishes(query: str) -> Iterator[tuple[str, str | None, str, bool]]:
    """Readings of the query: words, source and target as codes, whether nothing but the language says so."""
    text = " ".join(_POLITE.sub("", query.strip()).split())
    for pattern, is_bare in [*((pattern, False) for pattern in _ASKED), (_BARE, True)]:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        groups = match.groupdict()
        source = groups.get("source")
        words = groups["words"].strip(_QUOTES)
        if words:
            yield words, CODES[source.casefold()] if source else None, CODES[groups["target"].casefold()], is_bare


def _is_short(words: str) -> bool:
    return len(words.split()) <= MAX_WORDS and not _QUESTION.match(words)


def _translated(backend: Backend, words: str, source: str | None, target: str) -> str | None:
    """From the named language; else from English; else from the one that the backend says the words are in.

    Where it cannot say, from a few others, where those that know the words agree.
    """
    pairs = backend.pairs()
    sources = [first for first, second in pairs if second == target and source in (None, first)]
    if "en" in sources and (found := backend.translate(words, "en", target)):
        return found
    if AUTO in sources:
        return backend.translate(words, AUTO, target)
    others = sorted((one for one in sources if one != "en"), key=lambda one: (*_COMMON, one).index(one))
    if backend.name != "dictionary":
        others = others[:MAX_OTHERS]
    found = {text for one in others if (text := backend.translate(words, one, target))}
    return found.pop() if len(found) == 1 else None
