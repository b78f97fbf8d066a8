"""The calculator: how much of the suite it answers, and whether any string makes it slow, crash or run something.

Strings are made of random characters, phrasings with pieces changed, nested parentheses, huge numbers, digits of other
scripts and code. An audit hook ends the run where anything is opened, imported, compiled or started while a query is
answered. Times are of the processor, so what else the machine does is not counted.

python benchmarks/calculator.py [--strings 1000000] [--seed 0]
"""

import argparse
import csv
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec

from openlamda.tools.calculator import Calculator

SUITES = Path(__file__).parents[1] / "suites"
LIMIT = 0.1  # seconds
CODE = (
    "__import__('os').system('id')", "().__class__.__bases__[0].__subclasses__()", "open('/etc/passwd').read()",
    "exec('1+1')", "eval('2*2')", "[x for x in range(9**9)]", "lambda: 1", "'a'*9**9", "f'{1+1}'", "print(1)",
    "globals()['x']", "1 if 1 else 2", "while True: pass", "import sys", "${7*7}", "{{7*7}}", "$(id)", "`id`",
    "; rm -rf /", "9**9**9**9", "2**-9**9", "factorial(10**6)", "1000!", "((1000!)^9)", "10 choose 5",
    "lcm(999999999989, 999999999961)",
    "exp(999)", "e^999", "10^-999", "sin(999999)", "0.1^300", "1e300*1e300", "99th root of 1e300",
    "100000 days after 1 May 2024",
)  # fmt: skip
DIGITS = "٠١٢٣٤٥٦٧٨٩०१२३४५६७८९０１２３４５６７８９²³¹½⅓ⅠⅣ𝟘𝟙"
SIGNS = "0123456789+-*/^%!(),.= '\"\\$€£[]{}<>~|&@#:;?_\0\n\t√π×÷−°abcdexnoft"
WORDS = (
    "plus minus times divided by of and the sum product difference square root cube power percent half third quarter"
    " dozen hundred thousand million point days weeks between after before from to in km miles feet inches kg degrees"
    " degrees radians celsius mph at for hours gallons stone bytes"
    " january may 2024 what is how many increase add subtract multiply round nearest decimal places more than less"
).split()


class Question(msgspec.Struct):
    question: str
    answer: str


Make = Callable[[random.Random, list[str]], str]


def soup(rng: random.Random, phrasings: list[str]) -> str:
    return "".join(rng.choice(SIGNS) for _ in range(rng.randint(1, 210)))


def words(rng: random.Random, phrasings: list[str]) -> str:
    pieces = (
        rng.choice(WORDS) if rng.random() < 0.6 else str(rng.randint(0, 10**6)) for _ in range(rng.randint(1, 40))
    )
    return " ".join(pieces)


def mutated(rng: random.Random, phrasings: list[str]) -> str:
    text = rng.choice(phrasings)
    for _ in range(rng.randint(1, 5)):
        at = rng.randint(0, len(text))
        other = rng.choice(phrasings)
        cut = rng.randint(0, len(other))
        piece = rng.choice((rng.choice(SIGNS), rng.choice(WORDS), other[cut : cut + 12], "", str(rng.getrandbits(60))))
        text = text[:at] + piece + text[at + rng.randint(0, 3) :]
    return text


def nested(rng: random.Random, phrasings: list[str]) -> str:
    depth = rng.randint(1, 95)
    opening = rng.choice(("(", "sqrt(", "-(", "half of ", "√", "((", "sum of ", "max(1,"))
    return opening * depth + str(rng.randint(0, 99)) + ")" * rng.randint(0, depth) + rng.choice(("", "+1", "^2", "!"))


def huge(rng: random.Random, phrasings: list[str]) -> str:
    def number() -> str:
        digits = "9" * rng.randint(1, 60)
        return digits + rng.choice(("", "." + digits, "!", "e" + str(rng.randint(0, 400)), "%", " million", "!!"))

    signs = ("^", "**", "*", "/", "+", "-", " choose ", " mod ", "^(1/", " to the power of ", "//")
    return "".join(number() + rng.choice(signs) for _ in range(rng.randint(1, 8))) + number()


def foreign(rng: random.Random, phrasings: list[str]) -> str:
    return "".join(rng.choice(DIGITS) if letter.isdigit() else letter for letter in rng.choice(phrasings))


def unicode(rng: random.Random, phrasings: list[str]) -> str:
    return "".join(chr(rng.choice((rng.randrange(0xD800), rng.randrange(128)))) for _ in range(rng.randint(1, 120)))


def code(rng: random.Random, phrasings: list[str]) -> str:
    return rng.choice(("", "what is ", "1+", "(")) + rng.choice(CODE) + rng.choice(("", "+1", ")", " plus 2", "!"))


def repeated(rng: random.Random, phrasings: list[str]) -> str:
    piece = rng.choice(
        (*WORDS, "1 ", "a ", "1,", "- ", "1/", "2 in ", " and ", "% of ", "to the ", "what is ", "=", "!")
    )
    return (
        rng.choice(("", "5 ", "how many "))
        + (piece * 200)[: rng.randint(20, 199)]
        + rng.choice(("", " in km", "1", "?"))
    )


KINDS: tuple[Make, ...] = (soup, words, mutated, mutated, nested, huge, foreign, unicode, code, repeated)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--strings", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    calculator = Calculator(lambda: date(2026, 3, 10))
    with (SUITES / "calculator.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    for half, name in enumerate(("looked at", "only counted")):
        suite(calculator, [row for row in rows if zlib.crc32(row["phrasing"].encode()) % 2 == half], name)
    questions = [msgspec.json.decode(line, type=Question) for line in (SUITES / "arithmetic.jsonl").open("rb")]
    suite(calculator, [{"phrasing": q.question, "answer": q.answer} for q in questions], "arithmetic.jsonl")
    fuzz(calculator, [row["phrasing"] for row in rows], args.strings, args.seed)


def suite(calculator: Calculator, rows: list[dict[str, str]], name: str) -> None:
    answers = [[result.text for result in calculator(row["phrasing"])] for row in rows]
    exact = sum(answer == [row["answer"]] for row, answer in zip(rows, answers, strict=True))
    silent = answers.count([])
    wrong = len(rows) - exact - silent
    print(f"{name}: {exact} of {len(rows)} exact ({exact / len(rows):.1%}), {wrong} wrong, {silent} none")


def fuzz(calculator: Calculator, phrasings: list[str], strings: int, seed: int) -> None:
    rng, watching, kinds = random.Random(seed), False, Counter()

    def watch(event: str, details: tuple[object, ...]) -> None:
        if watching:
            sys.exit(f"{event} {details!r:.200}")

    sys.addaudithook(watch)
    answered, slowest, worst, total, slow = 0, 0.0, "", 0.0, 0
    for _ in range(strings):
        make = rng.choice(KINDS)
        query = make(rng, phrasings)
        watching, began = True, time.thread_time()
        found = calculator(query)
        seconds = time.thread_time() - began
        watching = False
        kinds[make.__name__] += 1
        answered, total, slow = answered + bool(found), total + seconds, slow + (seconds > LIMIT)
        if seconds > slowest:
            slowest, worst = seconds, query
    print(f"fuzz: {strings:,} strings, {answered:,} answered, mean {total / strings * 1e3:.3f} ms")
    print(f"slowest {slowest * 1e3:.1f} ms: {worst!r:.120}")
    print(f"over {LIMIT * 1e3:.0f} ms: {slow}; nothing was opened, imported or run; no exception")
    print(dict(kinds))


if __name__ == "__main__":
    main()
