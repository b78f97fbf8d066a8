"""The embedded index beside bm25s on SQuAD's paragraphs, and its speed and size with a million passages.

    pip install -e '.[search]' bm25s PyStemmer && python benchmarks/search.py qa_squad_dev.jsonl.xz
    python benchmarks/search.py --passages 1_000_000 [--folder a temporary one]

The first line of docs/data.md says where the questions come from. Relevant to a question is the paragraph that it was
written for; questions without an answer there are left out. bm25s is given the same title and text in two ways, which
are better than its defaults: with English stems, with and without its list of stop words.

Made passages are of words as frequent as words are (Zipf), 60 to 119 of them. A query is eight neighbouring words of
one: it has frequent words, as questions have. Seconds of making the passages are not counted. The processor's time is
told beside the clock's, which counts what else the machine does.
"""

import argparse
import json
import lzma
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from openlamda.dialog.research import MAX_SNIPPET
from openlamda.loading import SHIPPED
from openlamda.text.tokenizer import Tokenizer
from openlamda.tools.index import PassageIndex
from openlamda.tools.layout import MARKER
from openlamda.tools.passages import Passage
from openlamda.tools.snippet import LENGTH, cut_around

VOCABULARY = 200_000
CHUNK = 10_000
QUERIES = 1000
CLOCKS = ("by the clock", "of the processor")


