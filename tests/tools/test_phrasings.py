"""The calculator on phrasings it was not written for, each with an answer that was worked out beside it.

`suites/calculator.tsv` has a phrasing, the answer and its working: a Python expression in which every number is exact.
One half, by a checksum of the phrasing, was looked at while the calculator was made; the other was only counted.
"""

import ast
import csv
import math
import zlib
from datetime import date, timedelta
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from openlamda.tools.calculator import Calculator

SUITES = Path(__file__).parents[2] / "suites"
TODAY = date(2026, 3, 10)


def rows() -> list[dict[str, str]]:
    with (SUITES / "calculator.tsv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


class Exact(ast.NodeTransformer):
    """Every number of an expression becomes a fraction."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, int | float):
            return node
        call = ast.Call(ast.Name("Fraction", ast.Load()), [ast.Constant(repr(node.value))], [])
        return ast.copy_location(call, node)


def decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def worked(working: str) -> Any:
    names = {
        "Fraction": Fraction,
        "TODAY": TODAY,
        "sqrt": lambda x: Fraction(decimal(x).sqrt()),
        "ln": lambda x: Fraction(decimal(x).ln()),
        "exp": lambda x: Fraction(decimal(x).exp()),
        "pi": Fraction("3.14159265358979323846264338327950288419716939937510"),
        "day": lambda year, month, day: date(int(year), int(month), int(day)),
        "days": lambda count: timedelta(int(count)),
        "weekday": lambda day: f"{day:%A}",
    }
    tree = ast.fix_missing_locations(Exact().visit(ast.parse(working, mode="eval")))
    with localcontext(Context(prec=50)):
        value = eval(compile(tree, working, "eval"), {"__builtins__": {}}, names)
    return Fraction(value / timedelta(1)) if isinstance(value, timedelta) else value


def written(value: Any) -> str:
    """The rule of docs/tools.md: whole numbers of 40 digits and decimals of 15 in full, anything else to 12 digits."""
    if isinstance(value, date):
        return f"{value.day} {value:%B %Y}"
    if not isinstance(value, Fraction):
        return value
    if value.denominator == 1 and abs(value) < 10**40:
        return str(value.numerator)
    for digits in (15, 12):
        with localcontext(Context(prec=digits)):
            rounded = decimal(value)
        if Fraction(rounded) == value:
            break
    size = math.floor(math.log10(abs(rounded)))
    plain = f"{rounded.normalize():f}"
    return plain if -6 <= size < digits else f"{rounded.normalize():e}"


def test_every_answer_of_the_suite_is_what_its_working_gives() -> None:
    for row in rows():
        unit = row["answer"].removeprefix(written(worked(row["working"])))
        assert unit in ("", "%") or unit.startswith(" "), row


@pytest.mark.parametrize("half", [0, 1], ids=["looked at", "only counted"])
def test_at_least_97_in_100_phrasings_are_answered_exactly_and_none_wrongly(half: int) -> None:
    calculator = Calculator(lambda: TODAY)
    asked = [row for row in rows() if zlib.crc32(row["phrasing"].encode()) % 2 == half]
    answers = [[result.text for result in calculator(row["phrasing"])] for row in asked]
    exact = sum(answer == [row["answer"]] for row, answer in zip(asked, answers, strict=True))
    silent = answers.count([])
    assert len(asked) > 500
    assert exact + silent == len(asked), "an answer that differs is worse than none"
    assert exact >= 0.97 * len(asked)


def test_what_is_no_sum_has_no_answer() -> None:
    calculator = Calculator(lambda: TODAY)
    lines = (SUITES / "not-sums.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 200
    assert [line for line in lines if calculator(line)] == []
