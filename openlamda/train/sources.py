"""The weighted stream of training sequences that a recipe asks for: the rows of each task, and how much of each."""

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
from openlamda.corpus.made import Maker
from openlamda.corpus.rows import Judged, split
from openlamda.errors import UserError
from openlamda.text import objectives
from openlamda.text.grammar import Grammar, Sequence
from openlamda.text.tokenizer import Tokenizer
from openlamda.train.recipe import Recipe
from openlamda.train.tasks import JUDGES, MADE, MAKERS, OBJECTIVES, OWN, SAID_AGAIN, TASKS, corruptible, judge

Beliefs = Mapping[str, list[Mapping[str, float]]]  # task -> for each of its rows, attribute -> P
Sample = Callable[..., list[int]]  # text and key= -> ids

READERS: dict[str, Callable[[Path], Iterable]] = {
    **dict.fromkeys(("document", *OBJECTIVES), public.documents),
    "dialog": public.dialogs,
    "generate": public.dialogs,
    "chat": public.dialogs,
    "passage": public.passages,
    "word_problem": word_problems.read,
    **{name: getattr(public, name) for name in JUDGES},
}


class Source:
    """Endless training sequences of one task: its rows shuffled anew each time round. UserError where none fits.

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
        self._make = partial(judge, taught=taught) if taught else MAKERS[task]
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
            fitting = False
            for row in rows:
                if self._sample is not None:
                    encode = partial(self._sample, key=f"{self._seed} {self.task} {next(numbers)}")
                    grammar = Grammar(encode, self._grammar.sentinels)
                for sequence in self._make(row, grammar, self._limit, self._rng):
                    if len(sequence.tokens) <= self._limit and any(sequence.learned):
                        fitting = True
                        yield sequence
            if not fitting:
                raise UserError(f"mixture: task {self.task!r} has no row that fits into {self._limit} tokens")


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
            reader = READERS[task]
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
