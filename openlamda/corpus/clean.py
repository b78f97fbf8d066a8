"""Which rows are worth training on: length, repetition, language, evaluation data; personal data is masked.

Takes rows, gives them back, or the reason why one goes. Dialogs are judged as a whole, by length, language and
evaluation data alone: short turns that repeat others are how people talk. The rules for documents are Gopher's (Rae et
al. 2021, section A.1.1) and C4's (Raffel et al. 2020, section 2.2). Knows nothing of files.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from openlamda.corpus import contamination, words
from openlamda.corpus.files import text_of
from openlamda.corpus.pii import mask
from openlamda.corpus.repetition import duplicate_lines, repeated_runs
from openlamda.corpus.rows import Document, Talk
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn

RULED = 50  # words from which on Gopher's shares say something; it drops all shorter documents
SAMPLE = 150  # characters that tell the language

_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is dropped. Limits are Gopher's where it has one; a share of 1 (a symbol limit of inf) turns a rule off."""

    languages: tuple[str, ...] = ()  # ISO 639-1 codes; none: all
    min_words: int = 5  # of a document or a whole dialog
    max_words: int = 100_000
    max_duplicate_lines: float = 0.3  # share of the lines that were there before
    max_duplicate_characters: float = 0.2  # share of the characters in those
    max_top_runs: tuple[float, ...] = (0.20, 0.18, 0.16)  # share of the most frequent run of 2, 3, 4 words
    max_repeated_runs: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)  # share said before in runs of 5 to 10
    max_symbols: float = 0.1  # "#" and "..." for each word
    min_word_length: float = 3.0  # the mean
    max_word_length: float = 10.0
    min_alphabetic: float = 0.8  # share of the words with a letter
    mask_pii: bool = True
    contamination: tuple[str, ...] = ()  # files of evaluation rows
    contamination_ngram: int = 13  # words


Cleaner = Callable[[Document | Talk], Document | Talk | str]


def make_cleaner(filters: Filters) -> Cleaner:
    """A function that gives the cleaned row, or the reason why it is dropped.

    Raises UserError for a language that is not known and an evaluation file that cannot be read.
    """
    language = _language_of(filters.languages) if filters.languages else None
    evaluation = (
        contamination.make_index(filters.contamination, filters.contamination_ngram) if filters.contamination else None
    )

    def cleaned(row: Document | Talk) -> Document | Talk | str:
        text = text_of(row)
        said = words.split(text)
        reason = wrong_length(len(said), filters)
        if not reason and isinstance(row, Document) and len(said) >= RULED:
            reason = unlike_prose(text, said, filters) or repeated_lines(text, filters) or repeated_words(said, filters)
        if not reason and language and language(text) not in filters.languages:
            reason = "language"
        if not reason and evaluation and evaluation.quoted_in(text):
            reason = "evaluation data"
        return reason or (_masked(row) if filters.mask_pii else row)

    return cleaned


def wrong_length(count: int, filters: Filters) -> str:
    """Too few or too many words (Gopher: 50 to 100,000 a document)."""
    if count < filters.min_words:
        return "too short"
    return "too long" if count > filters.max_words else ""


def unlike_prose(text: str, said: list[str], filters: Filters) -> str:
    """Words of odd length, words without a letter, signs in place of words (Gopher); filler text (C4)."""
    if words.has_spaces(text):
        length = sum(map(len, said)) / len(said)
        if not filters.min_word_length <= length <= filters.max_word_length:
            return "word length"
    symbols = text.count("#") + text.count("...") + text.count("…")
    if symbols > filters.max_symbols * len(said):
        return "symbols"
    mixed = [word for word in said if not word.isalpha()]
    if sum(_LETTER.search(word) is None for word in mixed) > (1 - filters.min_alphabetic) * len(said):
        return "not alphabetic"
    return "filler text" if "orem ipsum" in text else ""


def repeated_lines(text: str, filters: Filters) -> str:
    """Lines that were there before, by number and by characters (Gopher, table A1)."""
    lines, characters = duplicate_lines([stripped for line in text.split("\n") if (stripped := line.strip())])
    if lines > filters.max_duplicate_lines or characters > filters.max_duplicate_characters:
        return "repeated lines"
    return ""


def repeated_words(said: list[str], filters: Filters) -> str:
    """One run of two to four words all over the text, or much of it in runs that come again (Gopher, table A1)."""
    tops, others = dict(enumerate(filters.max_top_runs, 2)), dict(enumerate(filters.max_repeated_runs, 5))
    for size, top, repeated in repeated_runs(said, max((*tops, *others), default=0)):
        if top > tops.get(size, 1e9) or repeated > others.get(size, 1):
            return "repeated words"
    return ""


def _language_of(languages: tuple[str, ...]) -> Callable[[str], str]:
    """A function from a text to the code of its language, by py3langid on a stretch from its middle."""
    try:
        import py3langid
    except ModuleNotFoundError:
        raise UserError("filters: languages need py3langid: pip install 'openlamda[corpus]'") from None
    known = sorted(code for code, _ in py3langid.rank(""))
    unknown = sorted(set(languages) - set(known))
    if unknown:
        raise UserError(f"filters: languages {', '.join(unknown)}, expected codes out of {', '.join(known)}")

    def language(text: str) -> str:
        start = max(0, (len(text) - SAMPLE) // 2)
        return py3langid.classify(text[start : start + SAMPLE])[0]

    return language


def _masked(row: Document | Talk) -> Document | Talk:
    if isinstance(row, Document):
        return Document(row.id, mask(row.text))
    turns = row.dialog.turns
    before = ("", *(turn.text for turn in turns))
    masked = (Turn(turn.author, mask(turn.text, said)) for turn, said in zip(turns, before, strict=False))
    return Talk(row.id, Dialog(tuple(masked)))
