"""Planted repetitions are found, others are kept; similarity against counted sets."""

import random

import numpy as np
import pytest

from openlamda.corpus import dedup
from openlamda.corpus.minhash import SIGNATURE, signature, similarity

WORDS = [f"word{n}" for n in range(3000)]


def jaccard(left, right):
    runs = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (left, right)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def changed(words, times, rng):
    words = list(words)
    for _ in range(times):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return words


@pytest.fixture(scope="module")
def rows():
    """400 different texts, then near copies of 0-49 and other-case copies of 50-99."""
    rng = random.Random(1)
    texts = [rng.choices(WORDS, k=rng.randrange(60, 300)) for _ in range(400)]
    near = [changed(texts[n], 1, rng) for n in range(50)]
    assert min(jaccard(texts[n], near[n]) for n in range(50)) > 0.83
    same = [f"  {' '.join(texts[n]).title()}!" for n in range(50, 100)]
    return [" ".join(words) for words in texts + near] + same


def signatures(rows, tmp_path, sizes):
    paths, start = [], 0
    for number, size in enumerate(sizes):
        made = [signature(row) for row in rows[start : start + size]]
        paths.append(tmp_path / str(number))
        np.array(made, SIGNATURE).tofile(paths[-1])
        start += size
    return dedup.Signatures(paths)


def test_planted_duplicates_are_found_and_others_kept(rows, tmp_path):
    found = dedup.find(signatures(rows, tmp_path, [500]), 0, 1, True, 0.7)
    exact = {(int(d["row"]), int(d["first"])) for d in found if not d["near"]}
    near = {(int(d["row"]), int(d["first"])) for d in found if d["near"]}
    assert exact == {(450 + n, 50 + n) for n in range(50)}
    assert near == {(400 + n, n) for n in range(50)}


def test_parts_and_tasks_change_nothing(rows, tmp_path):
    (tmp_path / "one").mkdir()
    whole = dedup.find(signatures(rows, tmp_path / "one", [500]), 0, 1, True, 0.8)
    split = signatures(rows, tmp_path, [130, 0, 300, 70])
    paths = []
    for part in range(3):
        paths.append(tmp_path / f"{part}.npy")
        np.save(paths[-1], dedup.find(split, part, 3, True, 0.8))
    assert (dedup.read(paths, 0, 500) == whole).all()
    middle = dedup.read(paths, 410, 460)
    assert (middle == whole[(whole["row"] >= 410) & (whole["row"] < 460)]).all() and len(middle)


def test_each_kind_can_be_left_out(rows, tmp_path):
    made = signatures(rows, tmp_path, [500])
    assert not dedup.find(made, 0, 1, True, None)["near"].any()
    assert len(dedup.find(made, 0, 1, True, None)) == 50
    assert dedup.find(made, 0, 1, False, 0.8)["near"].all()
    assert len(dedup.find(made, 0, 1, False, None)) == 0


def test_the_estimate_is_the_jaccard_similarity():
    rng = random.Random(2)
    errors = []
    for times in range(60):
        left = rng.choices(WORDS, k=150)
        right = changed(left, times // 3, rng)
        pair = [signature(" ".join(words))["least"][None] for words in (left, right)]
        errors.append(float(similarity(*pair)[0]) - jaccard(left, right))
    assert abs(np.mean(errors)) < 0.02 and np.std(errors) < 0.06  # one estimate: sqrt(J (1 - J) / 128) < 0.045


def test_texts_of_few_or_no_words():
    kinds = [signature(text) for text in ("", "one", "one two", "!", "?", "日本語")]
    assert len({int(kind["exact"]) for kind in kinds}) == len(kinds)
    assert signature("One,  two")["exact"] == signature("one two.")["exact"]
    assert signature("one two")["exact"] != signature("two one")["exact"]