def squad(path: Path) -> tuple[list[Passage], list[tuple[str, int]], list[list[str]]]:
    """The paragraphs, questions each with the number of its paragraph, and their answers."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    passages = list({row["knowledge"]: Passage(row["knowledge"], row["title"], row["url"]) for row in rows}.values())
    number = {passage.text: k for k, passage in enumerate(passages)}
    asked = [row for row in rows if row["answerable"] is not False]
    questions = [(row["question"], number[row["knowledge"]]) for row in asked]
    return passages, questions, [row["answers"] for row in asked]


def report(name: str, places: Sequence[int | None]) -> None:
    """Recall at 1, 5, 20 and nDCG at 10 of the places (from 0) at which the one relevant passage came."""
    recall = [sum(place is not None and place < k for place in places) / len(places) for k in (1, 5, 20)]
    gain = sum(1 / math.log2(place + 2) for place in places if place is not None and place < 10) / len(places)
    print(f"{name:24s}" + "".join(f"{value:12.4f}" for value in (*recall, gain)))


def place(wanted: int, found: Sequence[int]) -> int | None:
    return found.index(wanted) if wanted in found else None


def quality(path: Path) -> None:
    import bm25s
    import Stemmer

    passages, questions, answers = squad(path)
    print(f"{len(passages):,} paragraphs, {len(questions):,} questions")
    print(f"{'':24s}" + "".join(f"{name:>12s}" for name in ("recall@1", "recall@5", "recall@20", "nDCG@10")))
    with tempfile.TemporaryDirectory() as folder, PassageIndex(Path(folder), write=True) as index:
        index.add("squad", passages)
        index.commit()
        number = {passage.text: k for k, passage in enumerate(passages)}
        found = [[number[passage.text] for passage in index.search(question, 20)] for question, _ in questions]
    cut = [(passages[wanted].text, cut_around(question, passages[wanted].text)) for question, wanted in questions]
    tokenizer = Tokenizer.load(SHIPPED / "tokenizer.model")
    short = sum(len(tokenizer.encode(snippet)) <= MAX_SNIPPET for _, snippet in cut)
    kept = sum(any(a in snippet for a in right) for (_, snippet), right in zip(cut, answers, strict=True))
    begun = sum(any(a in text[:LENGTH] for a in right) for (text, _), right in zip(cut, answers, strict=True))
    report("openlamda", [place(wanted, numbers) for (_, wanted), numbers in zip(questions, found, strict=True)])
    texts = [f"{passage.title}\n{passage.text}" for passage in passages]
    for name, stop in (("bm25s, stems", None), ("bm25s, stems, stop words", "en")):
        tokens = dict(stopwords=stop, stemmer=Stemmer.Stemmer("english"), show_progress=False)
        retriever = bm25s.BM25()
        retriever.index(bm25s.tokenize(texts, **tokens), show_progress=False)
        asked = bm25s.tokenize([question for question, _ in questions], **tokens)
        ranked, _ = retriever.retrieve(asked, k=20, show_progress=False)
        report(name, [place(wanted, row.tolist()) for (_, wanted), row in zip(questions, ranked, strict=True)])
    print(
        f"snippets of the relevant paragraph: the answer stands in {kept / len(cut):.1%} (in its first {LENGTH} "
        f"characters: {begun / len(cut):.1%}); {short / len(cut):.1%} have at most {MAX_SNIPPET} tokens of nano's"
    )


def texts(count: int) -> Iterator[str]:
    """Made passages, the same ones each time."""
    rng = np.random.default_rng(0)
    letters, share = np.array(list("etaoinshrdlucmfwypvbgkjqxz")), 1 / np.arange(2, 28)
    lengths = rng.integers(2, 11, VOCABULARY)
    words = np.array(["".join(rng.choice(letters, size, p=share / share.sum())) for size in lengths], dtype=object)
    frequency = np.cumsum(1 / (np.arange(VOCABULARY) + 2.7))
    for start in range(0, count, CHUNK):
        drawn = words[np.searchsorted(frequency / frequency[-1], rng.random((CHUNK, 120)))]
        for row in range(min(CHUNK, count - start)):
            yield " ".join(drawn[row, : 60 + row % 60])


def timed(make: Callable[[], object]) -> np.ndarray:
    """Seconds by the clock, and of the processor, all threads together."""
    clock, processor = time.perf_counter(), time.process_time()
    make()
    return np.array([time.perf_counter() - clock, time.process_time() - processor])


def build(count: int, folder: Path) -> None:
    seconds, size = np.zeros(2), 0
    with PassageIndex(folder, write=True) as index:
        batch: list[Passage] = []
        for number, text in enumerate(texts(count)):
            size += len(text)
            batch.append(Passage(text, text[:20], f"https://example.org/{number}", "2026-01-01"))
            if len(batch) == CHUNK or number == count - 1:
                seconds += timed(lambda batch=batch: index.add("made", batch))
                batch = []
        seconds += timed(index.commit)
    on_disk = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{count:,} passages, {size / 1e6:,.0f} MB of text, {on_disk / 1e6:,.0f} MB on disk")
    for name, rate in zip(CLOCKS, count / seconds, strict=True):
        print(f"    {name:18s} {rate:,.0f} passages a second")


def ask(count: int, folder: Path) -> None:
    made = [text.split() for text in texts(min(count, CHUNK))][:: max(1, min(count, CHUNK) // QUERIES)]
    queries = [" ".join(words[number % 50 :][:8]) for number, words in enumerate(made)]
    with PassageIndex(folder) as index:
        seconds = np.array([timed(lambda query=query: index(query)) for query in queries])
    print(f"{len(queries):,} queries, snippets included; {os.cpu_count()} cores")
    for name, figures in zip(CLOCKS, seconds.T, strict=True):
        middle, slow = 1e3 * np.quantile(figures, [0.5, 0.99])
        print(f"    {name:18s} p50 {middle:.1f} ms, p99 {slow:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path, nargs="?", help="qa_squad_dev.jsonl.xz")
    parser.add_argument("--passages", type=int, help="measure speed with so many made passages")
    parser.add_argument("--folder", type=Path, help="a folder for that index; one that is there is asked alone")
    arguments = parser.parse_args()
    if arguments.questions:
        quality(arguments.questions)
    if arguments.passages:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.folder or Path(temporary)
            if not (folder / MARKER).exists():
                build(arguments.passages, folder)
            ask(arguments.passages, folder)


if __name__ == "__main__":
    main()
