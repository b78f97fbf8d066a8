"""Word problems: which are taken, and that other numbers keep the story true."""

import json
import lzma
import random
import re
from fractions import Fraction

import pytest

from openlamda.corpus import word_problems
from openlamda.corpus.word_problems import WordProblem, redrawn, value
from openlamda.tools.calculator import Calculator

SHARE = WordProblem("a", "Ann has 12 pens for 4 pupils. How many does each get?", "12 / 4")
TAKEN = WordProblem("b", "Of 90 cups Ben broke 7 and then 13. How many are whole?", "90 - (7 + 13)")
PRICE = WordProblem("c", "A kilo is $1.25. What do 8 kilos cost?", "1.25 * 8")


def svamp(name, question, steps, final):
    return {"id": name, "question": question, "calculator": steps, "final": final}


def folder_of(tmp_path, rows):
    for name, some in (("tools_svamp", rows), ("tools_gsm8k", [])):
        lines = "".join(json.dumps(row) + "\n" for row in some)
        (tmp_path / f"{name}.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    return tmp_path


def read_one(tmp_path, question, steps, final):
    rows = word_problems.read(folder_of(tmp_path, [svamp("x", question, steps, final)]))
    return [row.expression for row in rows]


def test_steps_become_one_expression(tmp_path):
    steps = [{"expr": "7+13", "result": "20"}, {"expr": "90-20", "result": "70"}]
    assert read_one(tmp_path, TAKEN.question, steps, "70") == ["90 - (7 + 13)"]
    assert read_one(tmp_path, "I had 43 and lost 21.", [{"expr": "( 43.0 - 21.0 )", "result": 22.0}], 22.0) == [
        "43 - 21"
    ]


@pytest.mark.parametrize(
    ("question", "expression", "final"),
    [
        ("I had 43 and 43 and lost 21.", "43-21", "22"),  # which of the two?
        ("I had some and lost 21.", "43-21", "22"),
        ("I had 43% and lost 21.", "43-21", "22"),
        ("I had 43 and lost 21.", "43-21", "23"),
        ("I had 21 and lost 43.", "21-43", "-22"),
        ("I had 43 and lost 21.", "43-x", "22"),
        ("I had 43 and lost 21.", "43-", "22"),
        ("I had 43 and lost 21. " + "And so on. " * 30, "43-21", "22"),
        ("1 2 3 4", "1+2+3+4", "10"),
    ],
)
def test_what_has_no_such_solution_is_left_out(question, expression, final, tmp_path):
    assert read_one(tmp_path, question, [{"expr": expression, "result": final}], final) == []


@pytest.mark.parametrize("row", [SHARE, TAKEN, PRICE])
def test_other_numbers_keep_the_story_true(row):
    calculator, rng, seen = Calculator(), random.Random(0), set()
    for _ in range(200):
        question, expression, result = redrawn(row, rng)
        numbers = re.findall(r"\d+(?:\.\d+)?", question)
        assert sorted(numbers) == sorted(re.findall(r"\d+(?:\.\d+)?", expression))
        assert re.sub(r"\d+(\.\d+)?", "N", question) == re.sub(r"\d+(\.\d+)?", "N", row.question)
        assert Fraction(result) == value(expression) > 0
        assert calculator(expression)[0].text == result
        seen.add(question)
    assert len(seen) > 100


def test_as_many_decimals_and_the_same_order_of_size():
    rng = random.Random(0)
    for _ in range(200):
        question, _, result = redrawn(SHARE, rng)
        pens, pupils = map(int, re.findall(r"\d+", question))
        assert pens > pupils and "." not in result
        assert re.search(r"\$\d+\.\d\d\.", redrawn(PRICE, rng)[0])


@pytest.mark.parametrize("expression", ["2 ** 3", "f(2)", "-2", "2 - 5", "'a'"])
def test_only_sums_above_nothing_have_a_value(expression):
    with pytest.raises(ValueError):
        value(expression)
