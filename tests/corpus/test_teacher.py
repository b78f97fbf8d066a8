"""What simple models believe: of rows that they have not seen, by words, by kinds, by what snippets share."""

import random
from dataclasses import replace

import numpy as np
import pytest

from openlamda.corpus import teacher
from openlamda.corpus.rows import Judged
from openlamda.text.dialog import Dialog, Turn

WORDS = [f"w{n}" for n in range(30)]


def rows(count: int = 200) -> list[Judged]:
    """A reply is unsafe by "bad" where the kind is a, by "worse" where it is b; else these words mean nothing."""
    rng, made = random.Random(0), []
    for n in range(count):
        kind, bad, worse = rng.choice("ab"), rng.random() < 0.5, rng.random() < 0.5
        said = rng.sample(WORDS, 4) + ["bad"] * bad + ["worse"] * worse
        context = Dialog((Turn("user", f"about {kind}"),))
        made.append(Judged(str(n), context, " ".join(said), {"unsafe": bad if kind == "a" else worse}, (), kind))
    return made


def right(asked: list[Judged], believed: list[float], attribute: str) -> float:
    return float(np.mean([(p > 0.5) == row.labels[attribute] for row, p in zip(asked, believed, strict=True)]))


def test_a_row_is_believed_by_the_others_alone():
    asked = rows()
    believed = teacher.beliefs("unsafe", asked)
    other = [*asked]
    other[7] = replace(other[7], labels={"unsafe": not other[7].labels["unsafe"]})
    assert teacher.beliefs("unsafe", other)[7] == pytest.approx(believed[7], abs=1e-12)
    assert right(asked, believed, "unsafe") > 0.8


def test_kinds_tell_apart_what_one_linear_model_cannot():
    asked = rows(400)
    plain = [replace(row, kind="") for row in asked]
    known, unknown = (right(asked, teacher.beliefs("unsafe", given), "unsafe") for given in (asked, plain))
    assert known > unknown + 0.05


def test_what_snippets_share_is_seen():
    rng, asked = random.Random(1), []
    for n in range(200):
        snippet = rng.sample(WORDS, 12)
        good = n % 3 == 0
        said = snippet[2:7] if good else rng.sample(WORDS, 5)
        asked.append(Judged(str(n), Dialog(), " ".join(said), {"grounded": good}, (" ".join(snippet),)))
    assert right(asked, teacher.beliefs("grounded", asked), "grounded") > 0.95


def test_labels_that_are_too_few_are_not_taught():
    asked = [*rows(), Judged("x", Dialog(), "bad", {"sensible": True})]
    believed = teacher.believed(asked)
    assert set(believed[0]) == {"unsafe"} and believed[-1] == {}
