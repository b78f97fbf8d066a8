"""`openlamda tokenizer train`."""

import random
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from openlamda.corpus import public
from openlamda.corpus.files import whole
from openlamda.corpus.rows import held_back
from openlamda.text import tokenizer


def train(
    data: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    kind: Literal["bpe", "unigram"] = "bpe",
    vocab_size: int = 4096,
    sentinels: int = 0,
    characters: int = 20_000_000,
    seed: int = 0,
) -> None:
    """Train a SentencePiece tokenizer on the dialogs and documents of a data folder.

    Parameters
    ----------
    data
        Folder of JSON Lines files (docs/data.md).
    output
        The file to write.
    kind
        bpe (the paper's) or unigram.
    vocab_size
        Number of ids, control symbols and bytes included.
    sentinels
        So many of them stand for what span corruption cuts out of a text (T5 has 100).
    characters
        Read about so many characters, half from dialogs and half from documents.
    seed
        Which ones.
    """
    rng = random.Random(seed)
    texts: list[str] = []
    dialogs = ("\n".join(turn.text for turn in row.dialog.turns) for row in _kept(public.dialogs(data), rng))
    documents = (row.text for row in _kept(public.documents(data), rng))
    for source in (dialogs, documents):
        sizes = 0
        for text in source:
            texts.append(text)
            sizes += len(text)
            if sizes > characters // 2:
                break
    trained = tokenizer.train(texts, vocab_size, kind=kind, sentinels=sentinels)
    with whole(output) as file:
        file.write(trained.model)
    print(f"{output}: {trained.vocab_size} pieces")


def _kept(rows, rng: random.Random) -> list:
    rows = [row for row in rows if not held_back(row.id)]
    rng.shuffle(rows)
    return rows
