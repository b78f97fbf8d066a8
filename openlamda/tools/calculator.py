"""Arithmetic on one line, in signs or plain words. What it cannot read gives no result, so the next tool is asked.

Numbers are fractions, so that 0.1+0.2 is 0.3; length, exponents and sizes are bounded, so that it answers at once.
"""

import ast
import math
import operator
import re
from fractions import Fraction

from simpleeval import EvalWithCompoundTypes, SimpleEval

from openlamda.text.dialog import Result

MAX_LENGTH = 200  # characters of a query
MAX_DEPTH = 30  # parentheses
MAX_BITS = 4096  # of any intermediate number

_WORDINGS = [
    (r"\bwhat(?:'s| is)\b|\bhow much is\b|\bcalculate\b|\bcompute\b|\bwork out\b|[=?!\s]+$|\.\s*$", " "),
    (r"\bthe\b", " "),
    (r"\bsquare root of\s*(\S+)", r"sqrt(\1)"),
    (r"√\s*(\d[\d.]*)", r"sqrt(\1)"),
    (r"\bsum of\s+(\S+)\s+and\s+(\S+)", r"((\1)+(\2))"),
    (r"\bproduct of\s+(\S+)\s+and\s+(\S+)", r"((\1)*(\2))"),
    (r"\bdifference (?:between|of)\s+(\S+)\s+and\s+(\S+)", r"((\1)-(\2))"),
    (r"\bsubtract\s+(\S+)\s+from\s+(\S+)", r"((\2)-(\1))"),
    (r"\badd\s+(\S+)\s+(?:and|to)\s+(\S+)", r"((\1)+(\2))"),
    (r"\bmultiply\s+(\S+)\s+(?:by|and)\s+(\S+)", r"((\1)*(\2))"),
    (r"\bdivide\s+(\S+)\s+by\s+(\S+)", r"((\1)/(\2))"),
    (r"\bhalf of\b", "0.5*"),
    (r"\b(?:double|twice)\b", "2*"),
    (r"\bsquared\b", "**2"),
    (r"\bcubed\b", "**3"),
    (r"\bto (?:the )?power of\b|\^", "**"),
    (r"(?:%|\bper ?cent)\s+of\b", "/100*"),
    (r"%(?=\s*(?:$|[-+*/)]))", "/100"),
    (r"\bmultiplied by\b|\btimes\b|[×·]|(?<=[\d)])\s*x\s*(?=[\d(])", "*"),
    (r"\bdivided by\b|\bover\b|÷", "/"),
    (r"\bplus\b", "+"),
    (r"\bminus\b|[−–]", "-"),
]
_SIGNS = [(re.compile(pattern, re.IGNORECASE), sign) for pattern, sign in _WORDINGS]
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# possessive, so that a long number with a word after it is refused at once
_EXPRESSION = re.compile(
    r"(?:[-+*/().,\s]|\d++(?:\.\d*+)?|\.\d++|\b(?:sqrt|abs|round|min|max|log|exp|sin|cos|pi|e)\b)*+"
)


class Calculator:
    """`"135+7721"` -> one result "7856"; prose, a bare number or an endless one -> no result."""

    name = "calculator"

    def __call__(self, query: str) -> list[Result]:
        """The value of `query` as text; [] for anything but a finite number of reasonable size."""
        expression = _expression(query)
        if expression is None:
            return []
        try:
            text = _format(_evaluator().eval(expression))
        except Exception:  # the evaluator raises a dozen kinds for input that is not arithmetic: none is a result
            return []
        return [Result(text)] if text is not None else []


def _expression(query: str) -> str | None:
    """`query` in signs the evaluator reads, or None where it is no calculation."""
    if len(query) > MAX_LENGTH or not re.search(r"\d", query) or query.count("(") > MAX_DEPTH:
        return None
    text = query.strip().replace("’", "'")
    if re.search(r"[\d)]\s*!", text):
        return None  # a factorial is not among the operations
    if not re.search(r"\b(?:min|max)\s*\(", text):
        text = _THOUSANDS.sub("", text)
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    text = text.strip()
    if not _EXPRESSION.fullmatch(text) or not re.search(r"(?:[\d)]|\bpi|\be)\s*[-+*/]|[a-z]\(|^-?\s*\(", text):
        return None
    return re.sub(r"(?<![\d.])0+(?=\d)", "", text)  # 007 is 7


def _bounded(value: Fraction | float) -> Fraction | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not finite")
    elif max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise ValueError("too large")
    return value


def _power(base: Fraction | float, exponent: Fraction | float) -> Fraction | float:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent.numerator) * bits > MAX_BITS:
            raise ValueError("too large")
        return base**exponent.numerator
    value = float(base) ** float(exponent)
    if isinstance(value, complex):
        raise ValueError("not real")
    return _bounded(value)


def _sqrt(value: Fraction | float) -> Fraction | float:
    if isinstance(value, Fraction) and value >= 0:
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if (top * top, bottom * bottom) == (value.numerator, value.denominator):
            return Fraction(top, bottom)
    return math.sqrt(value)


def _evaluator() -> SimpleEval:
    def within(operation):
        return lambda *values: _bounded(operation(*values))

    evaluator = EvalWithCompoundTypes(
        operators={
            ast.Add: within(operator.add),
            ast.Sub: within(operator.sub),
            ast.Mult: within(operator.mul),
            ast.Div: within(operator.truediv),
            ast.Pow: _power,
            ast.USub: operator.neg,
            ast.UAdd: operator.pos,
        },
        functions={
            "sqrt": _sqrt,
            "abs": abs,
            "round": lambda value: Fraction(math.floor(value + Fraction(1, 2))),
            "min": min,
            "max": max,
            "log": math.log,
            "exp": math.exp,
            "sin": math.sin,
            "cos": math.cos,
        },
        names={"pi": math.pi, "e": math.e},
    )
    nodes = evaluator.nodes or {}
    nodes[ast.Constant] = lambda node: Fraction(str(node.value))
    return evaluator


def _format(value: object) -> str | None:
    """Integers whole, other numbers to 12 significant digits without trailing zeros; None for what is no number."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value.numerator) if abs(value.numerator) < 10**30 else None
    if isinstance(value, Fraction | float) and math.isfinite(value):
        number = float(value)
        return f"{number:.12g}" if 1e-6 <= abs(number) < 1e15 or number == 0 else None
    return None
