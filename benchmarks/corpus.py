"""Speed of `openlamda corpus build` beside a plain SentencePiece loop, and of reading the shards.

    python benchmarks/corpus.py [MB of text, 1000] [folder, a temporary one]

Text of words that are as frequent as words are (Zipf), half documents of about 3 kB, half dialogs, in files of 10 MB,
one row in fifty a near copy of another. One worker. MB are 10^6 bytes of UTF-8 text, JSON not counted; seconds are
the processor's, so that a busy machine gives the same figures.
"""

import json
import random
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from openlamda.corpus.batches import Shards
from openlamda.corpus.build import build
from openlamda.corpus.recipe import Recipe, Source
from openlamda.loading import SHIPPED
from openlamda.text.tokenizer import Tokenizer

FILE_BYTES = 10_000_000


def synthetic(folder: Path, size: int) -> int:
    """Writes `size` bytes of text and a little more; returns how many."""
    rng = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    shares = list(accumulate(1 / (n + 2) for n in range(len(letters))))
    words = ["".join(rng.choices(letters, cum_weights=shares, k=rng.randrange(2, 11))) for _ in range(50_000)]
    zipf = list(accumulate(1 / (n + 10) for n in range(len(words))))

    def sentences(count: int) -> str:
        made = (rng.choices(words, cum_weights=zipf, k=rng.randrange(6, 18)) for _ in range(count))
        return " ".join(" ".join(sentence).capitalize() + "." for sentence in made)

    written = number = 0
    for kind in ("documents", "dialogs"):
        (folder / kind).mkdir(parents=True)
        until, text = size // 2 if kind == "documents" else size, ""
        while written < until:
            with open(folder / kind / f"{number:05}.jsonl", "w", encoding="utf-8") as file:
                while file.tell() < FILE_BYTES and written < until:
                    number += 1
                    if kind == "documents":
                        text = text + " Again." if number % 50 == 0 else sentences(rng.randrange(10, 70))
                        row = {"id": f"d{number}", "text": text}
                        written += len(text)
                    else:
                        said = [sentences(rng.randrange(1, 4)) for _ in range(rng.randrange(2, 12))]
                        roles = ("user", "assistant")
                        turns = [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]
                        row = {"id": f"t{number}", "messages": turns}
                        written += sum(map(len, said))
                    file.write(json.dumps(row) + "\n")
    return written


def plain_loop(folder: Path, tokenizer: Tokenizer, limit: int = 20_000_000) -> float:
    """MB/s of SentencePiece alone over the first `limit` bytes of each kind, one text at a time."""
    texts: list[str] = []
    for kind in ("documents", "dialogs"):
        size = 0
        for path in sorted((folder / kind).iterdir()):
            for line in path.open(encoding="utf-8") if size < limit else ():
                row = json.loads(line)
                texts += [row["text"]] if kind == "documents" else [turn["content"] for turn in row["messages"]]
                size += len(line)
    start = time.process_time()
    for text in texts:
        tokenizer.encode(text)
    return sum(map(len, texts)) / (time.process_time() - start) / 1e6


def main() -> None:
    """Prints MB/s of each stage, of the whole, of SentencePiece alone, and tokens/s of the reader."""
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        folder = Path(name)
        text = synthetic(folder / "text", int(size * 1e6)) / 1e6
        tokenizer = Tokenizer.load(SHIPPED / "tokenizer.model")
        sources = tuple(Source(name=kind, paths=(kind,)) for kind in ("documents", "dialogs"))
        begun: dict[str, float] = {}
        start = time.process_time()
        manifest = build(
            Recipe(source=sources, data=str(folder / "text")),
            tokenizer,
            folder / "shards",
            1,
            lambda stage, done, tasks: begun.setdefault(stage, time.process_time()) and None,
        )
        end = time.process_time()
        names = list(begun)
        for stage, until in zip(names, [*list(begun.values())[1:], end], strict=True):
            seconds = until - begun[stage]
            print(f"{stage:10} {seconds:8.1f} s {text / seconds:8.1f} MB/s")
        print(f"{'whole':10} {end - start:8.1f} s {text / (end - start):8.2f} MB/s a core for {text:,.0f} MB")
        plain = plain_loop(folder / "text", tokenizer)
        print(f"SentencePiece alone {plain:.2f} MB/s: the whole is {text / (end - start) / plain:.2f} of it")
        near = sum(
            drop.count
            for count in manifest.sources.values()
            for reason, drop in count.report.drops.items()
            if reason == "near duplicate"
        )
        print(f"{manifest.tokens:,} tokens, {manifest.filled:.1%} of the rows filled, {near:,} near duplicates dropped")
        shards = Shards(folder / "shards")
        steps = 500
        start = time.process_time()
        for step in range(steps):
            shards.batch(step, 64)
        print(f"reader: {steps * 64 * shards.row_tokens / (time.process_time() - start):,.0f} tokens/s a core")


if __name__ == "__main__":
    main()
