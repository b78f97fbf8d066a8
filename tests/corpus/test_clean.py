"""Rules for rows, each against texts made to break it alone; shares against a second, slower way."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus import words
from openlamda.corpus.clean import Filters, make_cleaner
from openlamda.corpus.repetition import duplicate_lines, repeated_runs
from openlamda.corpus.rows import Document, Talk
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn

PROSE = (
    "The old lighthouse stood at the end of a narrow path that few people knew. In winter its keeper wrote long "
    "letters to a sister who lived in the city, and she answered with news of concerts, weddings and elections. When "
    "spring came he painted the door blue, repaired what storms had broken, and waited for the first boats to appear."
)


def cleaned(text, **settings):
    kept = make_cleaner(Filters(**settings))(Document("d", text))
    return kept.text if isinstance(kept, Document) else kept


def talk(*texts):
    return Talk("t", Dialog(tuple(Turn("user" if n % 2 == 0 else "agent", text) for n, text in enumerate(texts))))


def test_prose_stays_as_it_is():
    assert cleaned(PROSE) == PROSE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Only four words here", "too short"),
        ("word " * 100_001, "too long"),
        (" ".join(word[:2] for word in PROSE.split()), "word length"),
        (" ".join(f"{a}{b}{b}" for a, b in zip(PROSE.split(), PROSE.split()[1:], strict=False)), "word length"),
        (PROSE.replace(" ", " ... ", 20), "symbols"),
        (PROSE + " 1234" * 25, "not alphabetic"),
        (PROSE + " Lorem ipsum dolor sit amet.", "filler text"),
        (PROSE + "\nSign up for more!" * 8, "repeated lines"),
        ("\n".join([PROSE, "An unlike line.", PROSE, *"abc"]), "repeated lines"),
        (PROSE + " buy now" * 20, "repeated words"),
        (f"{PROSE} {PROSE}", "repeated words"),
    ],
)
def test_a_document_is_dropped_for_a_reason(text, reason):
    assert cleaned(text) == reason


@pytest.mark.parametrize(
    ("text", "off"),
    [
        (PROSE + "\nSign up for more!" * 8, {"max_duplicate_lines": 1, "max_duplicate_characters": 1}),
        (f"{PROSE} {PROSE}", {}),
        (PROSE + " 1234" * 25, {"min_alphabetic": 0}),
    ],
)
def test_a_rule_can_be_turned_off(text, off):
    assert cleaned(text, **off, max_top_runs=(), max_repeated_runs=()) == text


def test_dialogs_are_judged_as_a_whole():
    """Short turns that say the same are dialog, not spam."""
    cleaner = make_cleaner(Filters(min_words=5))
    chat = talk(*["Yes.", "No."] * 40)
    assert cleaner(chat) == chat
    assert cleaner(talk("Hi", "Hello there")) == "too short"


def test_languages():
    german = "Der alte Leuchtturm stand am Ende eines schmalen Weges, den nur wenige Leute aus dem Dorf noch kannten."
    cleaner = make_cleaner(Filters(languages=("de",)))
    assert cleaner(Document("d", german)) == Document("d", german)
    assert cleaner(Document("d", PROSE)) == "language"
    assert cleaner(talk(german, "Wirklich? Das habe ich gar nicht gewusst, erzähl mir mehr davon.")) != "language"
    assert cleaner(talk(PROSE, "Really? Tell me more about the keeper and his sister.")) == "language"
    with pytest.raises(UserError, match=r"languages xx, expected codes out of .*de"):
        make_cleaner(Filters(languages=("xx",)))


def test_scripts_without_spaces_have_words():
    chinese = "".join(chr(0x4E00 + n * 7 % 5000) for n in range(80))
    assert cleaned(chinese) == chinese
    assert len(words.split(chinese)) == 80 and words.split("ok 你好, x") == ["ok", "你", "好", ",", "x"]


def test_personal_data_is_masked_in_both_kinds():
    text = "Please write to someone at jane@example.org"
    assert cleaned(text) == "Please write to someone at [email]"
    assert cleaned(text, mask_pii=False) == text
    kept = make_cleaner(Filters())(talk("What is your address?", text, "And your phone number?", "07700900123"))
    assert isinstance(kept, Talk)
    assert [turn.text for turn in kept.dialog.turns[1::2]] == ["Please write to someone at [email]", "[phone]"]


def test_evaluation_data_is_dropped(tmp_path):
    (tmp_path / "suite.txt").write_text(PROSE)
    cleaner = make_cleaner(Filters(contamination=(str(tmp_path / "suite.txt"),)))
    assert cleaner(Document("d", f"He read: {PROSE[40:140]} And so on.")) == "evaluation data"
    assert cleaner(talk("Tell me a story, please.", PROSE.upper())) == "evaluation data"
    assert cleaner(Document("d", PROSE[::-1])) == Document("d", PROSE[::-1])


def test_shares_of_lines_by_hand():
    assert duplicate_lines(["ab", "c", "ab", "ab"]) == (2 / 4, 4 / 7)
    assert duplicate_lines([]) == (0, 0)


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "dd"]), max_size=40))
def test_shares_of_runs_by_a_second_way(said):
    """Counter over tuples; where several runs are the most frequent, the share is of one of them."""
    found = {size: (top, repeated) for size, top, repeated in repeated_runs(said, 8)}
    characters = sum(map(len, said))
    for size in range(2, 9):
        runs = [tuple(said[i : i + size]) for i in range(len(said) - size + 1)]
        counts = Counter(runs)
        most = max(counts.values(), default=0)
        seen, covered = set(), set()
        for at, run in enumerate(runs):
            if run in seen:
                covered |= set(range(at, at + size))
            seen.add(run)
        if most < 2:
            assert size not in found
        else:
            tops = {most * len("".join(run)) / characters for run, count in counts.items() if count == most}
            assert any(found[size][0] == pytest.approx(top) for top in tops)
            assert found[size][1] == pytest.approx(sum(len(said[i]) for i in covered) / characters)


def test_random_words_are_no_repetition():
    rng = random.Random(0)
    said = ["".join(rng.choices("abcdefgh", k=6)) for _ in range(3000)]
    assert all(top < 0.01 and repeated < 0.01 for _, top, repeated in repeated_runs(said, 10))
