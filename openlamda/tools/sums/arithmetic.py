"""Numbers and what can be done to them, within bounds: fractions where a value is exact, 50 digits where it is not.

Raises `ArithmeticError` or `ValueError` for what has no value, or one too large to work out at once.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, Underflow, localcontext
from fractions import Fraction
from functools import reduce

Number = Fraction | Decimal  # a decimal is inexact

MAX_BITS = 10_000  # of any intermediate fraction
MAX_DIGITS = 40  # of a whole number that is written in full: what a small model can copy
PI = Decimal("3.14159265358979323846264338327950288419716939937510582")
E = Decimal("2.71828182845904523536028747135266249775724709369996")
_CONTEXT = Context(prec=50, Emax=1000, Emin=-1000, traps=[InvalidOperation, DivisionByZero, Overflow, Underflow])
_NOTHING = Decimal("1e-35")  # what is left where 50 digits cancel


def precisely() -> AbstractContextManager[Context]:
    """The context in which everything here is to be called: 50 digits, bounded exponents."""
    return localcontext(_CONTEXT)


def inexact(value: Number) -> Decimal:
    """The value to 50 digits."""
    if isinstance(value, Decimal):
        return value
    return Decimal(value.numerator) / Decimal(value.denominator)


def bounded(value: Number) -> Number:
    """The value, unless it is too large; a decimal that misses a whole number by its last digits is that number."""
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
            raise OverflowError("too many digits")
        return value
    whole = value.to_integral_value()
    if whole and abs(value) < 10**15 and abs(value - whole) < _NOTHING * abs(whole):
        return Fraction(int(whole))
    return value


def add(a: Number, b: Number) -> Number:
    """a + b; what cancels to nothing is 0."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return bounded(a + b)
    x, y = inexact(a), inexact(b)
    total = x + y
    return Fraction(0) if abs(total) < _NOTHING * max(abs(x), abs(y)) else bounded(total)


def subtract(a: Number, b: Number) -> Number:
    """a - b."""
    return add(a, -b)


def multiply(a: Number, b: Number) -> Number:
    """a · b."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return bounded(a * b)
    return bounded(inexact(a) * inexact(b))


def divide(a: Number, b: Number) -> Number:
    """a / b."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return bounded(a / b)
    return bounded(inexact(a) / inexact(b))


def modulo(a: Number, b: Number) -> Number:
    """What is left of a after taking away whole b; it has the sign of b."""
    return bounded(exact(a) % exact(b))


