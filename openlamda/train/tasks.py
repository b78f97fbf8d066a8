"""Rows into training sequences, one function a task: which rows make which; the grammar writes the sequences."""

import random
import re
from collections.abc import Callable, Iterator

from openlamda.corpus import chains, word_problems
from openlamda.corpus.made import query_of
from openlamda.corpus.phrases import ARITHMETIC_REPLIES, PASSAGE_REPLIES, UNSURE
from openlamda.corpus.rows import Answered, Document, Judged, Repeated, Researched, Talk
from openlamda.text import objectives
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar, Sequence, Step

JUDGES = ("unsafe", "abusive", "grounded", "supported", "sensible", "specific", "interesting")
MADE = tuple(chains.MADE)
OBJECTIVES = ("span_corruption", "prefix_lm")  # over documents, beside plain prediction
OWN = ("filtered", "ratings")  # rows that a recipe names
SAID_AGAIN = (
    "copy",
    "chat",
    "passage",
    "word_problem",
    *MADE,
)  # never cut at random: they copy what was read
TASKS = (
    "document", *OBJECTIVES, "dialog", "generate", "chat", "passage", "word_problem", *OWN, *JUDGES, *MADE, "copy"
)  # fmt: skip


def fit(dialog: Dialog, grammar: Grammar, limit: int) -> Dialog:
    """The newest turns of `dialog` that take at most `limit` tokens, and the last turn in any case."""
    turns = dialog.turns
    while len(turns) > 1 and len(grammar.context(Dialog(turns)).tokens) > limit:
        turns = turns[1:]
    return Dialog(turns)


