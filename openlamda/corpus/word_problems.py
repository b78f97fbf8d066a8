"""Sums told as little stories, SVAMP's and GSM8K's: the numbers are drawn anew each time, so that none is remembered.

Kept are those whose solution is one expression of two or three numbers, each of which stands once in the story.
"""

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from openlamda.corpus.readers import read_jsonl

_NUMBER = re.compile(r"(?<![\w.,/])\d+(?:\.\d+)?(?![\w%/]|[.,]\d)")
_LONGEST = 60  # words
_OPERATIONS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


@dataclass(frozen=True)
class WordProblem:
    """A story with numbers, and the expression over those that solves it."""

    id: str
    question: str
    expression: str


def read(folder: Path) -> Iterator[WordProblem]:
    """All problems of the two sets that are short enough and whose solution gives the answer that is told."""
    for name in ("tools_svamp", "tools_gsm8k"):
        for row in read_jsonl(folder / f"{name}.jsonl.xz"):
            expression = _whole(row["calculator"])
            if expression and _fits(row["question"], expression, str(row["final"])):
                yield WordProblem(row["id"], row["question"], expression)


def _whole(steps: list[dict[str, Any]]) -> str:
    """The last of the steps, each result that it uses replaced by the step which gave it; "" if one cannot be read."""
    known: dict[Fraction, ast.expr] = {}
    whole = ""
    try:
        for step in steps:
            found: ast.expr = _Replace(known).visit(ast.parse(_plain(step["expr"]), mode="eval").body)
            known[Fraction(_plain(step["result"]))] = found
            whole = ast.unparse(found)
        return whole
    except (SyntaxError, ValueError):
        return ""


def _plain(number: object) -> str:
    return re.sub(r"(\d)\.0\b", r"\1", str(number).replace(",", "").strip())


class _Replace(ast.NodeTransformer):
    def __init__(self, known: dict[Fraction, ast.expr]):
        self._known = known

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self._known.get(Fraction(str(node.value)), node)


def _fits(question: str, expression: str, answer: str) -> bool:
    wanted, told = _NUMBER.findall(expression), _NUMBER.findall(question)
    if len(wanted) not in (2, 3) or len(question.split()) > _LONGEST or any(told.count(n) != 1 for n in wanted):
        return False
    try:
        return value(expression) == Fraction(_plain(answer))
    except (ValueError, ZeroDivisionError):
        return False


def value(expression: str) -> Fraction:
    """What + - * / of numbers come to. Raises ValueError where anything else stands or a part is not positive."""
    return _value(ast.parse(expression, mode="eval").body)


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant):
        return Fraction(str(node.value))
    if not isinstance(node, ast.BinOp) or type(node.op) not in _OPERATIONS:
        raise ValueError(f"{ast.unparse(node)}: expected + - * / of numbers")
    found = _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    if found <= 0:
        raise ValueError(f"{ast.unparse(node)}: expected more than nothing")
    return found


def redrawn(row: WordProblem, rng: random.Random, tries: int = 300) -> tuple[str, str, str]:
    """The story, its expression and result with other numbers: as many decimals as before and in the same order of
    size; whole numbers stay whole in the result. As it is where no such numbers are found.
    """
    told = list(dict.fromkeys(_NUMBER.findall(row.question)))
    ranked = sorted(told, key=Decimal)
    whole = value(row.expression).denominator == 1
    for _ in range(tries):
        longer = rng.choice((0, 0, 1, 2))
        drawn = [_like(number, longer, rng) for number in ranked]
        if not any("." in number for number in told):
            drawn.sort(key=int)
        if any(Decimal(less) >= Decimal(more) for less, more in pairwise(drawn)):
            continue
        question, expression = _with(dict(zip(ranked, drawn, strict=True)), row)
        try:
            found = value(expression)
        except (ValueError, ZeroDivisionError):
            continue
        if (found.denominator == 1) if whole else (1000 % found.denominator == 0):
            return question, expression, _written(found)
    return row.question, row.expression, _written(value(row.expression))


def _with(new: dict[str, str], row: WordProblem) -> list[str]:
    return [_NUMBER.sub(lambda found: new[found[0]], text) for text in (row.question, row.expression)]


def _like(number: str, longer: int, rng: random.Random) -> str:
    """A number with as many decimals, and about as many digits or more."""
    before, _, decimals = number.partition(".")
    drawn = str(rng.randint(2, 10 ** (len(before) + longer) - 1 + 10 * (len(before) == 1)))
    return f"{drawn}.{rng.randrange(10 ** len(decimals)):0{len(decimals)}d}" if decimals else drawn


def _written(found: Fraction) -> str:
    """A fraction as a decimal number of at most 12 digits."""
    return f"{Context(prec=12).divide(Decimal(found.numerator), Decimal(found.denominator)).normalize():f}"
