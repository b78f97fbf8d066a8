"""T5's properties: shares, spans, sentinels, and that inputs and targets together are the text again."""

import random
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus.rows import Document
from openlamda.errors import UserError
from openlamda.text.objectives import prefix_lm, span_corruption, spans_of
from openlamda.text.tokenizer import Symbol, train
from openlamda.train.sources import READERS, sources
from openlamda.train.tasks import corruptible

SENTINELS = range(1000, 1100)
WORDS = "the river mountain is high long how who wrote book city blue tea likes lower lowest newer newest".split()


def filled_in(sequence, sentinels) -> tuple[list[int], list[list[int]]]:
    """The text, from the read part with each sentinel replaced by its learned span; and those spans."""
    start = sequence.learned.index(True)
    assert list(sequence.learned) == [False] * start + [True] * (len(sequence.tokens) - start)
    inputs, targets = sequence.tokens[:start], sequence.tokens[start:]
    spans: dict[int, list[int]] = {}
    for token in targets:
        if token in sentinels:
            assert token not in spans
            spans[token] = []
        else:
            spans[[*spans][-1]].append(token)
    assert [token for token in inputs if token in sentinels] == list(spans) == list(sentinels[: len(spans)])
    text = [part for token in inputs for part in spans.get(token, [token])]
    return text, list(spans.values())


@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=200),
    st.randoms(use_true_random=False),
    st.floats(0.01, 0.9),
    st.floats(1, 10),
)
def test_what_is_cut_out_and_what_is_left_are_the_text(tokens, rng, rate, mean_span):
    sequence = span_corruption(tokens, rng, SENTINELS, rate, mean_span)
    text, spans = filled_in(sequence, SENTINELS)
    assert text == tokens
    noise, number = spans_of(len(tokens), rate, mean_span)
    assert sum(map(len, spans)) == noise and len(spans) == number and all(spans)
    assert len(sequence.tokens) == len(tokens) + 2 * number
    shown = sequence.tokens[: sequence.learned.index(True)]
    assert shown[0] not in SENTINELS and shown[-1] in SENTINELS
    assert not any(a in SENTINELS and b in SENTINELS for a, b in pairwise(shown))


def test_the_numbers_of_t5():
    assert spans_of(512) == (77, 26)
    assert spans_of(100) == (15, 5)
    assert spans_of(2) == (1, 1)
    assert spans_of(4, 0.5, 1.0) == (2, 2)


def test_as_t5_writes_it():
    """The example of Raffel et al. 2020, figure 2, without the last sentinel that its code does not write either."""
    text = "Thank you for inviting me to your party last week .".split()

    class Chosen(random.Random):
        def sample(self, population, k, **_):
            return [{10 - 3: 2, 3: 2}[len(population) + 1]]

    sequence = span_corruption(range(10), Chosen(), SENTINELS, 0.3, 1.5)
    words = [f"<{token - 1000}>" if token in SENTINELS else text[token] for token in sequence.tokens]
    assert " ".join(words) == "Thank you <0> me to your party last <1> <0> for inviting <1> week"


def test_every_place_is_cut_out_alike_and_spans_vary():
    rng = random.Random(0)
    times, lengths = np.zeros(200), []
    for _ in range(600):
        _, spans = filled_in(span_corruption(range(200), rng, SENTINELS), SENTINELS)
        lengths += [len(span) for span in spans]
        for span in spans:
            assert span == list(range(span[0], span[-1] + 1))
            times[span] += 1
    assert np.mean(lengths) == pytest.approx(3) and len(set(lengths)) > 8
    assert times[50:150].mean() / 600 == pytest.approx(0.15, abs=0.01)


def test_the_generator_decides():
    first, again, other = (span_corruption(range(90), random.Random(seed), SENTINELS) for seed in (1, 1, 2))
    assert first == again != other


def test_what_cannot_be_corrupted_is_refused():
    with pytest.raises(ValueError, match="2 sentinels, expected 5"):
        span_corruption(range(100), random.Random(0), SENTINELS[:2])
    for objective in (
        lambda t: span_corruption(t, random.Random(0), SENTINELS),
        lambda t: prefix_lm(t, random.Random(0)),
    ):
        with pytest.raises(ValueError, match="1 tokens, expected 2"):
            objective((5,))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=50), st.randoms(use_true_random=False))
