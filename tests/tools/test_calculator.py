import time
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.tools.calculator import Calculator
from openlamda.tools.sums import arithmetic

calculator = Calculator()


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("135+7721", "7856"),  # LaMDA, section 6.2
        ("10-5-2", "3"),
        ("8/4/2", "1"),
        ("2.5*2", "5"),
        ("1,234*2", "2468"),
        ("-3+5", "2"),
        ("2^10", "1024"),
        ("0.1+0.2", "0.3"),
        ("20% of 85", "17"),
        ("7 % of 50", "3.5"),
        ("what is 12 squared?", "144"),
        ("the sum of 135 and 7721", "7856"),
        ("subtract 5 from 20", "15"),
        ("square root of 144", "12"),
        ("12 x 3", "36"),
        ("6 ÷ 4", "1.5"),
        ("half of 90", "45"),
        ("1/3", "0.333333333333"),
        ("99999999999*99999999999", "9999999999800000000001"),
        ("(2+3)*4", "20"),
        ("max(1,200,3)", "200"),
        ("135+7721 = ?", "7856"),
        ("subtract 2+3 from 10", "5"),
        ("divide 10 by 2+3", "2"),
        ("4,914 / 14", "351"),
        ("what’s 5+3?", "8"),
        ("pi*2", "6.28318530718"),
        ("round(2.5)+0", "3"),
        ("by how much is 84 larger than 7", "77"),
        ("give me 76 plus 11, thanks", "87"),
        ("12*3 please, thank you!", "36"),
        ("how much is 84 greater than 7", "77"),
        ("how much is 20% greater than 50", "60"),
        ("what number is 84 larger than 7", "91"),
    ],
)
def test_calculations(query, value):
    assert [result.text for result in calculator(query)] == [value]
    assert calculator(query)[0].url is None


@pytest.mark.parametrize(
    "query", ["", "7", "hello", "How old is Rafael Nadal?", "hello in French", "1/0", "route 66", "e", "2*5!"]
)
def test_what_is_no_calculation_gives_nothing(query):
    assert calculator(query) == []


HOSTILE = [
    "fourth root of 625!", "cube root of 999!", "99th root of 1000!", "1000!^(1/7)",
    "9**9**9**9", "9^9^9^9", "__import__('os')", "(" * 1000 + "1" + ")" * 1000, "1/0", "10**10**7", "1e400*1",
    "factorial(10**6)", "1" * 100_000 + "+1", "[1 for i in range(9)]", "(1).__class__", "1 << 99999", "1+\0",
    "'a'*9**9",     "sqrt(-1)+1", "exp(9999)+1", "lambda: 1", "max()+1", "0.1+0.2",
    "exp(-5000)", "3 degrees 2 radians in degrees", "1" * 150 + " apples",
    "3.14159265358979323846264338327950288 what comes next",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_hostile_input_is_answered_at_once(query):
    results = calculator("1+1")
    seconds = []
    for _ in range(3):  # the best of three: what else the machine does is not counted
        began = time.perf_counter()
        results = calculator(query)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05
    assert len(results) <= 1


@given(st.integers(2, 10**30), st.integers(2, 99))
def test_an_exact_root_is_found(number, degree):
    with arithmetic.precisely():
        assert arithmetic.root(Fraction(number**degree), degree) == number


@given(st.integers(2, 1000), st.integers(2, 8))
def test_beside_a_power_no_root_is_whole(number, degree):
    with arithmetic.precisely():
        for beside in (-1, 1):
            assert isinstance(arithmetic.root(Fraction(number**degree + beside), degree), Decimal)


@settings(deadline=1000)
@given(st.text() | st.text("0123456789.,+-*/()! abe"))
def test_any_text_gives_at_most_one_result(query):
    assert len(calculator(query)) <= 1


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**9), st.sampled_from("+-*"))
def test_integers_are_exact(a, b, sign):
    expected = {"+": a + b, "-": a - b, "*": a * b}[sign]
    assert calculator(f"{a}{sign}{b}")[0].text == str(expected)


