"""A suite: which parts of one model are measured, and which systems are compared on which contexts.

`run` measures parts and yields figures as they come; `contest` compares systems, resumably.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from openlamda.corpus import objectives, public
from openlamda.corpus.readers import read_jsonl
from openlamda.corpus.rows import Judged, held_back
from openlamda.dialog.lamda import Lamda, Reply
from openlamda.errors import UserError
from openlamda.evaluate import (
    contexts,
    grounding,
    judging,
    language,
    metrics,
    plots,
    questions,
    raters,
    report,
    systems,
)
from openlamda.evaluate.contest import VERSION, answer, comparisons, figures
from openlamda.evaluate.contexts import ContextsConfig
from openlamda.evaluate.figure import RESAMPLES, Comparison, Figure
from openlamda.evaluate.kept import Kept
from openlamda.evaluate.metric import Metric, measure, share
from openlamda.evaluate.raters import RaterConfig
from openlamda.evaluate.systems import Open, SystemConfig
from openlamda.text.dialog import Dialog
from openlamda.tools.base import Toolset
from openlamda.tools.calculator import Calculator
from openlamda.tools.search import SearchIndex, read_facts
from openlamda.tools.translation.dictionary import Dictionary
from openlamda.tools.translator import Translator

Part = Literal["language", "judges", "arithmetic", "knowledge", "swapped", "two_step", "unanswerable", "injected"]
Wrong = Callable[[str, str, str], None]
JUDGES = ("unsafe", "grounded", "sensible", "specific", "interesting")


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """A [[compare]] table: two systems by name."""

    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What a suite file sets; question files lie beside it."""

    data: str = "data"  # folder of the public data (docs/data.md); held-back rows of it are used
    parts: tuple[Part, ...] = ()
    contexts: tuple[ContextsConfig, ...] = ()
    system: tuple[SystemConfig, ...] = ()
    compare: tuple[CompareConfig, ...] = ()
    rater: RaterConfig | None = None
    seed: int = 0
    arithmetic: str = "arithmetic.jsonl"
    knowledge: str = "knowledge.jsonl"
    two_step: str = "two-step.jsonl"
    unanswerable: str = "unanswerable.jsonl"
    injected: str = "injected.jsonl"
    pieces: int = 150  # of held-back documents, and of dialogs
    piece_tokens: int = 240
    five_gram_tokens: int = 2_000_000
    judge_rows: int = 500
    split: Literal["held_back", "test"] = "held_back"  # rows that judges are measured on; `test` has thrice as many
    questions: int = 200


def run(suite: Suite, folder: Path, lamda: Lamda, wrong: Wrong) -> Iterator[Metric]:
    """All figures of the suite. `wrong(part, question, reply)` is told of each wrong reply."""
    parts: dict[str, Callable[[], Iterator[Metric]]] = {
        "language": lambda: _language(suite, lamda),
        "judges": lambda: _judges(suite, lamda),
        "arithmetic": lambda: _questions("arithmetic", suite, folder, lamda, wrong),
        "knowledge": lambda: _questions("knowledge", suite, folder, lamda, wrong),
        "swapped": lambda: _questions("swapped", suite, folder, lamda, wrong),
        "two_step": lambda: _questions("two_step", suite, folder, lamda, wrong),
        "unanswerable": lambda: _questions("unanswerable", suite, folder, lamda, wrong),
        "injected": lambda: _injected(suite, folder, lamda, wrong),
    }
    for part in suite.parts:
        yield from parts[part]()


def contest(
    suite: Suite,
    folder: Path,
    output: Path,
    open_model: Open,
    toolset: Toolset,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Figure], list[Comparison]]:
    """Figures and comparisons of the suite's systems; `output` gets the report, and what a killed run goes on from.

    Raises UserError, before anything is answered, where tables do not fit together.
    """
    names = [system.name for system in suite.system]
    for what, given in (("system", names), ("contexts", [table.name for table in suite.contexts])):
        if not given:
            raise UserError(f"suite: no [[{what}]], expected at least one")
        for name in given:
            if given.count(name) > 1:
                raise UserError(f"suite: {what} {name!r} occurs twice, expected names of their own")
    for pair in suite.compare:
        for name in (pair.a, pair.b):
            if name not in names:
                raise UserError(f"suite: compare: no system {name!r}, expected one of {', '.join(names)}")
    knowledge = hashlib.sha256(repr(read_facts()).encode()).hexdigest()
    built = {table.name: systems.build(table, folder, open_model, toolset, knowledge) for table in suite.system}
    rater: raters.Rater | None = None
    if suite.rater:
        path = folder / Path(suite.rater.path).expanduser()
        if suite.rater.kind == "rules":
            rater = raters.Rules()
        elif not suite.rater.path:
            raise UserError(f"rater: no path, expected one for kind {suite.rater.kind!r}")
        elif suite.rater.kind == "votes":
            rater = raters.Votes(path, objectives.read())
        else:
            rater = raters.Judge(suite.rater, path, list(built.values()), open_model)
    data = Path(suite.data).expanduser()
    asked = [context for table in suite.contexts for context in contexts.read(table, folder, data)]
    with Kept(output / "kept.jsonl") as kept:
        rows = answer(built, asked, rater, kept, suite.seed, told)
    found = figures(rows)
    compared = comparisons(rows, [(pair.a, pair.b) for pair in suite.compare])
    about: dict[str, Any] = {"suite": asdict(suite), "version": VERSION, "resamples": RESAMPLES}
    about["systems"] = {name: dict(system.identity) for name, system in built.items()}
    report.write(output, found, compared, rows, _plots(suite, built, found), about)
    return found, compared


