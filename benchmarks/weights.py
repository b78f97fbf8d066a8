"""What weights in bfloat16 and int8 save and cost: bytes, held-back text and judgements, logits, time of a drawn token.

python benchmarks/weights.py --data DATA [--model DIR] [--documents 120] [--judge-rows 300] [--rounds 20]

Each way writes the model's weights in a dtype, loads them, and runs the model in the dtype after the slash. A step
draws one token of each of sixteen candidates; the ways take turns and the best of their times counts.
"""

import argparse
import random
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
import numpy as np

from openlamda.corpus import public
from openlamda.corpus.rows import held_back
from openlamda.engine.base import Sampling
from openlamda.engine.local import LocalModel
from openlamda.evaluate import judging, language
from openlamda.evaluate.suite import JUDGES
from openlamda.loading import SHIPPED, load
from openlamda.model import transformer, weights
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.text.dialog import Dialog, Turn

Float = Literal["float32", "bfloat16"]
WAYS: tuple[tuple[str, Float], ...] = (("float32", "float32"), ("bfloat16", "bfloat16"), ("int8", "float32"))
PIECE = 240  # tokens of a document, as in a suite
STEPS = 64


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--documents", type=int, default=120)
    parser.add_argument("--judge-rows", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()

    lamda = load(args.model)
    pieces = [
        language.Piece(tokens[:PIECE], 1, len(lamda.tokenizer.decode(tokens[1:PIECE]).encode()))
        for row in unseen(public.documents(args.data), args.documents)
        if len(tokens := lamda.grammar.document(row.text[:6000]).tokens) >= PIECE
    ]
    judged = {name: unseen(getattr(public, name)(args.data), args.judge_rows) for name in JUDGES}
    prompt = lamda.grammar.generate(Dialog((Turn("user", "Tell me something about the sea."),))).tokens
    arrays, config = weights.read(args.model)

    names, found, engines = [], [], []
    reference = np.zeros(0)
    for stored, computed in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            weights.save(Path(folder), arrays, config, lamda.tokenizer.model, stored)
            disk = (Path(folder) / "model.safetensors").stat().st_size
            params, _ = weights.load(Path(folder), computed)
        lamda.model = engine = LocalModel(params, config)
        logits = plain_logits(params, config, pieces[:8])
        reference = reference if reference.size else logits
        bits = language.bits_per_byte("documents", language.model_bits(engine, pieces), pieces).value
        aucs = [
            judging.auc([row.labels[name] for row in rows], [judging.ask(name, row, lamda) for row in rows])
            for name, rows in judged.items()
        ]
        memory = sum(array.nbytes for array in params.values())
        apart = np.abs(logits - reference).max()
        names.append(f"{stored} / {computed}")
        found.append([f"{disk:,}", f"{memory:,}", f"{bits:.4f}", *(f"{auc:.4f}" for auc in aucs), f"{apart:.4f}"])
        engines.append(engine)

    best = [float("inf")] * len(WAYS)
    for number in range(-1, args.rounds):  # the first compiles
        for place, engine in enumerate(engines):
            began = time.perf_counter()
            engine.sample(prompt, 16, Sampling(max_tokens=STEPS, stop=()), number)
            if number >= 0:
                best[place] = min(best[place], time.perf_counter() - began)

    head = ["bytes on disk", "bytes in memory", "bits per byte", *(f"AUC {name}" for name in JUDGES)]
    head += ["logits apart", "ms a step"]
    columns = [[*row, f"{1000 * seconds / STEPS:.2f}"] for row, seconds in zip(found, best, strict=True)]
    print(f"{len(pieces)} documents, {', '.join(f'{len(rows)} {name}' for name, rows in judged.items())}\n")
    print("\n".join(f"| {' | '.join(line)} |" for line in [["", *names], ["---", *["---:"] * len(names)]]))
    for label, *cells in zip(head, *columns, strict=True):
        print(f"| {label} | {' | '.join(cells)} |")


def unseen(rows, count: int) -> list:
    """Some of the rows that are never trained on."""
    kept = [row for row in rows if held_back(row.id)]
    random.Random(0).shuffle(kept)
    return list(islice(kept, count))


def plain_logits(params: Params, config: ModelConfig, pieces: list[language.Piece]) -> np.ndarray:
    """Of whole sequences, without cache."""
    tokens = jnp.asarray([piece.tokens for piece in pieces])
    return np.asarray(transformer.logits(params, transformer.forward(params, tokens, jnp.ones_like(tokens), config)))


if __name__ == "__main__":
    main()
