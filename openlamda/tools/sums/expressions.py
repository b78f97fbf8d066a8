"""The value of an expression in signs and words: `"half of (3 + 5) squared"`.

Operators bind as in school: powers, then "of", then products, then sums. What people read in two ways ("square root of
16 plus 9", "6/2(1+2)") raises `ValueError`, like everything that is no expression.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

from openlamda.tools.sums import arithmetic
from openlamda.tools.sums.arithmetic import Number
from openlamda.tools.sums.numerals import Token, tokens
from openlamda.tools.sums.operations import (
    AFTER_ALL,
    ANGLES,
    CONSTANTS,
    DIVISIONS,
    FUNCTIONS,
    INFIX,
    LISTS,
    OF,
    POSTFIX,
    PRODUCTS,
    SIGNED,
    SUMS,
    function,
)
from openlamda.tools.sums.spellings import named

MAX_DEPTH = 40


class Value(NamedTuple):
    """A number; a percentage counts as so many hundredths, or as that share of what it is added to."""

    number: Number
    is_percent: bool = False


def evaluate(text: str, names: Mapping[str, Value] | None = None, *, is_sum: bool = False) -> Value:
    """The value of plain text. With `is_sum`, a number by itself is none."""
    parser = _Parser(tokens(named(text)), names or {})
    value = parser.expression(0)
    if parser.place < len(parser.tokens) or (is_sum and (not parser.operations or value.is_percent)):
        raise ValueError("no sum")
    return value


class _Parser:
    """Precedence climbing over tokens, evaluating as it reads."""

    def __init__(self, found: list[Token], names: Mapping[str, Value]):
        self.tokens = found
        self.names = names
        self.place = 0
        self.operations = 0
        self._depth = 0
        self._closed_at = -1  # an operand without parentheses ended here: no operator may follow

    def _text(self, ahead: int = 0) -> str:
        place = self.place + ahead
        return self.tokens[place].text if place < len(self.tokens) else ""

    def _take(self, *texts: str) -> bool:
        found = self.place < len(self.tokens) and self._text() in texts
        self.place += found
        return found

    def expression(self, binding: int) -> Value:
        """The value of what binds more tightly than `binding`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("too deep")
        value = self._postfixed(self._operand())
        has_divided = has_added = False
        while (joined := self._infix(binding, has_divided)) is not None:
            operator, level, function, width = joined
            if self.place == self._closed_at:
                raise ValueError("can be read in two ways")
            if operator == "of" and not (value.is_percent or self.tokens[self.place - 1].is_part or self._is_share()):
                raise ValueError("no share of anything")
            if operator == "lessthan" and has_added:
                raise ValueError("can be read in two ways")  # 10 - 3 less than 20
            has_added = has_added or level == SUMS
            has_divided = (has_divided or operator in DIVISIONS) and level == PRODUCTS
            self.place += width
            self.operations += 1
            right = self.expression(level - (operator == "^") if level != OF else OF - 1)
            value = self._joined(operator, function, value, right)
        self._depth -= 1
        return value

    def _is_share(self) -> bool:
        """Whether the operand that ends here is a fraction in digits, which stands in parentheses."""
        before = self.tokens[max(self.place - 5, 0) : self.place]
        return [token.text for token in before] == ["(", "", "/", "", ")"]

    def _joined(self, operator: str, function: Callable[[Number, Number], Number], left: Value, right: Value) -> Value:
        if operator in ("morethan", "lessthan") and left.is_percent:  # 10% more than 50 is 55
            left, right = right, left
            function = arithmetic.add if operator == "morethan" else arithmetic.subtract
        if function in (arithmetic.add, arithmetic.subtract):
            if left.is_percent:
                raise ValueError("a percentage plus something can mean two things")
            if right.is_percent:  # 200 + 10% is 220
                return Value(arithmetic.multiply(left.number, function(Fraction(1), right.number)))
        return Value(function(left.number, right.number))

    def _infix(
        self, binding: int, has_divided: bool
    ) -> tuple[str, int, Callable[[Number, Number], Number], int] | None:
        """The operator here: its name, how it binds, what it does, how many tokens it has."""
        text = self._text()
        if text == "%" and self.place + 1 < len(self.tokens):
            text = "mod"  # a percentage would have been taken with its number
        if text in INFIX:
            level, function = INFIX[text]
            return (text, level, function, 1) if level > binding else None
        if self.place >= len(self.tokens) or binding >= PRODUCTS or not self._begins_factor():
            return None
        if has_divided:
            raise ValueError("can be read in two ways")  # 6/2(1+2)
        return "", PRODUCTS, arithmetic.multiply, 0

    def _begins_factor(self) -> bool:
        """Whether the next token multiplies without a sign: `2(3)`, `2 pi`, `half the sum`."""
        before, text = self.tokens[self.place - 1], self._text()
        if text == "(":
            return before.number is not None or before.text == ")"
        if text in LISTS and before.is_part:
            return True
        return (text in CONSTANTS or text == "√" or text.startswith("root_")) and before.is_digits

    def _postfixed(self, value: Value) -> Value:
        while True:
            if self._text() in POSTFIX and self.place != self._closed_at:
                if self._has_sign():
                    raise ValueError("minus 3 squared can be read in two ways")
                value = Value(arithmetic.power(value.number, POSTFIX[self._text()]))
            elif self._text() in ("!", "factorial") and self._text(1) not in ("!", "of", "(", "factorial"):
                value = Value(arithmetic.factorial(value.number))
            elif self._text() == "%" and self._is_percent_sign():
                value = Value(arithmetic.divide(value.number, Fraction(100)), is_percent=True)
                self.operations -= 1
            elif self._text() == "degrees":
                value = Value(arithmetic.multiply(value.number, arithmetic.PI / 180))
                self.operations -= 1
            else:
                return value
            self.place += 1
            self.operations += 1

    def _has_sign(self) -> bool:
        """Whether a sign, not a subtraction, stands before the number that ends here."""
        before = self.tokens[max(self.place - 3, 0) : self.place - 1]
        if not before or before[-1].text not in ("minus", "-"):
            return False
        return len(before) == 1 or (before[0].number is None and before[0].text not in (")", *CONSTANTS, *POSTFIX))

    def _is_percent_sign(self) -> bool:
        """Not `17 % 5`, which is a remainder."""
        following = self.tokens[self.place + 1] if self.place + 1 < len(self.tokens) else None
        return following is None or (following.number is None and following.text not in ("(", *FUNCTIONS))

    def _operand(self) -> Value:
        if self.place >= len(self.tokens):
            raise ValueError("something is missing")
        token = self.tokens[self.place]
        self.place += 1
        if token.number is not None:
            self.operations += token.is_counted
            return Value(token.number)
        text = token.text
        if text in self.names:
            return self.names[text]
        if text in ("-", "minus"):
            value = self.expression(SIGNED)
            return Value(-value.number, value.is_percent)
        if text == "+":
            return self.expression(SIGNED)
        if text == "(":
            return self._within_parentheses()
        if text in CONSTANTS:
            self.operations += text == "pi"
            return Value(CONSTANTS[text])
        self.operations += 1
        if text == "√":
            return Value(arithmetic.root(self.expression(SIGNED).number, 2))
        if text in ("twice", "thrice"):
            return Value(arithmetic.multiply(Fraction(2 if text == "twice" else 3), self._tight(OF).number))
        if text in LISTS and (text not in FUNCTIONS or self._has_comma()):
            return self._list(text)
        return self._function(text)

    def _within_parentheses(self) -> Value:
        value = self.expression(0)
        if not self._take(")"):
            raise ValueError("a parenthesis is open")
        return value

    def _tight(self, binding: int) -> Value:
        self._take("of")
        return self.expression(binding)

    def _has_comma(self) -> bool:
        return any(token.text == "," for token in self.tokens[self.place :])

    def _function(self, name: str) -> Value:
        """A function of one value, in parentheses or of one operand after which nothing may follow."""
        apply = function(name)
        began = self.place
        is_list = self._text(1 if self._text() == "of" else 0) in LISTS
        if self._take("("):
            return Value(apply(self._within_parentheses().number))
        value = self._tight(SIGNED)
        if name in ANGLES and isinstance(value.number, Fraction) and value.number:
            raise ValueError("degrees or radians?")
        if not name.startswith("root") and any(token.text in POSTFIX for token in self.tokens[began : self.place]):
            raise ValueError("can be read in two ways")  # factorial of 3 squared
        if not is_list and self.tokens[self.place - 1].text != ")":
            self._closed_at = self.place
        return Value(apply(value.number))

    def _list(self, name: str) -> Value:
        """`sum of 3, 4 and 5`, `max(1, 2)`."""
        in_parentheses = self._text() == "(" and name not in ("sum", "product", "difference", "quotient")
        in_parentheses = in_parentheses or (self._text() == "(" and self._has_comma())
        values, spans = [], []
        self.place += in_parentheses
        if not in_parentheses:
            self._take("of", "between")
        while True:
            began = self.place
            values.append(self.expression(0 if in_parentheses else SUMS).number)
            spans.append({token.text for token in self.tokens[began : self.place]})
            if not (self._take(",", "and")):
                break
            self._take("and")
        if in_parentheses:
            if not self._take(")"):
                raise ValueError("a parenthesis is open")
        else:
            after_all = AFTER_ALL if name in ("difference", "product") else AFTER_ALL | {"times"}
            if spans[-1] & after_all - set().union(*spans[:-1]):
                raise ValueError("can be read in two ways")
            if name not in ("sum", "product"):
                self._closed_at = self.place
        if len(values) < 2 and name != "sum" and not (in_parentheses and name in ("max", "min")):
            raise ValueError("a list of one")
        return Value(LISTS[name](values))
