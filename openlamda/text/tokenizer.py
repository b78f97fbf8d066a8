"""Text to token ids and back: SentencePiece BPE or unigram in which text can never make a control symbol.

Spaces and newlines are kept, digits are split, unknown characters become bytes, so every Unicode string round-trips.
Knows nothing of turns or tasks: the order of symbols is grammar.py's.
"""

import io
import random
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Literal

import sentencepiece

from openlamda.errors import UserError
from openlamda.text.subwords import bpe_cut, unigram_cut


class Symbol(IntEnum):
    """The control symbols and their ids. Text is encoded to ids above these, whoever wrote it."""

    PAD = 0
    EOS = 1
    UNK = 2
    USER_TURN = 3
    AGENT_TURN = 4
    DOCUMENT = 5
    RESPONSE = 6
    BASE = 7
    TS = 8
    USER = 9
    SNIPPET = 10
    SOURCE = 11
    SENSIBLE = 12
    SPECIFIC = 13
    INTERESTING = 14
    UNSAFE = 15
    GROUNDED = 16
    NO = 17
    YES = 18


SENTINEL = "<extra_id_{}>"
"""T5's names of the control pieces that stand for what was cut out of a text; a tokenizer has any number of them."""

_FIRST = {Symbol.PAD: "<pad>", Symbol.EOS: "</s>", Symbol.UNK: "<unk>"}  # SentencePiece's own names

# SentencePiece writes a space as U+2581, so a U+2581 in the text would come back as a space: it travels as two
# private-use characters instead, and the first of them, should it occur, is doubled.
_ESCAPE, _BLOCK = "\ue000", "\u2581"


def _escape(text: str) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no Unicode scalar: "?"
    return text.replace(_ESCAPE, _ESCAPE * 2).replace(_BLOCK, _ESCAPE + "\ue001")


def _unescape(text: str) -> str:
    if _ESCAPE not in text:
        return text
    return (
        text.replace(_ESCAPE * 2, "\ue000\ue002").replace(_ESCAPE + "\ue001", _BLOCK).replace("\ue000\ue002", _ESCAPE)
    )


class Tokenizer:
    """A trained SentencePiece model."""

    def __init__(self, model: bytes):
        self.model = model
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
            found = [self._pieces.id_to_piece(symbol) for symbol in range(min(len(Symbol), self._pieces.vocab_size()))]
        except (RuntimeError, IndexError) as error:
            raise UserError(f"tokenizer: {error}, expected a SentencePiece model") from None
        for symbol in Symbol:
            name = _FIRST.get(symbol, f"<{symbol.name}>")
            if len(found) <= symbol or found[symbol] != name or not self._is_control(symbol):
                raise UserError(f"tokenizer: id {int(symbol)} is not the control symbol {name}, expected one of ours")
        end = len(Symbol)
        while end < self.vocab_size and self._pieces.is_control(end) and self._is_sentinel(end):
            end += 1
        self.sentinels = range(len(Symbol), end)
        """Ids of the sentinels for span corruption (text/objectives.py), the first one first; empty: it has none."""

    def _is_control(self, symbol: Symbol) -> bool:
        return self._pieces.is_control(symbol) or self._pieces.is_unknown(symbol)

    def _is_sentinel(self, token: int) -> bool:
        return self._pieces.id_to_piece(token) == SENTINEL.format(token - len(Symbol))

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """The tokenizer in file `path`. Raises UserError when there is none."""
        if not path.is_file():
            raise UserError(f"{path}: no such file, expected a SentencePiece model")
        return cls(path.read_bytes())

    @property
    def vocab_size(self) -> int:
        """Number of ids, control symbols included."""
        return self._pieces.vocab_size()

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; none of them is a control symbol."""
        return self._pieces.encode(_escape(text))

    def sample(self, text: str, alpha: float, key: str) -> list[int]:
        """Ids of `text` cut into pieces at random: subword regularisation (Kudo 2018), for training alone.

        A unigram tokenizer draws a cut of probability p with p^alpha, so 0 makes all equal; a BPE one leaves each merge
        out with probability alpha (text/subwords.py). The same key and text give the same ids.
        """
        escaped = _escape(text)
        rng = random.Random(f"{key} {escaped}")
        cut = bpe_cut if self.kind == "bpe" else unigram_cut
        # no piece goes on after a space; a long stretch without one is cut, since the work grows with its square
        words = re.findall(f"{_BLOCK}?[^{_BLOCK}]{{1,64}}|{_BLOCK}", self._pieces.normalize(escaped))
        pieces = (piece for word in words for piece in cut(word, self._scores, alpha, rng))
        return [i for piece in pieces for i in self._ids(piece)]

    @cached_property
    def kind(self) -> Literal["bpe", "unigram"]:
        """How texts are cut into pieces. Scores of BPE are the order of the merges, those of unigram logarithms."""
        return "bpe" if all(score.is_integer() for score in self._scores.values()) else "unigram"

    @cached_property
    def _scores(self) -> dict[str, float]:
        p = self._pieces
        spoken = (i for i in range(self.sentinels.stop, p.vocab_size()) if not (p.is_byte(i) or p.is_unused(i)))
        return {p.id_to_piece(i): p.get_score(i) for i in spoken}

    def _ids(self, piece: str) -> list[int]:
        names = [piece] if piece in self._scores else [f"<0x{byte:02X}>" for byte in piece.encode()]
        return [self._pieces.piece_to_id(name) for name in names]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; control symbols vanish, half a character of bytes becomes U+FFFD."""
        return _unescape(self._pieces.decode([i for i in ids if not self.is_symbol(i)]))

    def is_symbol(self, token: int) -> bool:
        """Whether a token is a control symbol or sentinel, which text never makes."""
        return token < self.sentinels.stop

    def piece(self, token: int) -> str:
        """One token as it looks in the vocabulary."""
        return Symbol(token).name if token < len(Symbol) else self._pieces.id_to_piece(token)


def train(
    texts: Iterable[str],
    vocab_size: int,
    threads: int = 2,
    *,
    kind: Literal["bpe", "unigram"] = "bpe",
    sentinels: int = 0,
) -> Tokenizer:
    """A tokenizer of exactly `vocab_size` ids for `texts` (LaMDA, section 3: SentencePiece, BPE).

    `sentinels` of the ids are for span corruption (T5 has 100). Raises UserError when the texts are too few for so many
    pieces.
    """
    if sentinels < 0:
        raise UserError(f"sentinels: {sentinels}, expected 0 or more")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(_escape(line) for text in texts for line in text.splitlines() if line.strip()),
            model_writer=model,
            model_type=kind,
            vocab_size=vocab_size,
            pad_id=Symbol.PAD,
            eos_id=Symbol.EOS,
            unk_id=Symbol.UNK,
            bos_id=-1,
            control_symbols=[f"<{symbol.name}>" for symbol in Symbol if symbol > Symbol.UNK]
            + [SENTINEL.format(n) for n in range(sentinels)],
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            byte_fallback=True,
            split_digits=True,
            character_coverage=0.9999,
            max_sentence_length=100_000,
            num_threads=threads,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(f"tokenizer: {error}") from None
    return Tokenizer(model.getvalue())