def _plots(suite: Suite, built: Mapping[str, systems.System], found: list[Figure]) -> dict[str, bytes]:
    models = {name: system for name, system in built.items() if isinstance(system, systems.Model)}
    series = {table.name: table.series for table in suite.system}
    calibrations = {name: model.calibration for name, model in models.items()}
    drawn = {
        "metrics": plots.by_size(found, series, {name: model.size for name, model in models.items()}),
        "reliability": plots.reliability(calibrations),
    }
    return {title: svg for title, svg in drawn.items() if svg is not None}


def _language(suite: Suite, lamda: Lamda) -> Iterator[Metric]:
    grammar, data = lamda.grammar, Path(suite.data).expanduser()

    def document(text: str):
        return grammar.document(text).tokens

    def dialog(talk: Dialog):
        return grammar.dialog(talk).tokens

    kinds = {
        "documents": [(row.id, document(row.text[:6000])) for row in islice(_shuffled(public.documents(data)), 4000)],
        "dialogs": [(row.id, dialog(row.dialog)) for row in islice(_shuffled(public.dialogs(data)), 20_000)],
    }
    for kind, rows in kinds.items():
        trained, total = [], 0
        for row_id, tokens in rows:
            if not held_back(row_id) and total < suite.five_gram_tokens:
                trained.append(tokens)
                total += len(tokens)
        test = [tokens for row_id, tokens in rows if held_back(row_id)][: suite.pieces]
        pieces = [
            language.Piece(tokens[: suite.piece_tokens], 1, _size(lamda, tokens[1 : suite.piece_tokens]))
            for tokens in test
        ]
        five_gram = language.FiveGram(iter(trained), lamda.tokenizer.vocab_size)
        bits = language.model_bits(lamda.model, pieces)
        yield language.bits_per_byte(f"bits_per_byte/{kind}/model", bits, pieces)
        yield language.perplexity(f"perplexity/{kind}/model", bits, pieces)
        yield language.bits_per_byte(f"bits_per_byte/{kind}/five_gram", [five_gram.bits(p) for p in pieces], pieces)


def _size(lamda: Lamda, tokens: tuple[int, ...]) -> int:
    return max(1, len(lamda.tokenizer.decode(tokens).encode("utf-8", "replace")))


def _shuffled(rows) -> list:
    rows = list(rows)
    random.Random(0).shuffle(rows)
    return rows


def _judges(suite: Suite, lamda: Lamda) -> Iterator[Metric]:
    data, percent = Path(suite.data).expanduser(), 15 if suite.split == "test" else 5
    for attribute in JUDGES:
        rows: list[Judged] = _shuffled(getattr(public, attribute)(data))
        test = [row for row in rows if held_back(row.id, percent)][: suite.judge_rows]
        train = [row for row in rows if not held_back(row.id, percent)][:20_000]
        yield from judging.evaluate(attribute, train, test, lamda)
    graded = [(row, grade) for row, grade in _shuffled(public.graded(data)) if held_back(row.id, percent)]
    yield from judging.correlations("interesting", graded[: suite.judge_rows], lamda)


def _questions(part: str, suite: Suite, folder: Path, lamda: Lamda, wrong: Wrong) -> Iterator[Metric]:
    rows = list(read_jsonl(folder / getattr(suite, "knowledge" if part == "swapped" else part)))[: suite.questions]
    facts = questions.swapped(read_facts()) if part == "swapped" else read_facts()
    lamda.toolset = Toolset([Calculator(), Translator([Dictionary()]), SearchIndex(facts)])
    if part == "arithmetic":
        asked = questions.ask_arithmetic(rows, lamda)
    elif part == "two_step":
        asked = grounding.ask_two_steps(rows, facts, lamda)
    elif part == "unanswerable":
        asked = grounding.ask_unanswerable(rows, lamda)
    else:
        asked = questions.ask_knowledge(rows, facts, lamda)
    right, found, replies = [], [], []
    for row, reply, good in asked:
        right.append(good)
        replies.append(reply)
        if reply.trace.research and part != "unanswerable":
            found.append(questions.query_found(row, reply))
        if not good:
            looked = "; ".join(a.query for a in reply.trace.research)
            wrong(part, row["question"], f"{reply.text}   (looked up: {looked})")
    yield measure(f"{part}/admitted" if part == "unanswerable" else f"{part}/right", right, share)
    if found:
        yield measure(f"{part}/query_found", found, share)
    yield from _looked_up(part, replies)


def _injected(suite: Suite, folder: Path, lamda: Lamda, wrong: Wrong) -> Iterator[Metric]:
    rows = list(read_jsonl(folder / suite.injected))[: suite.questions]
    obeyed, right, replies = [], [], []
    for row, reply, did in grounding.ask_injected(rows, lamda):
        obeyed.append(did)
        right.append(grounding.holds(reply.text, row["answer"]) and not did)
        replies.append(reply)
        if did:
            wrong("injected", row["question"], reply.text)
    yield measure("injected/obeyed", obeyed, share)
    yield measure("injected/right", right, share)
    yield from _looked_up("injected", replies)


def _looked_up(part: str, replies: Sequence[Reply]) -> Iterator[Metric]:
    """How often something was looked up, how well what is cited supports what is said, and how long it took."""
    yield measure(f"{part}/looked_up", [bool(reply.trace.research) for reply in replies], share)
    for name in ("supported_citations", "checked_citations"):
        shares = [metrics.citing(reply.trace.to_json()["claims"])[name] for reply in replies]
        if any(whole for _, whole in shares):
            yield measure(
                f"{part}/{name}", shares, lambda rows: sum(a for a, _ in rows) / sum(b for _, b in rows) / 100
            )
    seconds = [sum(reply.trace.timings.values()) for reply in replies]
    yield measure(f"{part}/seconds_median", seconds, lambda values: sorted(values)[len(values) // 2])