def floor_divide(a: Number, b: Number) -> Number:
    """How many whole b fit into a."""
    return Fraction(exact(a) // exact(b))


def power(base: Number, exponent: Number) -> Number:
    """base ** exponent, exact where it can be; a root of a negative number has no value."""
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        if isinstance(base, Fraction):
            if base == 0 and exponent == 0:
                raise ValueError("0 to the power of 0")
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if abs(exponent.numerator) * (bits if abs(base) != 1 and base else 0) > 2 * MAX_BITS:
                raise OverflowError("too many digits")
            return bounded(base**exponent.numerator)
    elif isinstance(exponent, Fraction) and exponent.numerator == 1 and exponent.denominator <= 100:
        return root(base, exponent.denominator)
    return bounded(inexact(base) ** inexact(exponent))


def root(value: Number, degree: int) -> Number:
    """The real root; exact where there is an exact one."""
    if value < 0 and degree % 2:
        return -root(-value, degree)
    if isinstance(value, Fraction) and value >= 0:
        top, bottom = (_whole_root(part, degree) for part in (value.numerator, value.denominator))
        if top is not None and bottom is not None:
            return Fraction(top, bottom)
    found = inexact(value)
    if degree == 2:
        return bounded(found.sqrt())
    return bounded(found ** (1 / Decimal(degree)))


def _whole_root(value: int, degree: int) -> int | None:
    """The whole number whose power the value is, by Newton's steps from above: quick for thousands of digits, too."""
    bits = value.bit_length()
    if value < 2:
        return value
    if degree >= bits:
        return None  # the root lies between 1 and 2
    near = 1 << -(-bits // degree)
    while (less := ((degree - 1) * near + value // near ** (degree - 1)) // degree) < near:
        near = less
    return near if near**degree == value else None


def exact(value: Number) -> Fraction:
    """The value, which must be a fraction."""
    if not isinstance(value, Fraction):
        raise ValueError("not exact")
    return value


def whole(value: Number, most: int = MAX_BITS) -> int:
    """The value, which must be a whole number from 0 to `most`."""
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= most:
        raise ValueError("not a whole number of that size")
    return value.numerator


def factorial(value: Number) -> Number:
    """n!, up to 1000!."""
    return Fraction(math.factorial(whole(value, 1000)))


def logarithm(value: Number, base: Number) -> Number:
    """The logarithm to a base above 0 other than 1."""
    if base <= 0 or base == 1:
        raise ValueError("no base of a logarithm")
    return bounded(inexact(value).ln() / inexact(base).ln())


def ln(value: Number) -> Number:
    """The natural logarithm."""
    return Fraction(0) if value == 1 else bounded(inexact(value).ln())


def exp(value: Number) -> Number:
    """e to the power of the value."""
    return Fraction(1) if value == 0 else bounded(inexact(value).exp())


def rounded(value: Number, places: Number = Fraction(0)) -> Number:
    """To so many decimal places; halves go away from zero."""
    shift = 10 ** whole(places, 30)
    scaled = (value if isinstance(value, Fraction) else Fraction(value)) * shift
    sign = -1 if scaled < 0 else 1
    return Fraction(sign * math.floor(abs(scaled) + Fraction(1, 2)), shift)


def sine(angle: Number) -> Number:
    """The sine of an angle in radians, by its series."""
    if angle == 0:
        return Fraction(0)
    x = inexact(angle)
    if not Decimal("1e-10") < abs(x) < 10**6:
        raise ValueError("an angle too small or too large")
    turn = 2 * PI
    x -= (x / turn).to_integral_value() * turn
    total = term = x
    for n in range(3, 80, 2):
        term = -term * x * x / (n * (n - 1))
        total += term
    return Fraction(0) if abs(total) < _NOTHING else bounded(total)


def cosine(angle: Number) -> Number:
    """The cosine of an angle in radians."""
    return sine(add(angle, PI / 2))


def tangent(angle: Number) -> Number:
    """The tangent of an angle in radians."""
    return divide(sine(angle), cosine(angle))


def arctangent(value: Number) -> Number:
    """The angle in radians whose tangent it is: the argument is halved eight times, then the series."""
    x = inexact(value)
    for _ in range(8):
        x = x / (1 + (1 + x * x).sqrt())
    total = power_of_x = x
    for n in range(3, 40, 2):
        power_of_x = -power_of_x * x * x
        total += power_of_x / n
    return bounded(total * 256)


def total(values: Sequence[Number]) -> Number:
    """The sum."""
    return reduce(add, values)


def product(values: Sequence[Number]) -> Number:
    """The product."""
    return reduce(multiply, values)


def mean(values: Sequence[Number]) -> Number:
    """The arithmetic mean."""
    return divide(total(values), Fraction(len(values)))


def largest(values: Sequence[Number]) -> Number:
    """The largest value."""
    return max(values, key=lambda value: Fraction(value))


def smallest(values: Sequence[Number]) -> Number:
    """The smallest value."""
    return min(values, key=lambda value: Fraction(value))


def median(values: Sequence[Number]) -> Number:
    """The middle value, or the mean of the middle two."""
    ranked = sorted(values, key=lambda value: Fraction(value))
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else mean(ranked[middle - 1 : middle + 1])


def over_whole(function: Callable[..., int]) -> Callable[[Sequence[Number]], Number]:
    """A function of whole numbers (gcd, lcm, comb, perm) on numbers."""
    return lambda values: bounded(Fraction(function(*(whole(value, 10**12) for value in values))))


def chosen(values: Sequence[Number]) -> Number:
    """How many ways to choose k of n."""
    n, k = values
    return bounded(Fraction(math.comb(whole(n, 1000), whole(k, 1000))))


def arranged(values: Sequence[Number]) -> Number:
    """How many ways to arrange k of n."""
    n, k = values
    return bounded(Fraction(math.perm(whole(n, 1000), whole(k, 1000))))


def written(value: Number) -> str:
    """The value as text.

    Whole numbers in full, up to 40 digits. Decimals of at most 15 digits in full. Everything else rounded to 12
    digits, half to even, without trailing zeros; with an exponent below 0.000001 and, so that no digit is made up,
    from 10^12.
    """
    if isinstance(value, Fraction) and value.denominator == 1 and abs(value) < 10**MAX_DIGITS:
        return str(value.numerator)
    number = _to_digits(value, 15)
    is_rounded = Fraction(number) != Fraction(value)
    if is_rounded:
        number = _to_digits(value, 12)
    number = number.normalize()
    return f"{number:f}" if -6 <= number.adjusted() < (12 if is_rounded else 15) else f"{number:e}"


def _to_digits(value: Number, digits: int) -> Decimal:
    context = Context(prec=digits)
    if isinstance(value, Decimal):
        return context.plus(value)
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))