@st.composite
def expressions(draw, depth=0):
    """An expression in signs with its value, which is None where it divides by zero."""
    if depth == 4 or draw(st.booleans()):
        number = draw(st.decimals(0, 10**6, places=draw(st.integers(0, 3))))
        return f"{number:f}", Fraction(number)
    left, a = draw(expressions(depth=depth + 1))
    right, b = draw(expressions(depth=depth + 1))
    sign = draw(st.sampled_from("+-*/"))
    text = f"({left}{draw(st.sampled_from(['', ' ']))}{sign} {right})"
    if a is None or b is None or (sign == "/" and b == 0):
        return text, None
    return text, {"+": a + b, "-": a - b, "*": a * b}[sign] if sign != "/" else a / b


@given(expressions())
def test_nested_expressions_equal_fractions(made):
    text, value = made
    results = calculator(f"{text} + 0")
    if value is None or len(text) > 190:
        assert results == []
    elif value.denominator == 1:
        assert results[0].text == str(value.numerator)
    else:
        assert Fraction(results[0].text) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("2^0.5*2^0.5", "2"),  # what cancels in 50 digits leaves nothing
        ("sqrt(2)^2 - 2", "0"),
        ("exp(-100)", "3.72007597602e-44"),
        ("1/2 divided by 1/4", "2"),
        ("1/1000000", "0.000001"),
        ("1/8000000", "1.25e-7"),
        ("0.123456789012345 * 1", "0.123456789012345"),
        ("2/3 * 10^15", "6.66666666667e+14"),
        ("2/3 * 10^16", "6.66666666667e+15"),
        ("2^100", "1267650600228229401496703205376"),
        ("10^40 - 1", "9" * 40),
        ("10^40", "1e+40"),
        ("100!", "9.33262154439e+157"),
    ],
)
def test_how_an_answer_is_written(query, answer):
    assert [result.text for result in calculator(query)] == [answer]


@pytest.mark.parametrize(
    "query",
    [
        "square root of 16 plus 9",
        "6/2(1+2)",
        "10 - 3 less than 20",
        "the sum of 15 and 9 divided by 4",
        "5% + 3",
        "1,23 + 4",
        "days between 3/4/2024 and 5/4/2024",
        "sin 30",
        "10 / 1/2",
        "divide 10 by 2 plus 3",
        "average of 4 and 6 times 2",
        "factorial of 3 squared",
        "-3 squared",
        "5 times minus 3 squared",
        "16 Mb in MB",
        "20 dollars in euros",
        "3 tons in kg",
        "2 years in days",
        "one of the two",
    ],
)
def test_what_can_be_read_in_two_ways_has_no_answer(query):
    assert calculator(query) == []


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("divide 10 million by 2", "5000000"),
        ("divide 6 million by 3 thousand", "2000"),
        ("divide 10 000 by 4", None),
        ("divide 10 dozen by 2", "60"),
        ("divide 100 by 2 dozen", "4.16666666667"),
        ("split 6 thousand between 3", "2000"),
        ("3 boxes of 4 dozen", "144"),
        ("3 boxes of 4 dozens", None),
        ("5 packs of 2 thousand", "10000"),
        ("2 dozen at 3 each", "72"),
        ("2 dozen eggs at 3 each", "72"),
        ("how many dozen are in 3 boxes of 24", None),
        ("divide 10 by 2 squared", "2.5"),
        ("divide 10 by 3 percent", None),
        ("divide 10 by 2 pi", "1.59154943092"),
        ("divide 10 apples among 5 children", "2"),
    ],
)
def test_a_noun_is_no_piece_of_a_number(query, answer):
    assert [result.text for result in calculator(query)] == ([answer] if answer else [])


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("√16/4", "1"),
        ("2 ** 4/2", "8"),
        ("2 ^ 1/2", "1"),
        ("2 ^ -1/2", "0.25"),
        ("3/4 ^ 2", "0.1875"),
        ("12 mod 8/2", "2"),
        ("12 % 8/2", "2"),
        ("100 - 3/4 * 8", "94"),
    ],
)
def test_spaces_around_a_fraction_change_nothing(query, answer):
    for spelling in (query, query.replace("/", " / "), query.replace(" ^ ", "^").replace(" ** ", "**")):
        assert [result.text for result in calculator(spelling)] == [answer], spelling


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("10 divided by 1/2", "20"),
        ("10 divided by (4/2)", "5"),
        ("square root of 1/4", "0.5"),
        ("cube root of (24/3)", "2"),
        ("3/4 squared", "0.5625"),
        ("12 - 3/4 of 8", "6"),
    ],
)
def test_a_fraction_below_one_is_one_number_beside_words(query, answer):
    assert [result.text for result in calculator(query)] == [answer]


