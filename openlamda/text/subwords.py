"""Subword regularisation: a word cut into pieces at random, by a generator that is handed in.

SentencePiece draws such cuts, too, but mixes its seed with a value of the process, so that no run could be resumed.
Takes a word as SentencePiece sees it (U+2581 before it for a space) and the score of every piece; knows no ids. A
character that is no piece stays alone.
"""

import math
import random
from collections.abc import Mapping

Scores = Mapping[str, float]


def unigram_cut(word: str, scores: Scores, alpha: float, rng: random.Random) -> list[str]:
    """Pieces of `word`, all ways to cut it drawn with their probability to the power of `alpha` (Kudo 2018, section 3).

    Scores are natural log-probabilities. Sums go forward over the beginnings of the word, the draw backward.
    """
    sums = [0.0]  # log of the sum over the cuts of word[:end]
    ways: list[list[tuple[int, float]]] = [[]]  # (where the last piece begins, log-weight of all cuts so)
    for end in range(1, len(word) + 1):
        pieces = ((start, scores.get(word[start:end])) for start in range(end))
        found = [(start, sums[start] + alpha * score) for start, score in pieces if score is not None]
        if word[end - 1] not in scores:  # no piece holds it, so it stands alone in all cuts and weighs nothing
            found.append((end - 1, sums[end - 1]))
        highest = max(weight for _, weight in found)
        sums.append(highest + math.log(sum(math.exp(weight - highest) for _, weight in found)))
        ways.append(found)
    cut: list[str] = []
    end = len(word)
    while end:
        starts, weights = zip(*ways[end], strict=True)
        (start,) = rng.choices(starts, [math.exp(weight - sums[end]) for weight in weights])
        cut.append(word[start:end])
        end = start
    return cut[::-1]


def bpe_cut(word: str, scores: Scores, alpha: float, rng: random.Random) -> list[str]:
    """Pieces of `word` by merging its letters, the best merge first, each merge left out with probability `alpha` every
    time it could be made (BPE-dropout: Provilkov et al. 2020, algorithm 1).

    Of two merges the one of the higher score is better, and of equals the one further left.
    """
    cut = list(word)
    while True:
        pairs = [(scores.get(cut[place] + cut[place + 1]), place) for place in range(len(cut) - 1)]
        merges = [(-score, place) for score, place in pairs if score is not None and rng.random() >= alpha]
        if not merges:
            return cut
        _, place = min(merges)
        cut[place : place + 2] = [cut[place] + cut[place + 1]]
