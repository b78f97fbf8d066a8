"""Rows into training sequences: one function a task, and the weighted stream of them that a recipe asks for.

The grammar writes the sequences; here it is decided which rows, and how much of each.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path

from openlamda.corpus import chains, public, ratings, teacher, word_problems
from openlamda.corpus import objectives as objectives_file
from openlamda.corpus.kept import KeptTurns
from openlamda.corpus.made import Maker, query_of
from openlamda.corpus.phrases import ARITHMETIC_REPLIES, PASSAGE_REPLIES, UNSURE
from openlamda.corpus.rows import Answered, Document, Judged, Repeated, Researched, Talk, split
from openlamda.errors import UserError
from openlamda.text import objectives
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar, Sequence, Step
from openlamda.text.tokenizer import Tokenizer
from openlamda.train.recipe import Recipe

Beliefs = Mapping[str, list[Mapping[str, float]]]  # task -> for each of its rows, attribute -> P
Sample = Callable[..., list[int]]  # text and key= -> ids

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


_MAKERS: dict[str, Callable[..., Iterator[Sequence]]] = {
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
_READERS: dict[str, Callable[[Path], Iterable]] = {
    **dict.fromkeys(("document", *OBJECTIVES), public.documents),
    "dialog": public.dialogs,
    "generate": public.dialogs,
    "chat": public.dialogs,
    "passage": public.passages,
    "word_problem": word_problems.read,
    **{name: getattr(public, name) for name in JUDGES},
}


class Source:
    """Endless training sequences of one task: its rows shuffled anew each time round.

    With `sample`, each row's texts are cut into subwords at random, by seed, task and number of the row alone.
    """

    def __init__(
        self,
        task: str,
        rows: Iterable,
        grammar: Grammar,
        limit: int,
        seed: int,
        sample: Sample | None = None,
        taught: float = 0,
    ):
        self.task = task
        self.epochs = 0
        self._make = partial(judge, taught=taught) if taught else _MAKERS[task]
        self.rows, self._grammar, self._limit = rows, grammar, limit
        self._seed, self._sample = seed, sample
        self._rng = random.Random(f"{seed} {task}")

    def __iter__(self) -> Iterator[Sequence]:
        grammar, numbers = self._grammar, count()
        while True:
            rows = self.rows
            if isinstance(rows, KeptTurns):
                rows = rows.shuffled(self._rng)
            elif isinstance(rows, list):
                rows = self._rng.sample(rows, len(rows))
            self.epochs += 1
            for row in rows:
                if self._sample is not None:
                    encode = partial(self._sample, key=f"{self._seed} {self.task} {next(numbers)}")
                    grammar = Grammar(encode, self._grammar.sentinels)
                for sequence in self._make(row, grammar, self._limit, self._rng):
                    if len(sequence.tokens) <= self._limit and any(sequence.learned):
                        yield sequence


def sources(
    mixture: dict[str, float],
    folder: Path,
    tokenizer: Tokenizer,
    limit: int,
    seed: int,
    names: list[str],
    subword_regularisation: float = 0,
    filtered: str = "",
    rated: Iterable[Judged] = (),
    taught: Mapping[str, float] | None = None,
    *,
    held: bool = False,
    beliefs: Beliefs | None = None,
) -> dict[str, Source]:
    """A source for each task of the mixture, of rows to train on; `held`: of those to validate by (`rows.split`).

    `filtered` is a directory of `openlamda filter`, `rated` what `rated_rows` gives, for the tasks of those names.
    `taught`: of judging tasks, the share of ratings that a teacher gives (corpus/teacher.py); none where held.
    `beliefs`: what teachers believe of each row of a task; where it is not given, they are trained now.
    Raises UserError for an unknown task, shares that do not sum to 1, missing data, or a tokenizer that has too few
    sentinels.
    """
    check_shares(mixture)
    check_taught(taught or {}, mixture)
    for task in mixture:
        if task not in TASKS:
            raise UserError(f"mixture: no task {task!r}, expected one of {', '.join(TASKS)}")
    if "span_corruption" in mixture:
        _, spans = objectives.spans_of(max(corruptible(limit), 2))
        if spans > len(tokenizer.sentinels):
            raise UserError(
                f"mixture: span_corruption of {limit} tokens takes {spans} sentinels, the tokenizer has "
                f"{len(tokenizer.sentinels)}; `openlamda tokenizer train --sentinels {max(spans, 100)}` makes one"
            )
    grammar = Grammar(tokenizer.encode, tuple(tokenizer.sentinels))
    sample = partial(tokenizer.sample, alpha=subword_regularisation) if subword_regularisation else None
    read: dict[Callable, list] = {}
    made: dict[str, Source] = {}
    words, drafts, use = common_words(folder), [], "dev" if held else "train"
    for task in mixture:
        rng = random.Random(f"{seed} {task} rows")
        if task == "copy":
            rows: Iterable = Maker(rng, words, names).repeats()
        elif task in MADE:
            drafts = drafts or short_replies(folder)
            rows = chains.rows(Maker(rng, words, names, drafts), task)
        elif task in OWN:
            if task == "ratings":
                rows = [row for row in rated if split(row.id) == use]
            else:
                rows = KeptTurns(Path(filtered).expanduser(), use) if filtered else []
            if next(iter(rows), None) is None:
                raise UserError(f"mixture: task {task!r} has no rows, expected the recipe's {task} = ... to give some")
        else:
            reader = _READERS[task]
            if reader not in read:
                read[reader] = [row for row in reader(folder) if split(row.id) == use]
            rows = read[reader]
        share = 0 if held else (taught or {}).get(task, 0)
        if share:
            labelled = [row for row in rows if isinstance(row, Judged)]
            believed = (beliefs or {}).get(task) or teacher.believed(labelled)
            rows = [replace(row, beliefs=p) for row, p in zip(labelled, believed, strict=True)]
        # a text that is said again must be the same tokens each time
        made[task] = Source(task, rows, grammar, limit, seed, None if task in SAID_AGAIN else sample, share)
    return made


def rated_rows(recipe: Recipe) -> list[Judged]:
    """The rows of a recipe's ratings files. Raises UserError for a file that cannot be read."""
    rules = objectives_file.read(Path(recipe.objectives)) if recipe.objectives else objectives_file.read()
    read = ratings.read([Path(path).expanduser() for path in recipe.ratings], rules)
    return list(ratings.judged(read, rules))


