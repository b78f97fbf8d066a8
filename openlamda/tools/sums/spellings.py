"""Every wording of an operator or function under one name: `"5 multiplied by cube root of 8"` -> `5 times root_3 of 8`.

Takes plain text and gives plain text; knows nothing of numbers or precedence.
"""

import re
from collections.abc import Callable

from openlamda.tools.sums.numerals import ORDINALS

_PHRASES = {
    "times": "multiplied by|multiplied with|times|x",
    "divided by": "divided by|divided into|divided equally among|shared by|shared among|split by|over",
    "plus": "plus|increased by|raised by",
    "minus": "minus|take away|decreased by|reduced by|lowered by|negative|less",
    "mod": "modulo|mod",
    "more than": "more than|greater than|larger than|added to|bigger than",
    "less than": "less than|fewer than|smaller than|subtracted from|taken away from|taken from|deducted from",
    "times as": "times as (?:many|much|big|large|long|old|tall|far|high) as",
    "twice": "twice as (?:many|much|big|large|long|old|tall|far|high) as|twice|double",
    "thrice": "triple|thrice",
    "of": r"as (?:many|much|big|large|long|old|tall|far|high) as|of",
    "%": "per ?cent",
    "^": "raised to the power(?: of)?|to the power(?: of)?|raised to(?! the)",
    "gcd": "greatest common (?:divisor|factor)|highest common factor|gcf|hcf",
    "lcm": "(?:least|lowest) common multiple",
    "mean": "average|avg",
    "max": "largest|maximum|biggest|greatest|highest(?! common)",
    "min": "smallest|minimum|lowest(?! common)",
    "sum": "sum|total",
    "abs": "absolute value",
    "ceil": "ceiling",
    "sin": "sine",
    "cos": "cosine",
    "tan": "tangent",
    "atan": "arctangent|arctan",
    "ln": "natural log(?:arithm)?",
    "root_2": "square root|sqrt",
    "root_3": "cube root|cubic root|cbrt",
    "choose": "choose|ncr",
    "permute": "npr",
    "log_2": "log2",
    "log_10": "log10",
}
_PHRASE = re.compile(
    "|".join(rf"(?<![a-z])(?:{words})(?![a-z])" for words in sorted(_PHRASES.values(), key=len, reverse=True))
)
_CANONICAL = [(re.compile(words), name) for name, words in _PHRASES.items()]
_ORDINAL = rf"(?:the )?(?:(?P<digits>[0-9]{{1,2}})(?:st|nd|rd|th)|(?P<word>{'|'.join(ORDINALS)}))"
_DIVISIONS = _PHRASES["divided by"]
_FRACTION = re.compile(r"(?<![0-9a-z.,/])([0-9]{1,9})/([0-9]{1,9})(?![0-9a-z.,/])")
_BINDS_TOP = re.compile(r"(?:[0-9)%]|(?:[\^√]|(?<![a-z])mod(?:ulo)?)\s*[-+]?)\s*$")  # 2^ 4/2
_BINDS_BOTTOM = re.compile(r"\s*[\^!(√]")  # 3/4 ^2
_MAY_BIND_TOP = re.compile(
    rf"(?<![a-z])(?:{_DIVISIONS}|choose|ncr|npr|raised to|to the power(?: of)?"
    r"|(?:root|sqrt|cbrt|square|cube|factorial|exp|ln|log(?:arithm)?(?:_?[0-9]+| base [0-9]+)?)(?: of)?)(?: the)?\s+$"
)
_MAY_BIND_BOTTOM = re.compile(r"\s*(?:squared|cubed|factorial|raised to|to the)(?![a-z])")


def _fraction(match: re.Match[str]) -> str:
    """`3/4` in parentheses, unless a sign beside it binds more tightly, however the spaces are.

    Beside words a fraction below 1 is one number (square root of 1/4); a larger one can be read in two ways.
    """
    before, after = match.string[: match.start()], match.string[match.end() :]
    if before.rstrip().endswith("/"):
        raise ValueError("10 / 1/2 can be read in two ways")
    if _BINDS_TOP.search(before) or _BINDS_BOTTOM.match(after):
        return match[0]
    if int(match[1]) >= int(match[2]) and (_MAY_BIND_TOP.search(before) or _MAY_BIND_BOTTOM.match(after)):
        raise ValueError("10 divided by 4/2 can be read in two ways")
    return f"({match[0]})"


_REWRITES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (_FRACTION, _fraction),
    (re.compile(rf"(?:raised )?to {_ORDINAL}(?: power)?(?![a-z])"), lambda m: f"^{_ordinal(m)} "),
    (re.compile(r"to the negative ([0-9]{1,2}) power"), lambda m: f"^-{m[1]} "),
    (re.compile(rf"{_ORDINAL} root(?![a-z])"), lambda m: f"root_{_ordinal(m)}"),
    (re.compile(r"log(?:arithm)? base ([0-9]{1,4})(?: of)?(?![0-9.])"), lambda m: f"log_{m[1]} "),
    (re.compile(r"log ([0-9.]{1,20}) base ([0-9]{1,4})"), lambda m: f"log_{m[2]}({m[1]})"),
    (re.compile(r"(?:times|multiplied by) itself"), lambda m: "^2"),
    (re.compile(r"^(?:add|sum)(?: up| together)? (?!of )(?=.*(?:,| and ))"), lambda m: "sum of "),
    (re.compile(r"^(sum|total|average|mean|product|median): ?"), lambda m: f"{m[1]} of "),
]


def _ordinal(match: re.Match[str]) -> int:
    return int(match["digits"]) if match["digits"] else ORDINALS[match["word"]]


def named(text: str) -> str:
    """Text with every phrase under its one name: `morethan`."""

    def name(match: re.Match[str]) -> str:
        found = next(name for words, name in _CANONICAL if words.fullmatch(match[0]))
        return f" {found.replace(' ', '')} " if not found.startswith(("root", "log")) else f" {found}"

    for pattern, rewritten in _REWRITES:
        text = pattern.sub(rewritten, text)
    return _PHRASE.sub(name, text)
