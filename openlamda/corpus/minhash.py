"""Signatures of texts whose agreement estimates how alike the texts are (Broder 1997), in plain numpy.

A text is the set of its five-word runs, whatever case, spacing and punctuation. Of each of 128 hashes of the set the
smallest is kept: two texts agree in as large a share of them as their sets have in common (Jaccard). Sixteen bands of
eight find the candidates: two texts share a band with probability 1 - (1 - J^8)^16: 0.06 at J = 0.5, 0.95 at 0.8,
0.9999 at 0.9.

Why not datatrove's steps: they load a word tokenizer by language (spacy for English), cluster in one process with a
Python dict of all pairs, keep whichever row of a cluster is not the first, and drop candidates without comparing them.
"""

import hashlib
import re
import zlib

import numpy as np

HASHES, BANDS, RUN = 128, 16, 5

SIGNATURE = np.dtype([("exact", "<u8"), ("bands", "<u8", BANDS), ("least", "u1", HASHES)])
"""Of one text: a hash of all its words, a hash of each band, the low byte of each smallest hash."""

_rng = np.random.Generator(np.random.PCG64(20220120))  # one set of hashes for ever: signatures are kept on disk
_FACTORS = _rng.integers(0, 2**31, (HASHES, 1), np.uint32) * np.uint32(2) + np.uint32(1)
_TERMS = _rng.integers(0, 2**32, (HASHES, 1), np.uint32)
_PLACES = _rng.integers(0, 2**63, RUN, np.uint64) * np.uint64(2) + np.uint64(1)
_ODD = _rng.integers(0, 2**63, HASHES, np.uint64).reshape(BANDS, -1) * np.uint64(2) + np.uint64(1)
_WORD = re.compile(rb"[^\s!-/:-@\[-`{-~]+")  # what stands between spaces and ASCII punctuation
_CHUNK = 256  # runs hashed at a time: larger arrays are handed back to the system each time, 4x slower


def mix(values: np.ndarray) -> np.ndarray:
    """Each uint64 scattered over all uint64 (SplitMix64's last step, a bijection)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def signature(text: str, minhash: bool = True) -> np.ndarray:
    """The SIGNATURE record of `text`, shape []; without `minhash` only its `exact` is filled."""
    found = np.zeros((), SIGNATURE)
    plain = text.casefold().encode()
    said = _WORD.findall(plain) or [plain]
    found["exact"] = int.from_bytes(hashlib.blake2b(b" ".join(said), digest_size=8).digest(), "little")
    if not minhash:
        return found
    words = np.fromiter(map(zlib.crc32, said), np.uint64, len(said))
    runs = max(1, len(words) - RUN + 1)
    padded = np.concatenate([words, np.zeros(max(0, RUN - len(words)), np.uint64)])
    sums = sum((padded[i : i + runs] * _PLACES[i] for i in range(RUN)), np.zeros(runs, np.uint64))
    hashes = (mix(sums) >> np.uint64(32)).astype(np.uint32)
    least = np.full(HASHES, 2**32 - 1, np.uint32)
    for start in range(0, runs, _CHUNK):
        chunk = hashes[start : start + _CHUNK] * _FACTORS
        chunk += _TERMS
        np.minimum(least, chunk.min(axis=1), out=least)
    found["bands"] = mix((least.reshape(BANDS, -1).astype(np.uint64) * _ODD).sum(axis=1, dtype=np.uint64))
    # The smallest of n random numbers below 2^32 is about 2^32 / n: its low byte is as good as random.
    found["least"] = least
    return found


def similarity(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Estimated Jaccard similarity of pairs, from `least` [n, 128] of both; two unlike bytes agree once in 256."""
    agreed = (left == right).mean(axis=1)
    return (agreed - 1 / 256) / (255 / 256)