def document(row: Document, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A random piece of a document, as long as a sequence may be."""
    sequence = grammar.document(stretch(row.text, limit, rng))
    yield Sequence(sequence.tokens[:limit], sequence.learned[:limit])


def stretch(text: str, limit: int, rng: random.Random) -> str:
    """At most `limit` words of a text from a random one on."""
    words = re.split(r"(?<=\s)", text)
    start = rng.randrange(max(1, len(words) - limit // 2))
    return "".join(words[start : start + limit])


def prefix_lm(row: Document, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A random piece of a document, learned from a random place on."""
    (whole,) = document(row, grammar, limit, rng)
    yield objectives.prefix_lm(whole.tokens, rng)


def span_corruption(row: Document, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A random piece of a document with spans cut out, which are learned."""
    whole = grammar.document(stretch(row.text, limit, rng))
    tokens = whole.tokens[1:-1][: corruptible(limit)]
    if len(tokens) > 1:
        yield grammar.spans(objectives.span_corruption(tokens, rng, grammar.sentinels))


def corruptible(limit: int) -> int:
    """How many tokens of a text make a sequence of at most `limit`: two sentinels are added for each span."""
    return max((n for n in range(2, limit) if n + 2 * objectives.spans_of(n)[1] + 2 <= limit), default=0)


def dialog(row: Talk, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A random stretch of a dialog."""
    turns = row.dialog.turns
    start = rng.randrange(max(1, len(turns) - 6))
    while start < len(turns):
        end = start + 1
        while end < len(turns) and len(grammar.dialog(Dialog(turns[start : end + 1])).tokens) <= limit:
            end += 1
        sequence = grammar.dialog(Dialog(turns[start:end]))
        yield Sequence(sequence.tokens[:limit], sequence.learned[:limit])
        return


def generate(row: Talk, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """One agent turn as the reply to what stands before it."""
    turns = row.dialog.turns
    places = [n for n, turn in enumerate(turns) if n and turn.author == "agent" and len(turn.text.split()) < 60]
    if places:
        at = rng.choice(places)
        context = fit(Dialog(turns[max(0, at - 4) : at]), grammar, limit // 2)
        yield grammar.generate(context, turns[at].text)


def filtered(row: Judged, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A turn that the judges let pass, as the reply to its context."""
    yield grammar.generate(fit(row.context, grammar, limit // 2), row.response)


def chat(row: Talk, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A draft that needs no look-up: research says USER and repeats it (LaMDA, section 6.2: "good" turns)."""
    turns = row.dialog.turns
    places = [n for n, turn in enumerate(turns) if n and turn.author == "agent" and len(turn.text.split()) < 16]
    if places:
        at = rng.choice(places)
        context = fit(Dialog(turns[max(0, at - 2) : at]), grammar, limit // 2)
        yield grammar.research(context, turns[at].text, (), turns[at].text)


def judge(row: Judged, grammar: Grammar, limit: int, rng: random.Random, taught: float = 0) -> Iterator[Sequence]:
    """A sequence for each label of the row; a longer one than the limit is left out. A share `taught` of the ratings is
    drawn by what the row's teacher believes, another each time.
    """
    for attribute, label in row.labels.items():
        context = fit(row.context, grammar, limit // 3)
        response = " ".join(row.response.split(" ")[:80])
        if attribute in row.beliefs and rng.random() < taught:
            label = rng.random() < row.beliefs[attribute]
        yield grammar.judge(context, response, attribute, label, row.snippets, row.kind)


def research(row: Researched, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """The look-ups and the reply; now and then the draft alone, as generator and as base, or a judgement.

    Weak labels: a made reply is safe, sensible and grounded in its snippets; the draft, which stood before the look-up,
    is not grounded in them; nor are shuffled words sensible.
    """
    yield grammar.research(row.context, row.draft, row.steps, row.reply)
    snippets = [step.snippet for step in row.steps if step.snippet]
    if rng.random() < 0.2:
        good = rng.random() < 0.5
        kind = rng.choice(("unsafe", "sensible", "grounded"))
        if kind == "unsafe":
            yield grammar.judge(row.context, row.reply if good else row.draft, kind, False)
        elif kind == "sensible":
            words = row.reply.split()
            yield grammar.judge(row.context, row.reply if good else " ".join(rng.sample(words, len(words))), kind, good)
        elif snippets:
            yield grammar.judge(row.context, row.reply if good else row.draft, kind, good, snippets)
    if row.id == "small_talk":
        yield grammar.generate(row.context, row.reply)
    elif rng.random() < 0.25:
        unsure = "Let me work that out." if row.id in ("arithmetic", "translation") else "Let me look that up."
        yield grammar.generate(row.context, unsure) if rng.random() < 0.7 else grammar.base(row.context, unsure)


def passage(row: Answered, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A question answered from a stretch of a passage, the answer's words as they stand there."""
    words = row.passage.split()
    before = len(row.passage[: row.passage.index(row.answer)].split())
    start = max(0, before - rng.randrange(40))
    shown = " ".join(words[start : start + rng.randint(40, 80)])
    if row.answer in shown:
        reply = rng.choice(PASSAGE_REPLIES).format(v=row.answer, k=" [1]")
        step = Step(query_of(row.question), shown)
        context = Dialog((Turn("user", row.question),))
        yield grammar.research(context, rng.choice(UNSURE), (step,), reply[0].upper() + reply[1:])


def word_problem(
    row: word_problems.WordProblem, grammar: Grammar, limit: int, rng: random.Random
) -> Iterator[Sequence]:
    """A story with other numbers each time, asked of the calculator in signs; now and then the draft alone."""
    question, expression, result = word_problems.redrawn(row, rng)
    reply = rng.choice(ARITHMETIC_REPLIES).format(q=expression, v=result)
    context = Dialog((Turn("user", question),))
    draft = rng.choice(UNSURE) if rng.random() < 0.6 else f"I think it is {rng.randrange(1000)}."
    yield grammar.research(context, draft, (Step(expression, result),), reply)
    if rng.random() < 0.2:
        yield grammar.generate(context, "Let me work that out.")


def copy(row: Repeated, grammar: Grammar, limit: int, rng: random.Random) -> Iterator[Sequence]:
    """A text said again and again; the first time is only read. Copying grows out of this sooner than out of prose."""
    once = grammar.document(row.text)
    whole = grammar.document(" ".join([row.text] * row.times))
    first = len(once.tokens) - 1
    yield Sequence(whole.tokens, (False,) * first + whole.learned[first:])


MAKERS: dict[str, Callable[..., Iterator[Sequence]]] = {
    "document": document,
    "span_corruption": span_corruption,
    "prefix_lm": prefix_lm,
    "dialog": dialog,
    "generate": generate,
    "chat": chat,
    "filtered": filtered,
    **dict.fromkeys(("ratings", *JUDGES), judge),
    **dict.fromkeys(MADE, research),
    "passage": passage,
    "word_problem": word_problem,
    "copy": copy,
}
