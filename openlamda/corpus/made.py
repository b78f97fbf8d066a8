"""Rows made here: arithmetic, words to translate, and look-ups of invented facts, in varied wording.

They teach the model to say what to look up and to copy what came back. Entities and values are drawn at random, so that
nothing in them can be remembered; questions and values of the evaluation suites are not in this file.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from openlamda.corpus.phrases import (
    ARITHMETIC_REPLIES,
    ATTRIBUTES,
    FOLLOW_UPS,
    GENERIC_QUESTIONS,
    GREETERS,
    INVENTED,
    LANGUAGES,
    LOOKUP_REPLIES,
    NOT_FOUND,
    OPENERS,
    PLAIN_SUMS,
    SUM_SLOTS,
    TOLD_SUMS,
    TRANSLATIONS,
    UNIT_REPLIES,
    UNSURE,
)
from openlamda.corpus.rows import Repeated, Researched
from openlamda.corpus.talk import about_whom, earlier
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Step

SMALL_WORDS = frozenset(
    "a an the of is are was were be been do does did has have had it its it's that this to in on at for and or i i'd "
    "i'm i've you your me my we us please can could would will want like need know tell say show give get find curious "
    "wondering wonder question quick hey hi hello so um well okay thanks what what's whats remind any idea just really "
    "actually exactly there by let about if look up check".split()
)
"""With what a query does not begin. Who, when, where, which and how stay: they say what is asked for."""

_MARKS = '.,?!:;"() '
_ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl dr fl gr kr pl sh st th tr".split()
_VOWELS = "a e i o u a e i o ai ea ou ia".split()
_CODAS = ["", "", "", "n", "r", "l", "s", "m", "nd", "rt", "k", "x", "th", "ll"]
_FIRST = (
    "Anna Omar Maria Pedro Chen Ivan Lucy Karl Aisha Tom Elena Hugo Nina Paul Rosa Mark Ines Leo Clara Samuel".split()
)


def query_of(question: str) -> str:
    """`question` from its first word of weight on. One stretch of it: a small model copies that without a slip."""
    words = question.split()
    begin = 0
    while begin < len(words) - 1 and words[begin].strip(_MARKS).removesuffix("'s").casefold() in SMALL_WORDS:
        begin += 1
    return " ".join(words[begin:]).rstrip(_MARKS)


@dataclass
class Maker:
    """Draws rows with `rng`; `words` (lower-case English) and `names` feed its invented names, `replies` of any dialog
    the drafts, which say little about what is asked.
    """

    rng: random.Random
    words: Sequence[str]
    names: Sequence[str] = ()
    replies: Sequence[str] = ()

    def _syllables(self) -> str:
        parts = (
            self.rng.choice(_ONSETS) + self.rng.choice(_VOWELS) + self.rng.choice(_CODAS)
            for _ in range(self.rng.choice((1, 2, 2, 2, 3)))
        )
        return "".join(parts).capitalize()

    def person(self) -> str:
        """A name like Elena Brouth."""
        return f"{self.rng.choice(_FIRST) if self.rng.random() < 0.5 else self._syllables()} {self._syllables()}"

    def place(self) -> str:
        """A name like Kraim or New Sheand."""
        return self.rng.choice(("", "", "", "", "New ", "North ", "Port ", "San ")) + self._syllables()

    def entity(self) -> str:
        """A thing to be asked about: invented, or a given name."""
        draw = self.rng.random()
        if self.names and draw < 0.45:
            return self.rng.choice(self.names)
        if draw < 0.65:
            return self.person()
        if draw < 0.8:
            return self.rng.choice(("Mount ", "Lake ", "", "", "the River ", "Fort ", "Cape ")) + self._syllables()
        title = " ".join(self.rng.choice(self.words).capitalize() for _ in range(self.rng.choice((1, 2, 2))))
        return self.rng.choice(("The ", "", "", "A ")) + title

    def value(self, kind: str) -> str:
        """A random value: of a kind that phrases.py names, else one of the words given there; names sometimes in two
        parts, as "Genoa, Italy" or "Bill Hewlett and David Packard" are.
        """
        rng, value = self.rng, self.plain(kind)
        if kind not in ("person", "place", "name", "word") or rng.random() < 0.75:
            return value
        other = self.plain(kind)
        return rng.choice((f"{value}, {other}", f"{value}, {other}", f"{value} and {other}", f"{value} ({other})"))

    def plain(self, kind: str) -> str:
        """A value in one part."""
        rng = self.rng
        if kind == "person":
            return self.person()
        if kind == "place":
            return self.place()
        if kind == "year":
            return str(rng.randint(1000, 2024))
        if kind == "number":
            return str(rng.randint(1, 10 ** rng.randint(1, 3)))
        if kind == "word":
            return self.rng.choice(self.words)
        if kind == "name":
            return self.rng.choice((self.entity, self.place, self.person))()
        if "|" in kind:
            return rng.choice(kind.split("|"))
        amount = rng.randint(2, 10 ** rng.randint(2, 6))
        return f"{amount:,} {kind}" if rng.random() < 0.9 else f"{amount / 10:,.1f} {kind}"

    def ask(self, question: str) -> str:
        """A question as somebody types it."""
        if self.rng.random() < 0.5:
            question = question[0].upper() + question[1:]
        if self.rng.random() < 0.3:
            question = self.rng.choice(OPENERS) + question
        return question + self.rng.choice(("?", "?", "?", "", ".", "??", " please?"))

    def start(self) -> tuple[Turn, ...]:
        """Turns before the question: sometimes a little talk, or another question and its answer."""
        rng, draw = self.rng, self.rng.random()
        if draw < 0.65:
            return ()
        if draw < 0.75:
            return (Turn("user", rng.choice(GREETERS)), Turn("agent", rng.choice(GREETERS)))
        return earlier(self, rng.choice((1, 1, 2)))

    def draft(self, value: str) -> str:
        """What is said before anything was looked up; now and then `value`, which is wrong."""
        draw = self.rng.random()
        if draw < 0.4:
            return self.rng.choice(UNSURE)
        if draw < 0.6:
            return f"I think it is {value}."
        if draw < 0.9 and self.replies:
            return self.rng.choice(self.replies)
        return " ".join(self.rng.choice(self.words) for _ in range(self.rng.randint(1, 8))).capitalize() + "."

    def invented(self) -> tuple[str, str, str]:
        """An attribute that no entry has, the kind of its values, and a question for it, of {e}."""
        attribute, kind, questions = self.rng.choice(INVENTED)
        word = self.rng.choice(self.words)
        if self.rng.random() < 0.2:
            word += " " + self.rng.choice(self.words)
        generic = self.rng.random() < 0.3
        question = self.rng.choice(GENERIC_QUESTIONS if generic else questions)
        attribute = attribute.replace("{w}", word)
        return attribute, kind, question.replace("{a}", attribute).replace("{w}", word)

    def beside(self, entity: str, attribute: str) -> str:
        """A result that is not the one asked for: the entity's, of another attribute; or another's, with a word of the
        entity's name.
        """
        rng = self.rng
        other = rng.choice([name for name in ATTRIBUTES if name != attribute])
        if rng.random() < 0.15:
            different, kind, _ = self.invented()
            if not set(different.split()) & set(attribute.split()):
                return f"{entity} / {different} / {self.value(kind)}"
        if rng.random() < 0.5:
            return f"{entity} / {other} / {self.value(ATTRIBUTES[other][0])}"
        words, stranger = entity.split(), self.entity()
        if len(words) > 1 and rng.random() < 0.7:
            kept = rng.randrange(len(words))
            stranger = " ".join(word if n == kept else self.place() for n, word in enumerate(words))
        shown = attribute if attribute in ATTRIBUTES and rng.random() < 0.6 else other
        return f"{stranger} / {shown} / {self.value(ATTRIBUTES[shown][0])}"

    def lookup(self) -> Researched:
        """A question about one attribute of one entity, asked of the toolset, answered from the snippet."""
        rng = self.rng
        if rng.random() < 0.3:
            attribute, kind, question = self.invented()
        else:
            attribute = rng.choice(list(ATTRIBUTES))
            kind, questions = ATTRIBUTES[attribute]
            question = rng.choice(GENERIC_QUESTIONS if rng.random() < 0.35 else questions)
        entity, value = self.entity(), self.value(kind)
        question = question.format(e=entity, a=attribute)
        asked = self.ask(question)
        query = as_written(query_of(question), asked)
        turns = self.start()
        if rng.random() < 0.1:
            first = rng.choice(list(ATTRIBUTES))
            known = rng.choice(LOOKUP_REPLIES).format(e=entity, a=first, v=self.value(ATTRIBUTES[first][0]), k="")
            turns = (Turn("user", f"What is the {first} of {entity}?"), Turn("agent", known.strip()))
            asked = self.ask(rng.choice(FOLLOW_UPS).format(a=attribute))
            query = f"{entity} {attribute}"
        elif rng.random() < 0.1:
            entity, attribute, value, turns, asked, query = about_whom(self)
        context = Dialog((*turns, Turn("user", asked)))
        right = Step(query, f"{entity} / {attribute} / {value}")
        draw = rng.random()
        if draw < 0.03:
            return Researched("lookup", context, self.draft(value), (Step(query, None),), rng.choice(NOT_FOUND))
        wrong = [Step(query, self.beside(entity, attribute)) for _ in range((draw < 0.25) + (draw < 0.08))]
        steps = (*wrong, right)
        k = len(steps)
        reply = rng.choice(LOOKUP_REPLIES).format(e=entity, a=attribute, v=value, k=f" [{k}]")
        return Researched("lookup", context, self.draft(self.value(kind)), steps, reply[0].upper() + reply[1:])

    def _number(self) -> str:
        rng = self.rng
        number = rng.randint(0 if rng.random() < 0.1 else 2, 10 ** rng.choice((1, 2, 2, 3, 3, 4, 5)))
        if rng.random() < 0.08:
            return f"{number / 10:.1f}"
        return str(number)

    def _filled(self, wording: str) -> str:
        """A wording with a word in each <slot>, some of which hold others."""
        while slot := re.search(r"<(\w+)>", wording):
            wording = wording.replace(slot[0], self.rng.choice(SUM_SLOTS[slot[1]]), 1)
        return wording

    def arithmetic(self) -> Researched:
        """A calculation in words or signs, answered with the calculator's result.

        It is asked in the user's words where it reads them; otherwise in signs, now and then only after it, or the
        search, has made nothing of the words.
        """
        rng = self.rng
        told = rng.random() < 0.6
        wordings = TOLD_SUMS if told else PLAIN_SUMS
        form = rng.choices(list(wordings), weights=[len(some) for some in wordings.values()])[0]
        (wording,) = rng.choices(wordings[form], [1 + 3 * each.count("<") for each in wordings[form]])
        wording = self._filled(wording)  # one with slots stands for many, and is drawn more often
        a, b, c = self._number(), self._number(), self._number()
        if form == "{a}-{b}" and Decimal(a) < Decimal(b) and ("between" in wording or rng.random() < 0.8):
            a, b = b, a  # a difference between two has no sign, and few lose more than they have
        if "/" in form and "." not in a + b:
            b = str(rng.randint(2, 99))
            a = str(int(b) * rng.randint(2, 500)) if rng.random() < 0.7 else a
        if form == "{a}/{b}" and not Decimal(b):
            b = "4"
        if "%" in form or "^" in form or "sqrt" in form:
            a = str(rng.randint(1, 100)) if "%" in form else str(rng.randint(2, 40))
            a = str(int(a) ** 2) if "sqrt" in form else a
            b = str(rng.randint(2, 4)) if "^{b}" in form else b
        if form in ("{a}-{b}", "{a}/{b}") and re.fullmatch(r"\d{1,2}\.\d", a) and re.fullmatch(r"\d{4}(\.\d)?", b):
            b = b[:3]  # 41.3/4412 may be a date, which the calculator leaves alone
        result = _calculate(form, Decimal(a), Decimal(b), Decimal(c))
        comma = rng.random() < 0.15 and "sqrt" not in form  # 12,345 as people write it
        a, b, c = (f"{int(n):,}" if comma and n.isdigit() else n for n in (a, b, c))
        if form in ("{a}+{b}", "{a}*{b}") and wording.find("{b}") < wording.find("{a}"):
            form = f"{{b}}{form[3]}{{a}}"  # in the order in which they were said
        signs = re.sub(r"([-+*/])", r" \1 ", form).format(a=a, b=b, c=c)
        question = wording.format(a=a, b=b, c=c)
        asked = self.ask(question)
        words = as_written(query_of(question), asked)
        steps = (Step(signs if told else words, result),)
        if told and rng.random() < 0.4:
            nothing = None if rng.random() < 0.6 else self.beside(self.entity(), rng.choice(list(ATTRIBUTES)))
            steps = (Step(words, nothing), *steps)
        reply = rng.choice(ARITHMETIC_REPLIES).format(q=signs, v=result)
        context = Dialog((*self.start(), Turn("user", asked)))
        return Researched("arithmetic", context, self.draft(self._number()), steps, reply)

    def translation(self) -> Researched:
        """A word to be translated; the answer is an invented word, so that it must be read."""
        language = self.rng.choice(LANGUAGES)
        word = self.rng.choice(self.words)
        value = self._syllables().lower() if self.rng.random() < 0.7 else self.rng.choice(self.words)
        question = self.rng.choice(TRANSLATIONS).format(w=word, l=language)
        context = Dialog((*self.start(), Turn("user", self.ask(question))))
        reply = self.rng.choice(UNIT_REPLIES).format(w=word, l=language, v=value)
        query = f"{word} in {language}"
        return Researched("translation", context, self.draft(self._syllables()), (Step(query, value),), reply)

    def repeated(self) -> Repeated:
        """Names, values, numbers and words in a row, said three times: only the repeats can be foreseen."""
        rng = self.rng
        makers = (self.entity, self.place, self.person, lambda: self.value("year"), lambda: self.value("metres"))
        items = [
            rng.choice(makers)() if rng.random() < 0.5 else rng.choice(self.words) for _ in range(rng.randint(3, 14))
        ]
        return Repeated("copy", rng.choice((" ", ", ", " / ")).join(items), rng.choice((2, 3, 3)))

    def repeats(self) -> Iterator[Repeated]:
        """Endless rows of repeated text."""
        while True:
            yield self.repeated()


def as_written(query: str, asked: str) -> str:
    """The stretch of what was asked that the query is, capitals and all."""
    place = asked.casefold().find(query.casefold())
    return asked[place : place + len(query)]


def _calculate(form: str, a: Decimal, b: Decimal, c: Decimal) -> str:
    values = {
        "{a}+{b}": lambda: a + b,
        "{a}-{b}": lambda: a - b,
        "{b}-{a}": lambda: b - a,
        "{a}*{b}": lambda: a * b,
        "{a}/{b}": lambda: a / b,
        "{a}^2": lambda: a**2,
        "{a}^3": lambda: a**3,
        "{a}^{b}": lambda: a**b,
        "sqrt({a})": lambda: a.sqrt(),
        "{a}% of {b}": lambda: a * b / 100,
        "{a}+{b}+{c}": lambda: a + b + c,
        "{a}*{b}+{c}": lambda: a * b + c,
        "({a}+{b})*{c}": lambda: (a + b) * c,
        "{a}/2": lambda: a / 2,
        "{a}*2": lambda: a * 2,
    }
    value = values[form]()
    return f"{(Context(prec=12).plus(value) if '/' in form else value).normalize():f}"
