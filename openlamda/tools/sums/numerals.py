"""Text into tokens: numbers in digits and in words, words, signs.

`"one hundred and twenty-three plus 2 1/2"` -> 123, "plus", 2.5. Raises `ValueError` for a number that can be
read in two ways (`1,23`) and for characters that no sum has.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
ONES = {word: number for number, word in enumerate(_ONES)}
TENS = {
    word: 10 * number
    for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
GROUPS = {"dozen": 12, "score": 20}
_ORDINALS = (
    "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth"
    " seventeenth eighteenth nineteenth twentieth"
).split()
ORDINALS = {word: number for number, word in enumerate(_ORDINALS, start=3)} | {"second": 2}
PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4, "hundredth": 100, "hundredths": 100}
PARTS |= {"thousandth": 1000, "thousandths": 1000}
PARTS |= {word + plural: number for word, number in ORDINALS.items() for plural in ("", "s") if number > 2}
_SIGNS = {
    "×": "*", "·": "*", "⋅": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "²": "^2", "³": "^3", "π": " pi ", "√": " √ ",
    "½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "⅕": " 1/5", "⅛": " 1/8", "⅜": " 3/8",
    "⅝": " 5/8", "⅞": " 7/8", "’": "'", "″": '"', "′": "'", "[": "(", "]": ")", "{": "(", "}": ")", "**": "^",
    "°": " degrees ",
}  # fmt: skip
_SIGN = re.compile("|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True)))
_TOKEN = re.compile(
    r"\s*(?:(?P<mixed>[0-9]{1,6} [0-9]{1,3}/[0-9]{1,4}(?![0-9.,/]))"
    r"|(?P<number>[0-9][0-9,]*(?<!,)(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,4}(?![a-z0-9]))?(?!\.[0-9])|\.[0-9]+(?!\.[0-9]))"
    r"|(?P<word>[a-z]+(?:_[0-9]+)?)"
    r"|(?P<sign>//|[-+*/^%!()=,√]))"
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")


@dataclass(frozen=True)
class Token:
    """A number, word or sign. `text` is a word or sign, "" for a number."""

    text: str
    number: Fraction | None = None
    is_part: bool = False  # a fraction in words, or written a/b before "of"
    is_counted: bool = False  # has dozens in it: a sum by itself
    is_digits: bool = False


def plain(text: str) -> str:
    """In lower case, with the signs of a keyboard, hyphens inside words as spaces."""
    text = _SIGN.sub(lambda match: _SIGNS[match[0]], text.casefold())
    return re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text)


def tokens(text: str) -> list[Token]:
    """The tokens of plain text, numbers in words put together."""
    raw = _raw(text)
    found, place = [], 0
    while place < len(raw):
        number = _number(raw, place)
        if number is None:
            if raw[place].text != "the":
                found.append(raw[place])
            place += 1
        else:
            token, place = number
            found.append(token)
    return found


def _raw(text: str) -> list[Token]:
    lists = re.search(r"[a-z0-9]\(", text) is not None  # max(1,200): commas part arguments
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"{text[place]!r} is in no sum")
        if match["mixed"]:
            whole, part = match["mixed"].split(" ")
            found.append(Token("", int(whole) + Fraction(part), is_digits=True))
        elif match["number"]:
            found += _digits(match["number"], lists)
        else:
            found.append(Token(match["word"] or match["sign"]))
        place = match.end()
    return found


def _digits(text: str, lists: bool) -> list[Token]:
    """One number, or several between commas where no comma could be one of thousands."""
    head = text.partition(".")[0].partition("e")[0]
    if "," in head and not lists and _THOUSANDS.fullmatch(head):
        text = text.replace(",", "")
    elif "," in head:
        pieces = text.split(",")
        if not lists and any(len(piece) > 2 for piece in pieces[1:]):
            raise ValueError(f"{text}: thousands or a list?")
        commas = [token for piece in pieces for token in (Token(","), *_digits(piece, True))]
        return commas[1:]
    if "e" in text and abs(int(text.partition("e")[2])) > 300:
        raise ValueError("too large")
    return [Token("", Fraction(text), is_digits=True)]


def _small(raw: list[Token], at: int) -> tuple[Fraction, int] | None:
    """A number below a hundred in words, and the place after it."""
    word = raw[at].text if at < len(raw) else ""
    if word in ONES:
        return Fraction(ONES[word]), at + 1
    if word in TENS:
        following = ONES.get(raw[at + 1].text, 0) if at + 1 < len(raw) else 0
        return (Fraction(TENS[word] + following), at + 2) if 0 < following < 10 else (Fraction(TENS[word]), at + 1)
    return None


def _number(raw: list[Token], at: int) -> tuple[Token, int] | None:
    """The number that begins at a place, in digits or words, and the place after it."""
    first = raw[at]

    def text(place: int) -> str:
        return raw[place].text if place < len(raw) else ""

    if first.text in ("a", "an") and (
        text(at + 1) in PARTS or text(at + 1) in SCALES or text(at + 1) in GROUPS or text(at + 1) == "hundred"
    ):
        value, place = Fraction(1), at + 1
    elif first.text in ("half", "quarter", "third") or first.text in GROUPS:
        value, place = Fraction(1), at
    elif first.number is not None:
        value, place = first.number, at + 1
    else:
        cardinal = _cardinal(raw, at)
        if cardinal is None:
            return None
        value, place = cardinal
    is_part = is_counted = False
    if first.number is not None or value == 1:
        scaled = _scaled(raw, place, value)
        value, place = scaled or (value, place)
    if text(place) in PARTS:
        if _may_join(text(place - 1), text(place)):
            raise ValueError("twenty fifths or twenty-fifths?")
        value, place, is_part = value / PARTS[text(place)], place + 1, True
        if text(place) in ("a", "an") and (text(place + 1) in SCALES or text(place + 1) in GROUPS):
            place += 1
        if text(place) in SCALES:
            value, place, is_part = value * SCALES[text(place)], place + 1, False
    elif text(place) == "and" and (added := _part(raw, place + 1)):
        value, place = value + added[0], added[1]
    while text(place) in GROUPS:
        value, place, is_counted, is_part = value * GROUPS[text(place)], place + 1, True, False
    digits = first.number is not None and place == at + 1
    return Token("", value, is_part, is_counted, digits), place


def _may_join(before: str, part: str) -> bool:
    """Whether a number word and a part after it may be one word: twenty-fifth, hundred-thousandths."""
    if part.startswith("thousandth"):
        return before in ("ten", "hundred") or before in TENS
    if part not in ORDINALS and part.removesuffix("s") not in ORDINALS:
        return False
    return before == "hundred" or before in SCALES or (before in TENS and PARTS[part] < 10)


def _part(raw: list[Token], at: int) -> tuple[Fraction, int] | None:
    """`a half`, `one third`, `three quarters`, and the place after it."""
    if at + 1 >= len(raw) or raw[at + 1].text not in PARTS:
        return None
    count = 1 if raw[at].text in ("a", "an") else ONES.get(raw[at].text)
    return (Fraction(count, PARTS[raw[at + 1].text]), at + 2) if count else None


def _scaled(raw: list[Token], at: int, value: Fraction) -> tuple[Fraction, int] | None:
    """`1.5 million`, `3 hundred`, and after "a": `hundred`."""
    word = raw[at].text if at < len(raw) else ""
    if word == "hundred":
        return value * 100, at + 1
    return (value * SCALES[word], at + 1) if word in SCALES else None


def _cardinal(raw: list[Token], at: int) -> tuple[Fraction, int] | None:
    """A number in words alone, with `point` and digits perhaps."""
    total, least, place = Fraction(0), 10**15, at
    while (piece := _small(raw, place)) is not None:
        value, place = piece
        if place < len(raw) and raw[place].text == "hundred":
            value, place = value * 100, place + 1
            rest = _small(raw, place + (place < len(raw) and raw[place].text == "and"))
            if rest is not None and not _part(raw, rest[1] - 1):
                value, place = value + rest[0], rest[1]
        scale = SCALES.get(raw[place].text, 1) if place < len(raw) else 1
        if scale >= least:
            raise ValueError("thousands after thousands")
        total, least = total + value * scale, scale
        if scale == 1:
            break
        place += 1
        if place < len(raw) and raw[place].text == "and" and _small(raw, place + 1):
            place += 1
    if place == at:
        return None
    if place + 1 < len(raw) and raw[place].text == "point" and ONES.get(raw[place + 1].text, 10) < 10:
        place, digits = place + 1, ""
        while place < len(raw) and ONES.get(raw[place].text, 10) < 10:
            digits, place = digits + str(ONES[raw[place].text]), place + 1
        total += Fraction(int(digits), 10 ** len(digits))
    return total, place
