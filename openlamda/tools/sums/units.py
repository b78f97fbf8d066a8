"""Conversions of units: `"3 miles in km"` -> "4.828032 km".

The units stand in units.tsv with their exact size. Currencies are not among them, nor what has two sizes (a ton, the
days of a month). Raises `ValueError` for what is no conversion.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

from openlamda.tools.sums.arithmetic import PI, Number, add, divide, multiply, subtract, written
from openlamda.tools.sums.expressions import evaluate

_QUESTIONS = [
    re.compile(pattern)
    for pattern in (
        r"how many (?P<target>.+?) (?:are |is |does )?(?:there )?(?:in|make(?: up)?|equals?|is|are) (?P<given>.+)",
        r"(?P<given>.+?) (?:is|=|equals?) (?:how many|\?|what in) (?P<target>.+)",
        r"(?:how (?:long|far|tall|heavy|much|big|fast|hot|cold|high|wide|deep) (?:is|are) |what(?:'s| is| are) "
        r"|change |turn |convert |express |write )?(?P<given>.+) (?:in|to|into|as|->) (?P<target>[^0-9]+|[a-z]+\^[23])",
        r"(?:what(?:'s| is| are) )?(?P<given>.+ (?:[-+]|plus|minus) .+)",
    )
]
_TRAVEL = re.compile(
    r"(?:distance|how far (?:do|does|will|would|can) .{1,40}?|what distance .{1,40}?)? ?(?:at|in|for|travel(?:l?ed)?)"
    r" (?P<a>[^ ]+ [^ ]+|[^ ]+) (?:at|for|in) (?P<b>[^ ]+ [^ ]+|[^ ]+)"
)
_LENGTHS = {"km/h": "km", "mph": "miles", "m/s": "m"}  # how far one goes
_POLITE = re.compile(
    r"^(?:(?:hey|hi|please|pls|can you|could you|tell me|calculate|i want to know)\b[,:]? *)+|[ ?!.=]+$|,? please$"
)
_NUMBER = r"(?:[-+]?[0-9][0-9,]*(?:\.[0-9]+)?(?:e[0-9]+)?|[-+]?\.[0-9]+)"
_TIGHT = re.compile(rf"({_NUMBER})(?=[a-zµμ'\"])")


@dataclass(frozen=True)
class Unit:
    """A unit's kind, size in the first unit of that kind, and how it is written."""

    kind: str
    size: Number
    symbol: str
    one: str

    def written(self, value: Number) -> str:
        """The value with this unit."""
        return f"{written(value)} {self.one if value in (1, -1) and self.one else self.symbol}"


