"""Text to token ids and back: SentencePiece BPE in which text can never make a control symbol.

Spaces and newlines are kept, digits are split, unknown characters become bytes, so every Unicode string round-trips.
Knows nothing of turns or tasks: the order of symbols is grammar.py's.
"""

import io
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path

import sentencepiece

from openlamda.errors import UserError


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

    def _is_control(self, symbol: Symbol) -> bool:
        return self._pieces.is_control(symbol) or self._pieces.is_unknown(symbol)

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

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; control symbols vanish, half a character of bytes becomes U+FFFD."""
        return _unescape(self._pieces.decode([i for i in ids if i >= len(Symbol)]))

    def piece(self, token: int) -> str:
        """One token as it looks in the vocabulary."""
        return Symbol(token).name if token < len(Symbol) else self._pieces.id_to_piece(token)


def train(texts: Iterable[str], vocab_size: int, threads: int = 2) -> Tokenizer:
    """A BPE tokenizer of exactly `vocab_size` ids for `texts` (LaMDA, section 3: SentencePiece, BPE).

    Raises UserError when the texts are too few for so many pieces.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(_escape(line) for text in texts for line in text.splitlines() if line.strip()),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            pad_id=Symbol.PAD,
            eos_id=Symbol.EOS,
            unk_id=Symbol.UNK,
            bos_id=-1,
            control_symbols=[f"<{symbol.name}>" for symbol in Symbol if symbol > Symbol.UNK],
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
