"""Sums, percentages, conversions of units and dates, in signs or plain words.

A query that is none of these, or one that can be read in two ways, gives no result, so the next tool is asked.
Length, depth and the size of numbers are bounded, so that it answers at once. What it reads and how it writes is told
in docs/tools.md.
"""

import re
from collections.abc import Callable
from datetime import date

from openlamda.text.dialog import Result
from openlamda.tools.sums.arithmetic import precisely, written
from openlamda.tools.sums.dates import dated
from openlamda.tools.sums.expressions import evaluate
from openlamda.tools.sums.numerals import plain
from openlamda.tools.sums.units import converted
from openlamda.tools.sums.wordings import bare, stepwise, worded

MAX_LENGTH = 200  # characters of a query
_NO_SUM = re.compile(
    r"(?<!\d)(?:\d{4}-\d{2}-\d{2}|\d{1,2}[/.-]\d{1,2}[/.-]\d{4}|\d{2}/\d{2}/\d{2}|\d{2}-\d{2}-\d{2})(?!\d)|\b0[xb]"
)  # dates, other bases
_NUMBERED = re.compile(r"(?<![\d.,*/+^(-])(?=[\d-]*\d{3})\d+(?:-\d+){2,}(?![\d.,*/+^-])")  # telephones, books
_YEARS = re.compile(r"(?<![\d.,-])([12]\d{3})-([12]\d{3})(?![\d.,-])")
_BY_CASE = re.compile(  # prefixes and units that many write in another case than the rule has: megabits, Calories
    r"(?<![A-Za-z])(?:[KGTP]b|M[a-z]|MS|C(?:al|AL)|N[mM]|mHz|Mbar)(?![A-Za-z])"
)
_EXCLAMATION = re.compile(r"[^!]*[-+*/^x][^!]*[\d)]!")  # 2*5! may be a factorial or a loud question


class Calculator:
    """`"135+7721"` -> one result "7856"; prose, a bare number or an endless one -> no result."""

    name = "calculator"

    def __init__(self, today: Callable[[], date] = date.today):
        self._today = today

    def __call__(self, query: str) -> list[Result]:
        """The value of `query` as text; [] for anything but a sum, a conversion or a date."""
        if len(query) > MAX_LENGTH or _BY_CASE.search(query):
            return []
        with precisely():
            text = plain(query)
            readers = (lambda: dated(text, self._today()), lambda: converted(text), lambda: _sum(text))
            for reader in readers:
                try:
                    return [Result(reader())]
                except (ArithmeticError, ValueError):
                    continue
        return []


def _is_name(text: str) -> bool:
    """Whether hyphens without spaces may part the digits of a telephone number, a book's or a span of years."""
    return bool(_NUMBERED.search(text)) or any(first < last for first, last in _YEARS.findall(text))


def _sum(text: str) -> str:
    if _NO_SUM.search(text) or ("=" not in text and _is_name(text)) or _EXCLAMATION.fullmatch(text.strip()):
        raise ValueError("can be read in two ways")
    question, text = text, bare(text)
    readers = (
        lambda: (evaluate(text, is_sum=True), ""),
        lambda: worded(question),
        lambda: worded(text),
        lambda: (stepwise(text), ""),
    )
    for reader in readers:
        try:
            value, unit = reader()
        except (ArithmeticError, ValueError):
            continue
        return written(value.number) + unit
    raise ValueError("no sum")