def kept_to_choose_by(attributes: Iterable[str], folder: Path, rated: Iterable[Judged] = ()) -> dict[str, list[Judged]]:
    """Labelled rows of the dev split for each attribute, of the public data and of `rated`."""
    found = {name: list(getattr(public, name)(folder)) if name in JUDGES else [] for name in attributes}
    for row in rated:
        for name in row.labels.keys() & found.keys():
            found[name].append(row)
    return {name: [row for row in rows if split(row.id) == "dev"] for name, rows in found.items()}


def common_words(folder: Path, count: int = 8000) -> list[str]:
    """Lower-case words of 4 to 10 letters out of the first documents, in order of appearance."""
    found: dict[str, None] = {}
    for row in islice(public.documents(folder), 400):
        found.update(dict.fromkeys(re.findall(r"\b[a-z]{4,10}\b", row.text)))
        if len(found) >= count:
            break
    return list(found)[:count]


def check_shares(mixture: dict[str, float]) -> None:
    """Raises UserError for shares that are not positive or do not sum to 1."""
    if abs(sum(mixture.values()) - 1) > 1e-6 or min(mixture.values()) <= 0:
        raise UserError(f"mixture: the shares sum to {sum(mixture.values()):g}, expected positive ones that sum to 1")


def check_taught(taught: Mapping[str, float], mixture: Mapping[str, float]) -> None:
    """Raises UserError for a teacher of what the mixture does not judge, or a share that is none."""
    for task, share in taught.items():
        if task not in mixture or task not in ("ratings", *JUDGES) or not 0 <= share <= 1:
            raise UserError(
                f"teacher: {task} = {share:g}, expected a judging task of the mixture and a share of 0 to 1"
            )


def short_replies(folder: Path) -> list[str]:
    """Agent turns of less than 16 words, of one dialog in ten."""
    talks = (row for row in islice(public.dialogs(folder), 0, None, 10) if split(row.id) == "train")
    turns = (turn for talk in talks for turn in talk.dialog.turns[1:])
    return [turn.text for turn in turns if turn.author == "agent" and len(turn.text.split()) < 16]


def mixed(made: dict[str, Source], mixture: dict[str, float]) -> Iterator[tuple[str, Sequence]]:
    """Sequences of all sources, each time from the one that is furthest behind its share of the tokens."""
    streams = {task: iter(source) for task, source in made.items()}
    given = dict.fromkeys(mixture, 0.0)
    while True:
        task = min(given, key=lambda name: given[name] / mixture[name])
        sequence = next(streams[task])
        given[task] += len(sequence.tokens)
        yield task, sequence
