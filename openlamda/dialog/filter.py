"""The turns of a corpus that the model's own judges let pass (LaMDA, section 6.1): a streaming job that resumes.

Takes dialogs and judges, leaves a directory: for each chunk of turns the kept ones and the counts, each file written
whole or not at all, and a manifest at the end. Which turns are kept depends on the model, the thresholds and the input
alone: not on the batch size, nor on how often the job was killed. Memory holds three chunks.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from openlamda.corpus.files import row_writer, write_json
from openlamda.dialog.chunks import Chunk, chunks_of, turns_of
from openlamda.dialog.judge import Judges, probability, score_name
from openlamda.engine.base import BulkRater
from openlamda.errors import UserError
from openlamda.text.grammar import Grammar
from openlamda.text.tokenizer import Symbol, Tokenizer

T = TypeVar("T")
CHUNK = 2048  # turns; two chunks are lost at most when the job is killed
BINS = 50  # of a score's histogram


@dataclass
class Counts:
    """What became of the turns. `below` counts a turn once for each threshold that it missed."""

    seen: int = 0
    kept: int = 0
    left_out: dict[str, int] = field(default_factory=dict)  # by reason, before judging
    below: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, list[int]] = field(default_factory=dict)  # score -> turns in each fiftieth of 0 ... 1

    def add(self, other: "Counts") -> None:
        """Take another chunk's counts in."""
        self.seen += other.seen
        self.kept += other.kept
        self.left_out = dict(Counter(self.left_out) + Counter(other.left_out))
        self.below = dict(Counter(self.below) + Counter(other.below))
        for name, histogram in other.histograms.items():
            mine = self.histograms.setdefault(name, [0] * BINS)
            self.histograms[name] = [a + b for a, b in zip(mine, histogram, strict=True)]

    def quantile(self, name: str, share: float) -> float:
        """The score below which `share` of the turns lie, to a fiftieth."""
        wanted, total = share * sum(self.histograms[name]), 0
        for place, count in enumerate(self.histograms[name]):
            total += count
            if total >= wanted:
                return (place + 1) / BINS
        return 1.0


@dataclass(frozen=True)
class Job:
    """What decides which turns are kept; a directory holds the work of one job."""

    inputs: tuple[tuple[str, str], ...]  # file name and SHA-256, in the order that they are read in
    model: str  # SHA-256 of all that its ratings come from
    thresholds: dict[str, float]
    window: int  # tokens of context
    turns: int | None = None  # stop after so many
    chunk: int = CHUNK


def job_of(
    paths: Sequence[Path], model: Path, judges: Judges, thresholds: Mapping[str, float], window: int, turns: int | None
) -> Job:
    """The job of a model's own thresholds, those of `thresholds` in their place."""
    read = tuple((path.name, hashed(path)) for path in paths)
    own = {name: least for name, least in sorted(judges.thresholds.items()) if name != "grounded"}
    return Job(read, model_hash(model), own | dict(thresholds), window, turns)


