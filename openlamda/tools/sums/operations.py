"""What operators, functions and constants do, and how tightly operators bind. Their names are those of spellings.py."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import gcd, lcm

from openlamda.tools.sums import arithmetic
from openlamda.tools.sums.arithmetic import Number


def _difference(values: Sequence[Number]) -> Number:
    a, b = values
    return arithmetic.subtract(arithmetic.largest((a, b)), arithmetic.smallest((a, b)))


def _pair(function: Callable[[Number, Number], Number]) -> Callable[[Sequence[Number]], Number]:
    def of_two(values: Sequence[Number]) -> Number:
        a, b = values  # ValueError for others, as for all that is no sum
        return function(a, b)

    return of_two


SUMS, PRODUCTS, OF, SIGNED, POWERS = 10, 20, 30, 40, 50  # how tightly they bind
INFIX: dict[str, tuple[int, Callable[[Number, Number], Number]]] = {
    "+": (SUMS, arithmetic.add),
    "plus": (SUMS, arithmetic.add),
    "-": (SUMS, arithmetic.subtract),
    "minus": (SUMS, arithmetic.subtract),
    "morethan": (SUMS, arithmetic.add),
    "lessthan": (SUMS, lambda a, b: arithmetic.subtract(b, a)),
    "*": (PRODUCTS, arithmetic.multiply),
    "times": (PRODUCTS, arithmetic.multiply),
    "timesas": (PRODUCTS, arithmetic.multiply),
    "/": (PRODUCTS, arithmetic.divide),
    "dividedby": (PRODUCTS, arithmetic.divide),
    "//": (PRODUCTS, arithmetic.floor_divide),
    "mod": (PRODUCTS, arithmetic.modulo),
    "choose": (OF, lambda a, b: arithmetic.chosen((a, b))),
    "permute": (OF, lambda a, b: arithmetic.arranged((a, b))),
    "of": (OF, arithmetic.multiply),
    "^": (POWERS, arithmetic.power),
}
DIVISIONS = {"/", "//", "dividedby", "mod"}
AFTER_ALL = {"dividedby", "squared", "cubed"}  # may be meant of a whole list
POSTFIX = {"squared": Fraction(2), "cubed": Fraction(3)}
FUNCTIONS: dict[str, Callable[[Number], Number]] = {
    "abs": abs,
    "ln": arithmetic.ln,
    "exp": arithmetic.exp,
    "sin": arithmetic.sine,
    "cos": arithmetic.cosine,
    "tan": arithmetic.tangent,
    "atan": arithmetic.arctangent,
    "floor": lambda value: Fraction(arithmetic.exact(value).__floor__()),
    "ceil": lambda value: Fraction(arithmetic.exact(value).__ceil__()),
    "round": arithmetic.rounded,
    "factorial": arithmetic.factorial,
    "reciprocal": lambda value: arithmetic.divide(Fraction(1), value),
    "square": lambda value: arithmetic.power(value, Fraction(2)),
    "cube": lambda value: arithmetic.power(value, Fraction(3)),
}
LISTS: dict[str, Callable[[Sequence[Number]], Number]] = {
    "sum": arithmetic.total,
    "product": arithmetic.product,
    "difference": _difference,
    "quotient": _pair(arithmetic.divide),
    "mean": arithmetic.mean,
    "median": arithmetic.median,
    "max": arithmetic.largest,
    "min": arithmetic.smallest,
    "gcd": arithmetic.over_whole(gcd),
    "lcm": arithmetic.over_whole(lcm),
    "mod": _pair(arithmetic.modulo),
    "pow": _pair(arithmetic.power),
    "round": _pair(arithmetic.rounded),
    "hypot": lambda values: arithmetic.root(arithmetic.total([arithmetic.multiply(v, v) for v in values]), 2),
}
ANGLES = {"sin", "cos", "tan"}
CONSTANTS = {"pi": arithmetic.PI, "e": arithmetic.E}


def function(name: str) -> Callable[[Number], Number]:
    """The function of that name; `root_3` and `log_2` name one of a family."""
    base, _, number = name.partition("_")
    if base == "root" and number and 2 <= int(number) <= 99:
        return lambda value: arithmetic.root(value, int(number))
    if base == "log" and number:
        return lambda value: arithmetic.logarithm(value, Fraction(int(number)))
    if name not in FUNCTIONS:
        raise ValueError(f"{name!r} is in no sum")
    return FUNCTIONS[name]
