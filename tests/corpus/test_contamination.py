"""Evaluation data is found however it is typed, and nothing else is."""

import gzip
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus.contamination import Index, make_index
from openlamda.corpus.words import hashes
from openlamda.errors import UserError

LONG = "how many miles is it from the harbour to the old mill by the river road"
SHORT = "name nine rivers that flow into the sea"


@pytest.fixture(scope="module")
def index():
    return Index(map(hashes, [LONG, SHORT, "what is the capital", ""]))


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        LONG.upper() + "?",
        "“How many miles is it—from the harbour—to the old ‘mill’ by the river road?” she asked…",
        "Ünd so: " + ", ".join(LONG.split()[2:15]),
        "你好 " + LONG.replace(" ", "\n"),
        "x " * 50_000 + LONG + " y" * 50_000,
        f"Please {SHORT}!",
    ],
)
def test_a_quotation_is_found_however_it_is_typed(index, text):
    assert index.quoted_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ".join(LONG.split()[:12]),  # one word fewer than thirteen
        " ".join([*LONG.split()[:7], "new", *LONG.split()[7:]]),
        " ".join(reversed(LONG.split())),
        " ".join(SHORT.split()[:-1]),  # a short text must be there whole
        "what is the capital of that country, and what is the capital of the next",  # under eight words: by chance
        "howmany miles is it from the harbour to the old mill by the riverroad",
    ],
)
def test_what_is_no_quotation_is_not(index, text):
    assert not index.quoted_in(text)


def test_every_text_of_every_format_counts(tmp_path):
    deep = {"id": 1, "turns": [{"role": "user", "text": "hello"}], "labels": {"rationale": [LONG]}, "answer": SHORT}
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(deep).encode()))
    (tmp_path / "b.md").write_text("# " + LONG)
    for name, found in (("a.jsonl.gz", [True, True]), ("b.md", [True, False])):
        index = make_index([str(tmp_path / name)])
        assert [index.quoted_in(LONG), index.quoted_in(SHORT)] == found


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.jsonl", b'{"text": "x"}\n{', r"bad.jsonl:2: .*expected a JSON object"),
        ("cut.jsonl.gz", gzip.compress(b"{}\n" * 9999, mtime=0)[:-20], "cut.jsonl.gz:.*expected a whole file"),
        ("few.jsonl", b'{"text": "only a few words"}', "few.jsonl: no text of 8 words or more"),
    ],
)
def test_evaluation_data_that_cannot_be_read_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        make_index([str(tmp_path / name)])
    with pytest.raises(UserError, match="no such file"):
        make_index([str(tmp_path / "none.jsonl")])
    with pytest.raises(UserError, match="contamination_ngram 3, expected 8 or more"):
        make_index([], 3)


@given(st.text(alphabet="aAbB ,.'\n-", max_size=80))
def test_words_are_equal_as_a_second_way_says(text):
    """Equal words have equal hashes and others others: by a regular expression."""
    plain = re.findall("[ab]+", text.lower())
    found = hashes(text).tolist()
    assert len(found) == len(plain)
    assert len(set(zip(plain, found, strict=True))) == len(set(plain)) == len(set(found))


@given(st.text(max_size=40))
def test_any_text_can_be_looked_up(text):
    assert not Index([hashes(LONG)]).quoted_in(text)
    assert hashes(text).tolist() == hashes(text.upper().casefold()).tolist() or not text.isascii()


def test_long_texts_hash_like_their_parts():
    text = " ".join(f"w{n}" for n in range(20_000)) + " é"
    assert hashes(text).tolist() == [hashes(word)[0] for word in text.split()]
