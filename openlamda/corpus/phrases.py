"""Wordings for made rows: how people ask for attributes, sums and translations, and how replies put them.

{e} entity, {a} attribute, {v} value, {k} citation mark, {a} {b} {c} numbers, {w} word, {l} language, {q} query.
Questions for attributes, many of them, stand in questions.toml.
"""

import tomllib
from pathlib import Path

_ASKED = tomllib.loads((Path(__file__).parent / "questions.toml").read_text(encoding="utf-8"))
ATTRIBUTES: dict[str, tuple[str, list[str]]] = {name: (ask["kind"], ask["questions"]) for name, ask in _ASKED.items()}
"""attribute -> the kind of its values, and questions for it."""

GENERIC_QUESTIONS = [
    "what is the {a} of {e}", "what's the {a} of {e}", "{e}'s {a}", "what is {e}'s {a}", "{a} of {e}", "{e} {a}",
    "tell me the {a} of {e}", "do you know the {a} of {e}", "i need the {a} of {e}", "look up the {a} of {e}",
    "can you find the {a} of {e}", "i would like to know the {a} of {e}", "about {e}: what is the {a}",
    "what {a} does {e} have", "which {a} does {e} have", "give me {e}'s {a}", "what was the {a} of {e}",
]  # fmt: skip
FOLLOW_UPS = ["and its {a}", "what about the {a}", "and the {a}", "what is its {a}", "what is the {a}", "its {a}"]
LOOKUP_REPLIES = [
    "the {a} of {e} is {v}.{k}", "{e}: the {a} is {v}.{k}", "the {a} is {v}.{k}", "it is {v}.{k}", "{v}.{k}",
    "I looked it up: the {a} of {e} is {v}.{k}", "for {e}, the {a} is {v}.{k}",
]  # fmt: skip
UNSURE = [
    "Let me look that up.", "I will look that up.", "Let me check.", "Good question, let me check.", "I am not sure.",
    "Let me work that out.", "One moment, let me see.",
]  # fmt: skip
NOT_FOUND = ["I could not find that.", "I looked but found nothing about that.", "Sorry, I could not find out."]
OPENERS = [
    "hey, ", "hi! ", "quick question: ", "please tell me, ", "do you know ", "can you tell me ", "could you tell me ",
    "I wonder, ", "I'm curious, ", "tell me, ", "so, ", "hello, ", "Okay, ", "any idea ", "remind me, ", "well, ",
]  # fmt: skip
GREETERS = [
    "Hi!", "Hello there.", "Hey, how are you?", "I'm fine, thanks.", "Nice to meet you.", "Good morning!",
    "I have a question.", "Sure, go ahead.", "How can I help?", "Thanks, that helped.", "You're welcome.",
]  # fmt: skip

ARITHMETIC: list[tuple[str, list[str]]] = [
    ("{a}+{b}", [
        "what is {a} plus {b}", "{a}+{b}", "{a} + {b}", "how much is {a} and {b}", "add {a} and {b}", "{a} plus {b}",
        "what do you get if you add {b} to {a}", "what is the sum of {a} and {b}", "the total of {a} and {b}",
        "calculate {a} + {b}", "how much is {a}+{b}", "what is {a} added to {b}", "sum up {a} and {b}",
        "i have {a} coins and get {b} more, how many is that", "put {a} and {b} together", "{a} increased by {b}",
        "what does {a} plus {b} make", "what is {b} more than {a}", "compute {a} plus {b}"]),
    ("{a}-{b}", [
        "what is {a} minus {b}", "{a}-{b}", "{a} - {b}", "subtract {b} from {a}", "take {b} away from {a}",
        "how much is {a} less {b}", "{a} minus {b}", "what is the difference between {a} and {b}", "{a} take away {b}",
        "what is left of {a} after taking {b}", "calculate {a} - {b}", "{a} reduced by {b}", "deduct {b} from {a}",
        "i had {a} and gave away {b}, what remains", "what is {b} less than {a}", "{a} decreased by {b}"]),
    ("{a}*{b}", [
        "what is {a} times {b}", "{a}*{b}", "{a} x {b}", "{a} * {b}", "multiply {a} by {b}", "{a} times {b}",
        "what is the product of {a} and {b}", "how much is {a} multiplied by {b}", "{a} multiplied with {b}",
        "calculate {a} × {b}", "what do {a} boxes of {b} make", "work out {a} times {b}", "multiply {a} and {b}"]),
    ("{a}/{b}", [
        "what is {a} divided by {b}", "{a}/{b}", "{a} / {b}", "divide {a} by {b}", "{a} over {b}", "{a} ÷ {b}",
        "how often does {b} go into {a}", "share {a} among {b}", "split {a} into {b} equal parts",
        "how many times does {b} fit in {a}", "what is the quotient of {a} and {b}", "how much is {a} divided by {b}"]),
    ("{a}% of {b}", [
        "what is {a}% of {b}", "{a}% of {b}", "{a} percent of {b}", "how much is {a} percent of {b}",
        "what is {a} per cent of {b}", "calculate {a}% of {b}", "work out {a} percent of {b}", "take {a}% of {b}"]),
    ("{a}^2", ["what is {a} squared", "{a} squared", "the square of {a}", "square {a}", "{a}^2"]),
    ("{a}^3", ["what is {a} cubed", "the cube of {a}", "{a}^3", "{a} to the power of 3"]),
    ("{a}^{b}", ["what is {a} to the power of {b}", "{a}^{b}", "raise {a} to the power {b}", "{a} to the {b}th power"]),
    ("sqrt({a})", ["what is the square root of {a}", "square root of {a}", "the root of {a}", "sqrt({a})"]),
    ("{a}+{b}+{c}", ["{a}+{b}+{c}", "what is {a} plus {b} plus {c}", "add {a}, {b} and {c}"]),
    ("{a}*{b}+{c}", ["{a}*{b}+{c}", "what is {a} times {b} plus {c}", "multiply {a} by {b} and add {c}"]),
    ("({a}+{b})*{c}", ["({a}+{b})*{c}", "what is ({a} + {b}) times {c}", "add {a} and {b}, then multiply by {c}"]),
    ("{a}/2", ["what is half of {a}", "half of {a}", "halve {a}", "what's one half of {a}"]),
    ("{a}*2", ["what is twice {a}", "double {a}", "what is {a} doubled", "two times {a}"]),
]  # fmt: skip
ARITHMETIC_REPLIES = ["{q} = {v}", "It is {v}.", "That makes {v}.", "The answer is {v}.", "{v}.", "{q} is {v}."]
TRANSLATIONS = [
    "{w} in {l}", "how do you say {w} in {l}", "what is {w} in {l}", "translate {w} to {l}", "translate {w} into {l}",
    "what is the {l} word for {w}", "how do i say \"{w}\" in {l}", "what is the {l} for {w}", "{l} for {w}",
    "what do they call {w} in {l}", "how would you put {w} in {l}", "what's {w} called in {l}",
]  # fmt: skip
UNIT_REPLIES = ['In {l}, "{w}" is "{v}".', '"{w}" in {l} is "{v}".', 'It is "{v}" in {l}.', "{v}."]
