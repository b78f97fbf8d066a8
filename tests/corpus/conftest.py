import json
import random

import pytest

WORDS = """river mountain high long how who wrote book city blue tea likes and street garden morning paper window
quiet people market winter bread letter music bridge island teacher journey kitchen forest answer story weather
station question evening summer doctor village silver corner engine picture dinner history planet sailor""".split()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder: documents of two sources and dialogs, with planted repetitions and bad rows.

    books.jsonl 60 documents, then an exact and a near copy of the first; forum/a.jsonl and b.jsonl 40 dialogs each.
    """
    folder = tmp_path_factory.mktemp("corpus")
    rng = random.Random(0)
    books = [{"id": f"book-{n}", "text": prose(rng, 12)} for n in range(60)]
    books.append({"id": "copy", "text": books[0]["text"].upper()})
    books.append({"id": "near", "text": books[0]["text"].replace(books[0]["text"].split()[40], "lighthouse", 1)})
    write(folder / "books.jsonl", books)
    (folder / "forum").mkdir()
    for name in "ab":
        rows = []
        for n in range(40):
            roles = ["user", "assistant"] * rng.randrange(1, 6)
            turns = [{"role": role, "content": prose(rng, rng.randrange(1, 4))} for role in roles]
            rows.append({"id": f"{name}-{n}", "messages": turns})
        write(folder / "forum" / f"{name}.jsonl", rows)
    write(folder / "pages.jsonl", [{"id": f"page-{n}", "text": prose(rng, 6)} for n in range(50)])
    return folder


def prose(rng, sentences):
    """Sentences of 6 to 12 words, each with a number, so that no two texts are alike."""
    made = []
    for _ in range(sentences):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(6, 13))]
        made.append(" ".join([words[0].capitalize(), *words[1:], str(rng.randrange(10_000))]) + ".")
    return " ".join(made)


def write(path, rows):
    """JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
