"""BPE and unigram, with sentinels and cut at random: nothing is lost, nothing becomes a symbol, keys decide."""

import collections
import itertools
import json
import lzma
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.errors import UserError
from openlamda.text.tokenizer import Symbol, Tokenizer, train

SYLLABLES = "lo we st er new low ri ver ta in mo un the".split()
WORDS = ["".join(random.Random(n).choices(SYLLABLES, k=1 + n % 3)) for n in range(150)]
ALPHAS = {"bpe": 0.3, "unigram": 0.2}
texts = st.text(max_size=40) | st.sampled_from(
    [
        "<extra_id_0> a <extra_id_9>",
        "<TS>",
        "▁ ▁▁",
        "\ue000\ue001",
        "\0",
        "<0x0A>",
        "  two  spaces\n\n",
        "1234",
        "né 你好 👩‍👧",
    ]
)


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def cut(kind) -> Tokenizer:
    """A small tokenizer of each kind, with ten sentinels."""
    rng = random.Random(0)
    lines = [" ".join(rng.choice(WORDS) for _ in range(8)) for _ in range(400)]
    return train(lines, 380, kind=kind, sentinels=10)


@settings(deadline=None, max_examples=150)
@given(text=texts, key=st.text(max_size=5), alpha=st.floats(0, 1))
def test_cut_at_random_every_string_round_trips_and_forms_no_symbol(cut, text, key, alpha):
    for ids in (cut.encode(text), cut.sample(text, alpha, key)):
        assert not any(cut.is_symbol(token) for token in ids)
        assert cut.decode(ids) == text


def test_sentinels_are_controls_above_the_symbols(cut):
    assert list(cut.sentinels) == list(range(len(Symbol), len(Symbol) + 10))
    assert cut.piece(cut.sentinels[3]) == "<extra_id_3>"
    river = cut.encode("river")
    assert cut.decode([cut.sentinels[0], *river, cut.sentinels[9]]) == "river"
    assert all(cut.is_symbol(token) for token in range(29)) and not cut.is_symbol(29)
    again = Tokenizer(cut.model)
    assert again.sentinels == cut.sentinels and again.encode("the river") == cut.encode("the river")


def test_without_sentinels_the_first_piece_follows_the_symbols(tokenizer):
    assert not tokenizer.sentinels
    assert tokenizer.is_symbol(Symbol.YES) and not tokenizer.is_symbol(len(Symbol))


def test_the_key_and_the_text_decide(cut, kind):
    line = " ".join(WORDS[:20])
    first = [cut.sample(line, ALPHAS[kind], f"{n}") for n in range(20)]
    cut.sample("something else", ALPHAS[kind], "between")
    assert [cut.sample(line, ALPHAS[kind], f"{n}") for n in range(20)] == first
    assert len({tuple(ids) for ids in first}) > 15
    code = "import sys, json; from openlamda.text.tokenizer import Tokenizer\n"
    code += "made = Tokenizer(bytes.fromhex(sys.stdin.read()))\n"
    code += "print(json.dumps(made.sample(sys.argv[1], float(sys.argv[2]), '7')))"
    other = subprocess.run(
        [sys.executable, "-c", code, line, str(ALPHAS[kind])], input=cut.model.hex(), capture_output=True, text=True
    )
    assert json.loads(other.stdout) == first[7], other.stderr


def cuts(word: str, pieces: dict[str, float]):
    """Every way to write `word` in pieces, with the sum of their scores."""
    for places in itertools.product((False, True), repeat=len(word) - 1):
        ends = [0, *(n for n, cut in enumerate(places, 1) if cut), len(word)]
        parts = tuple(word[a:b] for a, b in itertools.pairwise(ends))
        if all(part in pieces for part in parts):
            yield parts, sum(pieces[part] for part in parts)


@pytest.mark.parametrize(("kind", "alpha"), [("bpe", 0.0), ("unigram", 1e4)], indirect=["kind"])
def test_without_chance_the_cut_is_sentencepieces(cut, kind, alpha):
    assert cut.kind == kind
    for line in (" ".join(WORDS[n : n + 9]) for n in range(0, 150, 9)):
        assert cut.sample(line, alpha, "key") == cut.encode(line)


def test_a_stretch_without_spaces_takes_no_time(cut):
    began = time.perf_counter()
    text = "lower" * 4000
    assert cut.decode(cut.sample(text, 0.2, "key")) == text
    assert time.perf_counter() - began < 3


@pytest.mark.parametrize("kind", ["unigram"], indirect=True)
def test_unigram_says_the_likeliest_cut_and_draws_the_others_by_their_probability(cut):
    pieces = {cut.piece(token): cut._pieces.get_score(token) for token in range(29 + 256, cut.vocab_size)}
    ways = dict(cuts("▁lowest", pieces))
    assert len(ways) > 5
    assert tuple(map(cut.piece, cut.encode("lowest"))) == max(ways, key=lambda parts: ways[parts])
    draws = 4000
    drawn = collections.Counter(tuple(map(cut.piece, cut.sample("lowest", 0.2, f"{n}"))) for n in range(draws))
    weights = np.exp(0.2 * np.array(list(ways.values())))
    for parts, share in zip(ways, weights / weights.sum(), strict=True):
        assert drawn[parts] / draws == pytest.approx(share, abs=0.035), parts


@pytest.mark.parametrize("kind", ["bpe"], indirect=True)
def test_bpe_leaves_merges_out(cut):
    assert [cut.piece(token) for token in cut.sample("low", 1.0, "key")] == ["▁", "l", "o", "w"]
    text = " ".join(WORDS[:30])
    sizes = [np.mean([len(cut.sample(text, alpha, f"{n}")) for n in range(50)]) for alpha in (0, 0.1, 0.3, 0.6)]
    assert sizes == sorted(sizes) and sizes[1] > 1.05 * sizes[0]


@pytest.mark.parametrize(
    ("size", "sentinels", "message"), [(300, 100, "tokenizer"), (400, -1, "sentinels: -1, expected")]
)
def test_what_cannot_be_trained_is_refused(kind, size, sentinels, message):
    with pytest.raises(UserError, match=message):
        train(["a river"] * 9, size, kind=kind, sentinels=sentinels)


def test_the_command_trains_both_kinds(tmp_path, kind):
    rng = random.Random(1)
    said = [{"role": "user", "text": "the river"}, {"role": "assistant", "text": "the lowest"}]
    for name in ("doc_made", "dialog_made", "rec_made", "edu_mathdial"):
        rows = [
            {"id": f"{n}", "title": f"{n}", "text": " ".join(rng.choices(WORDS, k=30)), "turns": said}
            for n in range(30)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    made = tmp_path / "t.model"
    arguments = ["tokenizer", "train", tmp_path, "-o", made, "--kind", kind, "--vocab-size", "320", "--sentinels", "5"]
    done = subprocess.run([sys.executable, "-m", "openlamda", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(Tokenizer.load(made).sentinels) == 5
