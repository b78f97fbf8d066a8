"""Words of a text, in scripts with spaces and without.

A Chinese or Japanese character counts as a word; runs of Thai, Lao, Burmese and Khmer are cut every four characters,
about a word. Knows nothing of rules.
"""

import re
import unicodedata
from functools import cache

import numpy as np

from openlamda.corpus.minhash import mix

_SPACELESS = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    "|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{1,4}"
)
_SYMBOLS = re.compile("[\u0080-\u00bf\u2000-\u2bff]+")  # in UTF-8 what begins with C2, and with E2 80 to E2 AF
_MARKS = re.compile(r"[^\w\s]+")

# What a byte of UTF-8 says of its text: 1 letters beyond ASCII (they may have capitals), 2 accents that stand alone,
# scripts without spaces, emoji; 0 all others, typographic signs among them.
_KINDS = bytes(2 if b in (0xCC, 0xCD, 0xE0, 0xE1) or b >= 0xE3 else int(0xC3 <= b <= 0xDF) for b in range(256))
_LETTERS = bytes(b if b > 127 else ord(chr(b).lower()) if chr(b).isalnum() else 0 for b in range(256))  # 0: a gap
_BASE = 0x9E3779B97F4A7C15
_CHUNK = 2**13  # bytes hashed at a time: larger arrays are handed back to the system each time


def split(text: str) -> list[str]:
    """The words of `text` with the punctuation that touches them."""
    return (text if has_spaces(text) else _SPACELESS.sub(r" \g<0> ", text)).split()


def has_spaces(text: str) -> bool:
    """Whether the script of `text` puts spaces between words."""
    if text.isascii() or b"\2" not in text.encode("utf-8", "replace").translate(_KINDS):
        return True
    return _SPACELESS.search(text) is None


def hashes(text: str) -> np.ndarray:
    """uint64 [words]: one number for each word, whatever its case, typography and punctuation."""
    plain = text.encode("utf-8", "replace")
    if not text.isascii():
        kinds = plain.translate(_KINDS)
        if b"\2" in kinds:
            text = unicodedata.normalize("NFKC", _SYMBOLS.sub(" ", text.casefold()))
            plain = _SPACELESS.sub(r" \g<0> ", _MARKS.sub(" ", text)).encode("utf-8", "replace")
        elif b"\1" in kinds:
            plain = text.casefold().encode("utf-8", "replace")
    found = []
    start = 0
    while start < len(plain):
        end = len(plain)
        if end - start > _CHUNK:
            end = plain.rfind(b" ", start, start + _CHUNK) + 1 or start + _CHUNK
        found.append(_hashes(plain[start:end]))
        start = end
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _hashes(plain: bytes) -> np.ndarray:
    letters = np.frombuffer(b"\0%b\0" % plain.translate(_LETTERS), np.uint8)
    if not plain.isascii():
        two, three = np.flatnonzero(letters == 0xC2), np.flatnonzero(letters == 0xE2)
        three = three[(letters[three + 1] >= 0x80) & (letters[three + 1] <= 0xAF)]
        letters = letters.copy()
        letters[two] = letters[two + 1] = 0
        letters[three] = letters[three + 1] = letters[three + 2] = 0
    inside = letters != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    return mix(polynomials(letters[1:-1], starts, ends))


def polynomials(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """uint64: of each stretch of `values` the polynomial in an odd base modulo 2^64, by differences of one sum."""
    up, down = _powers(2 ** len(values).bit_length())
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * up[: len(values)], out=sums[1:])
    return (sums[ends] - sums[starts]) * down[starts]


@cache
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of the base and of its inverse."""
    up, down = np.full(count, _BASE, np.uint64), np.full(count, pow(_BASE, -1, 2**64), np.uint64)
    up[0] = down[0] = 1
    return np.cumprod(up), np.cumprod(down)