@cache
def _units() -> dict[str, Unit]:
    with (Path(__file__).parent / "units.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    units = {}
    for row in rows:
        top, _, bottom = row["factor"].partition("/")
        size = divide(Fraction(180), PI) if top == "pi" else Fraction(top) / Fraction(bottom or 1)
        unit = Unit(row["kind"], size, row["symbol"], row["one"])
        units |= {name.replace("-", " "): unit for name in row["names"].split(" ")}
    return units


def converted(text: str) -> str:
    """The answer to a question about units in plain text."""
    text = re.sub(r"\s+", " ", _POLITE.sub("", text.strip())).strip()
    for pattern in _QUESTIONS:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        try:
            value, unit = _amount(match["given"])
            target = _units()[_unit_name(match["target"])] if "target" in match.groupdict() else unit
            return target.written(_in_unit(value, unit, target))
        except (KeyError, ValueError):
            continue
    match = _TRAVEL.fullmatch(text)
    if match is None:
        raise ValueError("no conversion")
    return _distance(_amount(match["a"]), _amount(match["b"]))


def _distance(first: tuple[Number, Unit], second: tuple[Number, Unit]) -> str:
    """How far one goes at a speed in a time, in the length that the speed is written with."""
    (speed, pace), (time, clock) = (first, second) if first[1].kind == "speed" else (second, first)
    if pace.kind != "speed" or clock.kind != "time" or speed < 0 or time < 0:
        raise ValueError("no speed and time")
    length = _units()[_LENGTHS.get(pace.symbol, "m")]
    meters = multiply(multiply(speed, pace.size), multiply(time, clock.size))
    return length.written(divide(meters, length.size))


def _unit_name(text: str) -> str:
    return re.sub(r"^(?:a|the) ", "", text.strip())


def _in_unit(value: Number, given: Unit, target: Unit) -> Number:
    if given.kind != target.kind:
        raise ValueError(f"{given.symbol} in {target.symbol}")
    if given.kind == "temperature":
        celsius = _TO_CELSIUS[given.symbol](value)
        if celsius < -_ZERO:
            raise ValueError("below absolute zero")
        return _FROM_CELSIUS[target.symbol](celsius)
    if value < 0:
        raise ValueError("less than nothing")
    return divide(multiply(value, given.size), target.size)


_ZERO = Fraction("273.15")
_TO_CELSIUS: dict[str, Callable[[Number], Number]] = {
    "°C": lambda value: value,
    "°F": lambda value: divide(multiply(subtract(value, Fraction(32)), Fraction(5)), Fraction(9)),
    "K": lambda value: subtract(value, _ZERO),
}
_FROM_CELSIUS: dict[str, Callable[[Number], Number]] = {
    "°C": lambda value: value,
    "°F": lambda value: add(divide(multiply(value, Fraction(9)), Fraction(5)), Fraction(32)),
    "K": lambda value: add(value, _ZERO),
}


def _amount(text: str) -> tuple[Number, Unit]:
    """`5 feet 10 inches`, `3 km + 500 m`: the sum of its parts, in the unit of the first."""
    found: tuple[Number, Unit] | None = None
    parts = re.split(r" (\+|-|plus|minus) ", text)
    for place in range(0, len(parts), 2):
        sign = Fraction(-1 if place and parts[place - 1] in ("-", "minus") else 1)
        for value, unit in _pieces(parts[place]):
            if found is None:
                found = value, unit
                continue
            if unit.kind == "temperature":
                raise ValueError("temperatures do not add up")
            found = add(found[0], multiply(sign, _in_unit(value, unit, found[1]))), found[1]
    if found is None:
        raise ValueError("no amount")
    return found


def _pieces(text: str) -> list[tuple[Number, Unit]]:
    """The amounts in `2 hours and 15 minutes`, the largest unit first."""
    words = _TIGHT.sub(r"\1 ", text).replace("'", " ' ").replace('"', ' " ').split()
    pieces: list[tuple[Number, Unit]] = []
    began = place = 0
    while place < len(words):
        named = _unit_at(words, place)
        if named is None or place == began:
            place += 1
            continue
        unit, length = named
        value = _count(" ".join(words[began:place]).removeprefix("and "))
        place += length
        half = words[place : place + 3] == ["and", "a", "half"]
        place += 3 * half
        pieces.append((add(value, Fraction(int(half), 2)), unit))
        began = place
    if began < len(words):
        if len(pieces) != 1 or pieces[0][1].symbol not in ("feet",):
            raise ValueError("words without a unit")
        pieces.append((_count(" ".join(words[began:])), _units()["inches"]))
    if any(a[1].kind != b[1].kind or Fraction(a[1].size) <= Fraction(b[1].size) for a, b in pairwise(pieces)):
        raise ValueError("units that do not go together")
    return pieces


def _unit_at(words: list[str], place: int) -> tuple[Unit, int] | None:
    """The longest unit that begins at a place, and its number of words."""
    for length in (3, 2, 1):
        unit = _units().get(" ".join(words[place : place + length]))
        if unit is not None and place + length <= len(words):
            return unit, length
    return None


def _count(text: str) -> Number:
    text = re.sub(r"(?:^| )(?:of )?an?$", "", re.sub(r"^(?:a|an|one)$", "1", text.strip()))
    value = evaluate(text)
    if value.is_percent:
        raise ValueError("a percentage")
    return value.number