def test_a_prefix_is_read_and_the_rest_is_learned(tokens, rng):
    sequence = prefix_lm(tokens, rng)
    assert sequence.tokens == tuple(tokens)
    assert [learned for learned, _ in groupby(sequence.learned)] == [False, True]


def test_a_prefix_ends_anywhere():
    rng = random.Random(0)
    ends = [prefix_lm(range(11), rng).learned.index(True) for _ in range(2000)]
    assert sorted(set(ends)) == list(range(1, 11))
    assert max(ends.count(end) for end in set(ends)) < 1.3 * 200


@given(st.integers(6, 700))
def test_the_longest_text_whose_corruption_fits_a_row(limit):
    size = corruptible(limit)
    sizes = {
        n: len(span_corruption(range(n), random.Random(0), range(10_000, 10_500)).tokens) + 2 for n in (size, size + 1)
    }
    assert sizes[size] <= limit < sizes[size + 1]


@pytest.fixture(scope="module")
def with_sentinels():
    rng = random.Random(0)
    return train([" ".join(rng.choices(WORDS, k=8)) for _ in range(400)], 400, sentinels=10)


@pytest.fixture
def documents(monkeypatch) -> list[Document]:
    rng = random.Random(1)
    rows = [Document(f"d{n}", " ".join(rng.choices(WORDS, k=rng.choice((1, 5, 300))))) for n in range(40)]
    for task in ("document", "span_corruption", "prefix_lm"):
        monkeypatch.setitem(READERS, task, lambda folder: rows)
    monkeypatch.setattr("openlamda.train.sources.common_words", lambda folder: WORDS)
    return rows


def test_the_tasks_are_documents_again(with_sentinels, documents, tmp_path):
    texts = [" ".join(row.text.split()) for row in documents]
    mixture = {"span_corruption": 0.5, "prefix_lm": 0.5}
    made = sources(mixture, tmp_path, with_sentinels, 120, 0, [])
    for task in mixture:
        stream = iter(made[task])
        ended = 0
        for sequence in (next(stream) for _ in range(100)):
            assert len(sequence.tokens) <= 120 and sequence.tokens[0] == Symbol.DOCUMENT
            tokens, learned, end = sequence.tokens[1:], sequence.learned[1:], sequence.tokens[-1] == Symbol.EOS
            ended += end
            if task == "span_corruption":
                assert end and sequence.learned[-1]
                body = type(sequence)(tokens[:-1], learned[:-1])
                tokens, _ = filled_in(body, with_sentinels.sentinels)
            assert any(with_sentinels.decode(tokens).strip() in text for text in texts)
        assert ended > 20


def test_span_corruption_wants_sentinels(with_sentinels, tokenizer, documents, tmp_path):
    mixture: dict[str, float] = {"span_corruption": 1.0}
    for made, limit in ((tokenizer, 120), (with_sentinels, 512)):
        with pytest.raises(UserError, match=r"takes \d+ sentinels, the tokenizer has \d+.*--sentinels 100"):
            sources(mixture, tmp_path, made, limit, 0, [])


def test_subwords_of_a_row_depend_on_its_number_alone(with_sentinels, documents, tmp_path):
    mixture = {"document": 0.5, "prefix_lm": 0.5}
    made, again, plain = (sources(mixture, tmp_path, with_sentinels, 120, 7, [], alpha) for alpha in (0.3, 0.3, 0))
    streams = [iter(source["document"]) for source in (made, again, plain)]
    other = iter(again["prefix_lm"])
    changed = 0
    for _ in range(100):
        next(other)  # what is drawn elsewhere in between does not matter
        with_sentinels.sample("something else", 0.3, "between")
        first, second, without = (next(stream) for stream in streams)
        assert first == second
        changed += first != without
        for sequence in (first, without):
            assert not any(with_sentinels.is_symbol(token) for token in sequence.tokens[1:-1])
        shorter = min(with_sentinels.decode(s.tokens) for s in (first, without))
        assert all(with_sentinels.decode(s.tokens).startswith(shorter[:30]) for s in (first, without))
    assert changed > 80


def test_texts_to_copy_are_cut_one_way(with_sentinels, documents, tmp_path):
    made = sources({"copy": 1.0}, tmp_path, with_sentinels, 120, 7, [], 0.5)
    plain = sources({"copy": 1.0}, tmp_path, with_sentinels, 120, 7, [])
    streams = iter(made["copy"]), iter(plain["copy"])
    assert all(next(streams[0]) == next(streams[1]) for _ in range(20))
