"""Whether a reply helps and stays in its role, by rules that anybody can check. Marked "automatic" where shown.

Takes a context whose row says what would help, and a reply with what it cites; gives True, False, or None where a rule
cannot judge. Words and addresses are read, not sense: a stand-in for raters, not a replacement.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from openlamda.dialog.markdown import link
from openlamda.dialog.support import MARK, sentences
from openlamda.evaluate.contexts import Context
from openlamda.evaluate.systems import Said
from openlamda.text.stated import Passage, Stated, missing, stated

_LINK = re.compile(r"\[([^\[\]\n]+)\]\(((?:[^()\s]|\([^()\s]*\))+)\)")
_QUERIES = ("search_query", "q", "query")  # of addresses that search for what a link is named after
_TO_BE = re.compile(
    r"\b(?:[Ii] am|[Ii]['’]m|[Mm]y name is|[Mm]y name['’]s)(?: just| only| really| actually| still)?"
    r" (?!(?:an? (?:\w+ )?(?:bit|little|lot|few|fan)|OK|Okay)\b)"
    r"((?:an?|[A-Z][\w'’-]*)\b[^.,;:!?\n]*?)(?= and | but |[.,;:!?\n]|$)"
)
_OTHER = re.compile(  # what neither a mountain nor a guide has or is
    r"\bas an? (?:ai|assistant|(?:large )?language model|person|human)\b"
    r"|\b(?:my|our) (?:\w+ )?(?:wife|husband|girl ?friend|boy ?friend|kids?|child|children|sons?|daughters?|mom|mum"
    r"|mother|dad|father|parents|brothers?|sisters?|uncle|aunt|job|boss|school|college|homework|dogs?|cats?|car|hair"
    r")\b|\bi (?:work (?:at|for|as|in)|grew up|went to (?:school|college|work)|drive (?:a|to|my))\b"
    r"|\bwhen i was (?:a|an|young|little|in)\b|\bi(?: am|['’]m) \d{1,2} years old\b",
    re.IGNORECASE,
)


def helpful(context: Context, said: Said) -> bool | None:
    """As the row wants it. "facts": the reply states something new out of the context's knowledge, and nothing new that
    neither that nor a passage it cites has. "link": it names a piece with a link that leads there. None: other rows.
    """
    if context.wants == "facts":
        given, known = _given(context), [Passage(text) for text in context.knowledge]
        new = _stated(said.text, [given])
        return bool(new - _stated(said.text, [given, *known])) and not _stated(said.text, [given, *known, *_read(said)])
    if context.wants == "link":
        found = [_leads(label, url, said) for label, url in _LINK.findall(said.text) if _is_new(label, context)]
        if True in found or _cites_a_piece(context, said):
            return True
        return None if None in found else False
    return None


def consistent(context: Context, said: Said) -> bool | None:
    """False: the reply is empty, claims to be something else, or, asked something, has no word of the role's topic and
    does not help. None: small talk that says nothing against the role and nothing for it, or the rule that tells people
    that they talk to a machine.
    """
    if said.trace.get("rule"):
        return None
    words = "|".join(map(re.escape, context.topic)) or "(?!)"
    topic = re.compile(rf"\b(?:{words})(?:s|es|er|ers|ed|ing)?\b", re.IGNORECASE)
    to_be = any(not topic.search(what) for what in _TO_BE.findall(said.text))
    if not said.text.strip() or to_be or _OTHER.search(said.text):
        return False
    if topic.search(said.text) or helpful(context, said):
        return True
    return False if context.wants else None


def _given(context: Context) -> Passage:
    """What was said before, the role's own turns among it: to repeat that is neither an answer nor a recommendation."""
    return Passage(_before(context), context.role.name if context.role else "")


def _before(context: Context) -> str:
    preface = context.role.preface if context.role else ()
    return "\n".join(turn.text for turn in (*preface, *context.dialog.turns))


def _stated(reply: str, passages: Sequence[Passage]) -> frozenset[str]:
    """The numbers, dates and names of a reply that no passage has."""
    return frozenset().union(*(missing(stated(part), passages) for part in sentences(MARK.sub("", reply))))


def _read(said: Said) -> list[Passage]:
    """The web pages' passages that the reply cites."""
    found = [result for asked in said.trace.get("research", ()) for result in asked["results"]]
    cited = [each for each in found if each["url"] in said.sources and link(each["url"])]
    return [Passage(each["text"], each["title"] or "") for each in cited]


def _is_new(label: str, context: Context) -> bool:
    words = _words(label)
    return bool(words) and f" {' '.join(words)} " not in f" {' '.join(_words(_before(context)))} "


def _leads(label: str, url: str, said: Said) -> bool | None:
    """Whether a link leads to what it is named after: an address that was looked up, or a search for just that. None
    for another web page, which a rule cannot open.
    """
    if link(url) is None or "." not in (urlsplit(url).hostname or ""):
        return False
    asked = parse_qs(urlsplit(url).query, keep_blank_values=True)
    for name in _QUERIES:
        if name in asked:
            return _words(asked[name][0]) == _words(label)
    return True if url in said.sources else None


def _cites_a_piece(context: Context, said: Said) -> bool:
    """Whether a new name in the reply stands in a cited passage that has a word of the role's topic."""
    given, about = _given(context), Stated(names=frozenset(word.casefold() for word in context.topic))
    new = _stated(said.text, [given])
    return any(passage.has(about) and new - _stated(said.text, [given, passage]) for passage in _read(said))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
