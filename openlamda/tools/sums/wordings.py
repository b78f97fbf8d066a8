"""What people say around a sum, and whole questions that name one: `"take 15% off 40"` -> `a - b`.

The questions stand in wordings.tsv: a wording, its formula, and the unit of the answer. In a wording {a},
{b}, {c}, {n} are any expressions, {p} is a percentage, {q} may be one; \\w+ is a noun, never a piece of a number.
"""

import csv
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from openlamda.tools.sums.expressions import Value, evaluate
from openlamda.tools.sums.numerals import GROUPS, ONES, PARTS, SCALES, TENS

_BEFORE = re.compile(
    r"""\s*(?:
      (?:hey|hi|hello|ok|okay|so|and|then|now|well|quick(?:ly)?(?:\ maths?)?|please|pls|just|simply)\b[,:!]?
    | (?:can|could|would|will)\ you(?:\ please)?\b
    | (?:help\ me\ with|tell\ me|give\ me|show\ me|find(?:\ out)?|work\ out|figure\ out|calculate|compute|determine
        |evaluate|simplify|solve)\b:?
    | i(?:'d\ |\ would\ )like\ to\ know\b | i\ (?:want|need)\ to\ know\b | i\ need\b | do\ you\ know\b
    | what(?:'s|s)\b
    | what\ (?:is|are|does|do|would|will|comes\ of)\b(?!\ (?:you\ get|percent|number))
    | (?:what|which)\ number\ (?:is|results\ from|do\ you\ get)\b(?!\ [0-9.]+\ ?(?:%|percent))
    | what\ (?:do|would|will|can)\ (?:you|i|we)\ get\b
    | what\ happens\b | what\ equals\b | how\ about\b
    | how\ (?:much|many)\ (?:is|are|does|do|would|will|makes?|remains?)\b
        (?!\ you|\ [^\s%]+\ (?:larg|great|bigg)er\ than)
    | (?:if|when)\ (?:you|i|we)\b
    | (?:the\ )?(?:result|value|answer)\ (?:(?:of|to)\b|(?=if\b|when\b))
    | the\b(?!\ (?:result|value|answer)) | a\ number\b | x\ =
    )\s*""",
    re.VERBOSE,
)
_AFTER = re.compile(
    r"""[\s,]*(?:
      (?:for\ me|please|pls|thanks|thank\ you|thx|cheers)
    | (?:is\ )?equals?(?:\ to|\ what)? | is(?:\ what)? | be | makes? | makes?\ what | comes?\ to | come\ out\ (?:as|to)
    | what\ (?:do|would|will)\ (?:you|i|we)\ get | what\ is\ the\ (?:result|answer) | (?<![0-9)!])! | [=?.\s] | =\ ?[x?]
    )\s*$""",
    re.VERBOSE,
)
_STEP = re.compile(
    r",?\s*(?:\band\b)?\s*(?:\bthen\b)?\s*\b(?=(?:add|subtract|multiply|divide|double|halve|square|triple)\b)"
)
_START = re.compile(r"(?:start with|begin with|take) ")
_STEPS = [
    (re.compile(r"add (.+)"), "a + b"),
    (re.compile(r"subtract (.+)"), "a - b"),
    (re.compile(r"multiply (?:it |that |the result )?by (.+)"), "a * b"),
    (re.compile(r"divide (?:it |that |the result )?by (.+)"), "a / b"),
    (re.compile(r"double(?: it| that)?()"), "2 * a"),
    (re.compile(r"triple(?: it| that)?()"), "3 * a"),
    (re.compile(r"halve(?: it| that)?()"), "a / 2"),
    (re.compile(r"square(?: it| that)?()"), "a ^ 2"),
]
MAX_STEPS = 6
_BINARY = re.compile(r"[a-q] [-+*/] [a-q]|[a-q] [*/^] [2-9]|sqrt\(a\)|pi \* a \^ 2")
_OPEN = re.compile(r"\b(?:plus|minus|less|times|over|divided by|multiplied by)\b| [-+*/x] ")
_OF_SUMS = (
    "hundred percent squared cubed factorial doubled halved tripled times plus minus less over mod modulo point"
    " pi e x choose degrees"
).split()
_NOUN = rf"(?!(?:{'|'.join([*SCALES, *GROUPS, *ONES, *TENS, *PARTS, *_OF_SUMS])})s?\b)[^\W\d_]+"


class _Wording(NamedTuple):
    pattern: re.Pattern[str]
    formula: str
    unit: str


@cache
def _table() -> list[_Wording]:
    with (Path(__file__).parent / "wordings.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [_Wording(_pattern(row["wording"]), row["formula"], row["unit"]) for row in rows]


def _pattern(wording: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w)}", r"(?P<\1>.+?)", wording.replace(r"\w+", _NOUN)))


def bare(text: str) -> str:
    """Plain text without greetings, requests and question words around it."""
    text = re.sub(r"\s+", " ", text).strip(" =\"'`")
    for _ in range(8):
        before = text
        match = _AFTER.search(text)
        text = text[: match.start()] if match else text
        text = _BEFORE.sub("", text, count=1) if _BEFORE.match(text) else text
        text = text.strip(" =\"'`")
        if text == before:
            break
    return text


def worded(text: str) -> tuple[Value, str]:
    """The value and unit of a whole question in the table; `ValueError` where it is none of them."""
    text = re.sub(r"\bthe |(?<=\s)\s+", "", text).strip(" ?.!\"'")
    for wording in _table():
        match = wording.pattern.fullmatch(text)
        if match is None:
            continue
        try:
            names = {name: evaluate(found) for name, found in match.groupdict().items()}
            if _BINARY.fullmatch(wording.formula) and _OPEN.search(text[max(map(match.start, names)) :]):
                continue  # divide 10 by 2 plus 3
            if any(value.is_percent != (name == "p") for name, value in names.items() if name != "q"):
                continue
            return evaluate(wording.formula, names), wording.unit
        except (ArithmeticError, ValueError):
            continue
    raise ValueError("no such wording")


def stepwise(text: str) -> Value:
    """`take 8, multiply by 5, then divide by 4`: step after step from the first value."""
    clauses = [clause.strip(" ,") for clause in _STEP.split(text) if clause.strip(" ,")]
    if not 2 <= len(clauses) <= MAX_STEPS:
        raise ValueError("no steps")
    start = _START.match(clauses[0])
    value = evaluate(clauses[0][start.end() :]) if start else worded(clauses[0])[0]
    for clause in clauses[1:]:
        found = ((pattern.fullmatch(clause), formula) for pattern, formula in _STEPS)
        match, formula = next(((match, formula) for match, formula in found if match), (None, ""))
        if match is None:
            raise ValueError("no step")
        if match[1] and _OPEN.search(match[1]):
            raise ValueError("multiply by 5 plus 2 can be read in two ways")
        names = {"a": value} | ({"b": evaluate(match[1])} if match[1] else {})
        value = evaluate(formula, names)
    return value
