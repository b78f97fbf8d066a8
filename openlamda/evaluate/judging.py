"""How well each judge separates labelled replies, beside baselines on the same rows."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openlamda.corpus.calibration import expected_calibration_error
from openlamda.corpus.rows import Judged
from openlamda.dialog.judge import scores
from openlamda.dialog.lamda import Lamda
from openlamda.errors import UserError
from openlamda.evaluate.metric import Metric, measure


def auc(labels: Sequence[bool], values: Sequence[float]) -> float:
    """Area under the ROC curve; ValueError where only one label occurs."""
    from sklearn.metrics import roc_auc_score

    if len(set(labels)) < 2:
        raise ValueError("one label only")
    return float(roc_auc_score(labels, values))


def evaluate(attribute: str, train: Sequence[Judged], test: Sequence[Judged], lamda: Lamda) -> list[Metric]:
    """AUC of the model's judge and of the baselines, for P(label is true), and the judge's calibration error."""
    if attribute not in lamda.judges.attributes:
        raise UserError(f"the model has no judge {attribute!r}; its judges.json lists {lamda.judges.attributes}")
    labels = [row.labels[attribute] for row in test]
    found = {"model": [ask(attribute, row, lamda) for row in test], "tfidf": tfidf(attribute, train, test)}
    if attribute == "grounded":
        found["overlap"] = [overlap(row) for row in test]
    aucs = [
        measure(
            f"judge/{attribute}/auc/{name}",
            list(zip(labels, values, strict=True)),
            lambda rows: auc(*zip(*rows, strict=True)),
        )
        for name, values in found.items()
    ]
    asked = list(zip(labels, found["model"], strict=True))
    return [*aucs, measure(f"judge/{attribute}/ece/model", asked, ece)]


def correlations(attribute: str, rows: Sequence[tuple[Judged, int]], lamda: Lamda) -> list[Metric]:
    """Spearman's rho and Kendall's tau-b of the judge's P with people's grades."""
    from scipy.stats import kendalltau, spearmanr

    asked = [(grade, ask(attribute, row, lamda)) for row, grade in rows]
    found = []
    for name, of in (("spearman", spearmanr), ("kendall", kendalltau)):

        def figure(pairs: Sequence[tuple[int, float]], of: Any = of) -> float:
            grades, values = zip(*pairs, strict=True)
            if min(len(set(grades)), len(set(values))) < 2:
                raise ValueError("one grade only")
            return float(of(grades, values).statistic)

        found.append(measure(f"judge/{attribute}/{name}/model", asked, figure))
    return found


def ece(rows: Sequence[tuple[bool, float]]) -> float:
    """Expected calibration error of (label, P) rows, in ten bins of equal width."""
    labels, values = zip(*rows, strict=True)
    return expected_calibration_error(values, labels)


def ask(attribute: str, row: Judged, lamda: Lamda) -> float:
    """The judge's P that the attribute's label is true of a row; the response's first 80 words are read."""
    response = " ".join(row.response.split(" ")[:80])
    reply = tuple(lamda.tokenizer.encode(response))
    asked = replace(lamda.judges, attributes=(attribute,))
    judged = scores(lamda.model, lamda.grammar, asked, row.context, [reply], row.snippets)[0]
    return 1 - judged["safe"] if attribute == "unsafe" else judged[attribute]


def tfidf(attribute: str, train: Sequence[Judged], test: Sequence[Judged]) -> list[float]:
    """Logistic regression on TF-IDF of words and word pairs, of the reply and of its context apart."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    def context(row: Judged) -> str:
        return " ".join([turn.text for turn in row.context.turns] + list(row.snippets)) or "-"

    parts = []
    for text in (lambda row: row.response or "-", context):
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=100_000, token_pattern=r"\S+")
        parts.append((vectorizer.fit_transform(map(text, train)), vectorizer.transform(map(text, test))))
    fit, ask = (hstack([part[i] for part in parts]).tocsr() for i in (0, 1))
    labels = [row.labels[attribute] for row in train]
    return LogisticRegression(C=3.0, max_iter=300).fit(fit, labels).predict_proba(ask)[:, 1].tolist()


def overlap(row: Judged) -> float:
    """The share of the reply's words that stand in the snippets."""
    words = re.findall(r"\w+", row.response.casefold())
    known = set(re.findall(r"\w+", " ".join(row.snippets).casefold()))
    return sum(word in known for word in words) / max(1, len(words))