def run(
    directory: Path,
    paths: Sequence[Path],
    rater: BulkRater,
    tokenizer: Tokenizer,
    judges: Judges,
    job: Job,
    batch_rows: int = 16,
    report: Callable[[Counts], None] = lambda counts: None,
) -> Counts:
    """Judge every turn, keep those that reach every threshold; an unfinished job in `directory` goes on. A dialog's
    contexts are cut by `stretches.contexts`, and what they share is read once.

    Raises UserError where the directory holds another job's work, where a threshold
    has no judge, or for a row that cannot be read.
    """
    attributes = [name for name in judges.attributes if name != "grounded"]  # grounded in what? there are no snippets
    known = [score_name(name) for name in attributes]
    for name in job.thresholds:
        if name not in known:
            raise UserError(f"threshold {name!r}: the model has no such judge, expected one of {', '.join(known)}")
    job_file = directory / "job.json"
    if job_file.exists() and _read(job_file, Job) != job:
        raise UserError(
            f"{job_file}: this directory holds another job's work (other model, thresholds or inputs); choose another"
        )
    if not job_file.exists():
        write_json(job_file, job)
    grammar = Grammar(lru_cache(maxsize=256)(tokenizer.encode))  # a reply is soon part of a context
    questions = [grammar.question(name).tokens for name in attributes]
    before = Counter[str]()
    turns = islice(turns_of(paths, before), job.turns)
    chunks = chunks_of(turns, job.chunk, job.window, grammar, lambda number: _files(directory, number)[1].exists())

    def write(chunk: Chunk, gaps: Sequence[Sequence[float]]) -> Counts:
        counts_file, rows_file = _files(directory, chunk.number)
        if not rows_file.exists():
            counts, kept = _counted(chunk, gaps, attributes, judges, job.thresholds)
            write_json(counts_file, counts)
            with row_writer(rows_file) as packed:
                for row in kept:
                    packed.write(msgspec.json.encode(row) + b"\n")
        return _read(counts_file, Counts)

    total, number = Counts(), 0
    with ThreadPoolExecutor(1) as beside:  # while a chunk is rated the one before it is written and the next one read
        coming, written = beside.submit(next, chunks, None), None
        while (chunk := coming.result()) or written:
            gaps: Sequence[Sequence[float]] = ()
            if chunk:
                coming = beside.submit(next, chunks, None)
                gaps = rater.rate_all(chunk.trees, questions, Symbol.YES, Symbol.NO, batch_rows)
            if written:
                total.add(written.result())
                number += 1
                report(total)
            written = beside.submit(write, chunk, gaps) if chunk else None
    total.add(Counts(left_out=dict(before)))
    write_json(directory / "manifest.json", {"job": job, "counts": total, "chunks": number})
    return total


def _files(directory: Path, number: int) -> tuple[Path, Path]:
    """Where the counts and the kept rows of a chunk lie; the rows are written last."""
    return directory / f"turns-{number:05}.json", directory / f"turns-{number:05}.jsonl.gz"


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}; expected what `openlamda filter` wrote; choose another directory") from None


def _counted(
    chunk: Chunk,
    rated: Sequence[Sequence[float]],
    attributes: Sequence[str],
    judges: Judges,
    thresholds: Mapping[str, float],
) -> tuple[Counts, list[dict[str, Any]]]:
    """What became of a chunk's turns, and the rows of those that are kept."""
    histograms = {score_name(name): [0] * BINS for name in attributes}
    counts = Counts(seen=chunk.seen, left_out=chunk.left_out, histograms=histograms)
    below = Counter[str]()
    kept = []
    for (turn, context), gaps in zip(chunk.judged, rated, strict=True):
        found = {score_name(n): probability(gap, n, judges) for n, gap in zip(attributes, gaps, strict=True)}
        for name, score in found.items():
            histograms[name][min(int(score * BINS), BINS - 1)] += 1
        missed = [name for name, least in thresholds.items() if found[name] < least]
        below.update(missed)
        if not missed:
            counts.kept += 1
            said = [{"role": turn.author, "content": turn.text} for turn in context.turns]
            kept.append({"id": turn.id, "context": said, "response": turn.response, "scores": found})
    counts.below = dict(below)
    return counts, kept


def files_of(paths: Iterable[Path], patterns: Sequence[str]) -> list[Path]:
    """The files themselves, and of folders the files that fit the patterns, sorted. Raises UserError for none."""
    found: list[Path] = []
    for path in paths:
        inside = [path] if path.is_file() else sorted({file for pattern in patterns for file in path.glob(pattern)})
        if not inside:
            raise UserError(f"{path}: no dialogs there, expected JSON Lines or a folder with {', '.join(patterns)}")
        found += inside
    return found


def hashed(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_hash(directory: Path) -> str:
    """SHA-256 over all that decides a model's ratings: weights, their shape, the tokenizer, the calibration."""
    names = ("model.safetensors", "config.json", "tokenizer.model", "judges.json")
    hashes = "\n".join(f"{name} {hashed(directory / name)}" for name in names if (directory / name).is_file())
    return hashlib.sha256(hashes.encode()).hexdigest()


def summary(counts: Counts) -> Mapping[str, Any]:
    """The counts for people's eyes and scripts."""
    shown = asdict(counts)
    shown["quantiles"] = {
        name: {f"{share:.0%}": counts.quantile(name, share) for share in (0.1, 0.5, 0.9)} for name in counts.histograms
    }
    del shown["histograms"]
    return shown
