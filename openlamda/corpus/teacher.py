"""What simple models believe of labelled rows: soft labels that a judge learns beside people's (Hinton et al. 2015).

Takes labelled rows, gives P(label is true) for each, from models trained on the other rows alone. A small judge sees
each rare word a few times; a linear model over words needs no more than that, and tells it in every row.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from openlamda.corpus.rows import Judged

FOLDS = 5
FEWEST = 50  # rows of each label, below which a teacher knows less than the labels
_WORD = r"\w+|[^\w\s]"


def beliefs(attribute: str, rows: Sequence[Judged]) -> list[float]:
    """P that `attribute` is true of each row, by models that learned from the other four fifths of the rows.

    A linear model over words and word pairs of reply and context, and trees over what reply and snippets share where
    all rows have snippets. Where raters named a kind of fault, the linear one tells the kinds apart and adds up those
    that are labelled true: what makes a reply unsafe is another thing in each. Needs scikit-learn.
    """
    believed = np.zeros(len(rows))
    shared = np.array([sharing(row) for row in rows]) if all(row.snippets for row in rows) else None
    labels = np.array([row.labels[attribute] for row in rows])
    fold = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    for number in range(FOLDS):
        known, asked = (np.flatnonzero(part).tolist() for part in (fold != number, fold == number))
        logits = _linear([rows[n] for n in known], labels[known], [rows[n] for n in asked])
        if shared is not None:
            logits = (logits + _trees(shared[known], labels[known], shared[asked])) / 2
        believed[asked] = 1 / (1 + np.exp(-logits))
    return believed.tolist()


def believed(rows: Sequence[Judged]) -> list[dict[str, float]]:
    """For each row, attribute -> P by `beliefs`, of those of its labels that enough rows have in both ways."""
    found: list[dict[str, float]] = [{} for _ in rows]
    for attribute in dict.fromkeys(name for row in rows for name in row.labels):
        places = [n for n, row in enumerate(rows) if attribute in row.labels]
        labelled = [rows[n] for n in places]
        true = sum(row.labels[attribute] for row in labelled)
        if min(true, len(labelled) - true) >= FEWEST:
            for n, p in zip(places, beliefs(attribute, labelled), strict=True):
                found[n][attribute] = p
    return found


def _linear(known: Sequence[Judged], labels: np.ndarray, asked: Sequence[Judged]) -> np.ndarray:
    """Logits of P(true) for the asked rows, TF-IDF with one logistic regression for each kind and label."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    parts = []
    for text in (_reply, _context):
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=100_000, token_pattern=_WORD)
        parts.append((vectorizer.fit_transform(map(text, known)), vectorizer.transform(map(text, asked))))
    fit, ask = (hstack([part[i] for part in parts]).tocsr() for i in (0, 1))
    classes = [f"{row.kind}|{int(label)}" for row, label in zip(known, labels, strict=True)]
    model = OneVsRestClassifier(LogisticRegression(C=3.0, solver="liblinear")).fit(fit, classes)
    p_NC = model.predict_proba(ask)
    true_N = p_NC[:, [name.endswith("1") for name in model.classes_]].sum(axis=1) / p_NC.sum(axis=1)
    return _logit(true_N)


def _trees(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    from sklearn.ensemble import GradientBoostingClassifier

    model: Any = GradientBoostingClassifier(n_estimators=200, learning_rate=0.05, subsample=0.7, random_state=0)
    return _logit(model.fit(known, labels).predict_proba(asked)[:, 1])


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def _reply(row: Judged) -> str:
    return row.response or "-"


def _context(row: Judged) -> str:
    return " ".join([*(turn.text for turn in row.context.turns), *row.snippets]) or "-"


def sharing(row: Judged) -> list[float]:
    """What reply and snippets have in common: shares of words, pairs and triples, the longest stretch, new words and
    numbers, lengths; and what the reply says of itself.
    """
    said, known, before = (re.findall(_WORD, text.casefold()) for text in (row.response, *_split(row)))
    inside, earlier = set(known), set(before)
    grams = [_share(said, known, n) for n in (1, 2, 3)]
    stretch = SequenceMatcher(None, said, known, autojunk=False).find_longest_match(0, len(said), 0, len(known)).size
    content = [word for word in said if word.isalnum() and len(word) > 3]
    new = [word for word in content if word not in inside]
    marks = [float(word in said) for word in ("?", "!", "i", "my", "you")]
    counts = [len(said), len(known), len(new), sum(word not in earlier for word in new)]
    numbers = sum(any(c.isdigit() for c in word) and word not in inside for word in said)
    return [*grams, stretch, stretch / max(1, len(said)), 1 - len(new) / max(1, len(content)), *counts, numbers, *marks]


def _split(row: Judged) -> tuple[str, str]:
    return " ".join(row.snippets), " ".join(turn.text for turn in row.context.turns)


def _share(said: Sequence[str], known: Sequence[str], n: int) -> float:
    grams = list(zip(*(said[i:] for i in range(n)), strict=False))
    there = set(zip(*(known[i:] for i in range(n)), strict=False))
    return sum(gram in there for gram in grams) / max(1, len(grams))