@pytest.mark.parametrize(
    "query",
    [
        "6/2 (1+2)",
        "10 divided by 4/2",
        "10 over 4/2",
        "10 // 4/2",
        "cube root of 27/3",
        "factorial of 6/2",
        "2 to the power of 4/2",
        "5 choose 4/2",
        "4/2 squared",
        "4/2 to the third power",
        "halve 10 plus 4",
        "square 3 plus 1",
        "3 plus 4 doubled",
        "take the square root of 16 plus 9",
        "area of a circle with radius 2 plus 1",
        "take 10 subtract 3 times 2",
        "take 8, multiply by 5 plus 2",
        "sum of 3 and 4 times 2",
        "twenty-fifth of 100",
        "twenty fifths of 100",
        "one hundred fifth of 1000",
        "one hundred thousandths plus 1",
        "ten thousandths plus 1",
    ],
)
def test_words_that_may_reach_further_have_no_answer(query):
    assert calculator(query) == []


@pytest.mark.parametrize("query", ["log base 0 of 5", "log base 1 of 5", "log 5 base 0", "log base 2 of 0"])
def test_no_logarithm_has_a_base_of_0_or_1(query):
    assert calculator(query) == []


@pytest.mark.parametrize(
    "query",
    ["12-25-2023", "12-25-23", "1939-1945", "978-0-306-40615-7", "0-306-40615-2", "555-123-4567", "123-45-6789"],
)
def test_numbers_with_hyphens_are_no_sums(query):
    assert calculator(query) == []
    assert calculator(f"what is {query}?") == []


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("10-5-2", "3"),
        ("100 - 20 - 5", "75"),
        ("2*100-20-5", "175"),
        ("2024-1987", "37"),
        ("12-25", "-13"),
        ("100-20-5 = ?", "75"),
    ],
)
def test_a_subtraction_is_no_telephone_number(query, answer):
    assert [result.text for result in calculator(query)] == [answer]


@pytest.mark.parametrize(
    "query",
    [
        "100 Cal in kJ",
        "100 CAL in kJ",
        "5 Mm in m",
        "5 Mg in g",
        "1 MS in s",
        "5 NM in km",
        "5 mHz in Hz",
        "5 Mbar in bar",
    ],
)
def test_a_unit_that_another_case_makes_another_has_no_answer(query):
    assert calculator(query) == []


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("100 cal in J", "418.4 J"),
        ("100 kCal in kJ", "418.4 kJ"),
        ("5 mm in m", "0.005 m"),
        ("5 MHz in Hz", "5000000 Hz"),
        ("-273.15 C in K", "0 K"),
        ("twenty quarters plus 1", "6"),
        ("two thirds of 90", "60"),
    ],
)
def test_what_has_one_reading_keeps_its_answer(query, answer):
    assert [result.text for result in calculator(query)] == [answer]


@pytest.mark.parametrize("query", ["-300 c in k", "-1 k in c", "-500 f in c"])
def test_nothing_is_colder_than_absolute_zero(query):
    assert calculator(query) == []


def test_the_clock_is_given():
    clocked = Calculator(lambda: date(2024, 2, 28))
    assert [result.text for result in clocked("what date is 2 days from now")] == ["1 March 2024"]
    assert [result.text for result in clocked("what is today's date?")] == ["28 February 2024"]


@pytest.mark.parametrize(
    "query", ["round(1, 2, 3)", "quotient of 8, 4 and 2", "mod(9, 5, 3)", "pow(2, 3, 4)", "difference of 9, 5 and 1"]
)
def test_what_takes_two_has_no_answer_for_three(query):
    assert Calculator()(query) == []
