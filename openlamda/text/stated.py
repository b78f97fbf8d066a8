"""What a text states that can be checked without understanding it: numbers, dates, names. Knows nothing of sources.

All come out in one spelling: "1,200" and "1200" are one number, "twelve" and "12", "3 million" and "3,000,000"; "3 May
1990" and "1990-05-03" are one date; names have neither capitals nor diacritics.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_UNITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SPELLED = {word: number for number, word in enumerate(_UNITS + _TEENS)}
_SPELLED |= {word: 10 * number for number, word in enumerate(_TENS, 2)}
_SPELLED_NUMBER = re.compile(  # but not the twenty of twenty-first
    rf"\b(?:({'|'.join(_TENS)})(?:[ \u2010\u2011-]({'|'.join(_UNITS[1:])})\b|\b(?!-(?:first|second|third|\w+th)\b))"
    rf"|({'|'.join(_UNITS + _TEENS)})\b)"
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MONTHS = "January February March April May June July August September October November December".split()
_MONTH_NUMBERS = {name[:3]: number for number, name in enumerate(_MONTHS, 1)}
_MONTH = rf"(?P<name>{'|'.join(_MONTHS)}|(?:{'|'.join((*_MONTH_NUMBERS, 'Sept'))})\b\.?)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = [
    re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)"),
    re.compile(r"(?<![\d.])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})(?!\d)"),
    re.compile(rf"(?<!\d){_DAY}(?: of)? {_MONTH}(?:,? (?P<year>\d{{4}})(?!\d))?"),
    re.compile(rf"\b{_MONTH} {_DAY}(?![\d.]*\d)(?:,? (?P<year>\d{{4}})(?!\d))?"),
    re.compile(rf"\b{_MONTH},? (?P<year>\d{{4}})(?!\d)"),
]
_NUMBER = re.compile(rf"(?<![^\W\d_])((?:(?<![\w.])-)?\d+(?:,\d{{3}})*(?:\.\d+)?)(?:[ -]({'|'.join(_SCALES)})\b)?")
_YEAR_DAY = re.compile(r"^\d{4}|(?<=-\d\d-)\d\d$")  # of a date; its month is no number that a text states
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_OPENERS = frozenset(
    "a about according after all also although an and another any are around as at because before both but by can "
    "did do does during each either every everything first finally for from had has have he her here hers his how "
    "however i if in is it its later many more most much my neither no nobody none nor nothing now of often ok "
    "okay on once one only or our over perhaps she since so some somebody someone something sometimes sorry still "
    "than thanks that the their then there these they this those though through to today under until very was we "
    "well were what when where which while who whose why with would yes yet you your".split()
)
_AFTER_NAMES = frozenset(
    "is was are were has had did died won lost lies lived wrote made built painted composed directed discovered "
    "invented founded designed became".split()
)
_NEVER = frozenset("i i'm i'd i'll i've ok yes no".split())
_PLAIN = str.maketrans("øØłŁđĐıæÆœŒ’", "oolldDiaaoo'")


@dataclass(frozen=True)
class Stated:
    """Numbers, dates and the words of names, in one spelling each."""

    numbers: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.numbers or self.dates or self.names)

    def all(self) -> frozenset[str]:
        """Everything."""
        return self.numbers | self.dates | self.names


def stated(sentence: str) -> Stated:
    """What a sentence states. "one" is no number here, nor is a capital at its beginning a name by itself."""
    dates, rest = _dates(sentence)
    return Stated(frozenset(_numbers(rest, ("zero", "one"))), dates, frozenset(_names(rest)))


class Passage:
    """A text in which what a sentence states is looked for; a `title` counts for names alone."""

    def __init__(self, text: str, title: str = ""):
        self._dates, rest = _dates(text)
        self._numbers = _numbers(rest) | {str(int(part)) for date in self._dates for part in _YEAR_DAY.findall(date)}
        self._words = {piece for word in _WORD.findall(f"{title} {text}") for piece in _pieces(word)}

    def has(self, what: Stated) -> frozenset[str]:
        """That part of what is stated which stands here."""
        dates = (date for date in what.dates if any(_same(date, other) for other in self._dates))
        return (what.numbers & self._numbers) | (what.names & self._words) | frozenset(dates)


def missing(what: Stated, passages: Iterable[Passage]) -> frozenset[str]:
    """That part of what is stated which none of the passages has."""
    return what.all().difference(*(passage.has(what) for passage in passages))


def _same(date: str, other: str) -> bool:
    """Whether a date is another, or the month or the day of the year that the other lies in."""
    return date == other or other.startswith(date + "-") or (date.startswith("--") and other.endswith(date[1:]))


def _dates(text: str) -> tuple[frozenset[str], str]:
    """The dates, and the text without them."""
    found = set()

    def keep(match: re.Match[str]) -> str:
        parts = match.groupdict()
        month = int(parts["month"]) if parts.get("month") else _MONTH_NUMBERS[parts["name"][:3]]
        day = int(parts["day"]) if parts.get("day") else None
        if not 1 <= month <= 12 or (day is not None and not 1 <= day <= 31):
            return match[0]
        year = parts.get("year") or "-"
        found.add(f"{year}-{month:02}" + ("" if day is None else f"-{day:02}"))
        return " , "  # ends a run of names

    for pattern in _DATES:
        text = pattern.sub(keep, text)
    return frozenset(found), text


def _numbers(text: str, but: tuple[str, ...] = ()) -> set[str]:
    """The numbers, in digits or words up to ninety-nine; the words `but` are none."""
    text = re.sub(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))", "", text.casefold().replace("\u2212", "-"))
    text = _SPELLED_NUMBER.sub(
        lambda found: found[0] if found[0] in but else str(sum(_SPELLED[word] for word in found.groups() if word)), text
    )
    return {_number(match[1], _SCALES.get(match[2] or "", 0)) for match in _NUMBER.finditer(text)}


def _number(digits: str, zeros: int) -> str:
    """A number's one spelling, exact at any length, with so many zeros more."""
    sign, plain = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    if not plain.isascii():
        plain = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in plain)
    whole, _, part = plain.replace(",", "").partition(".")
    whole, part = whole + part[:zeros].ljust(zeros, "0"), part[zeros:].rstrip("0")
    whole = whole.lstrip("0") or "0"
    return sign + whole + ("." + part if part else "")


def _names(sentence: str) -> set[str]:
    words = list(_WORD.finditer(sentence))
    found: set[str] = set()
    for n, word in enumerate(words):
        if not word[0][0].isupper() or word[0].casefold().replace("’", "'") in _NEVER:
            continue
        before = sentence[words[n - 1].end() : word.start()] if n else ""
        if (n == 0 or re.search(r'[:\n"“]', before)) and not _opens_with_name(sentence, words, n):
            continue
        found |= set(_pieces(word[0]))
    return found


def _opens_with_name(sentence: str, words: list[re.Match[str]], n: int) -> bool:
    """Whether the first word's capital is a name's: a capital follows, or what follows names, or nothing."""
    if words[n][0].casefold() in _OPENERS:
        return False
    if n + 1 == len(words):
        return True
    following = words[n + 1][0]
    beside = sentence[words[n].end() : words[n + 1].start()] == " "
    return beside and (following[0].isupper() or following in _AFTER_NAMES)


def _pieces(word: str) -> list[str]:
    """The parts of a word that are compared: in lower case, without diacritics and 's."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.translate(_PLAIN)) if not unicodedata.combining(c))
    return re.split(r"['-]", re.sub(r"'s$", "", plain.casefold()))
