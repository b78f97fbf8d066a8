"""Public data sets as rows of ours, one function for each use. The sets and their licences: docs/data.md.

Each function takes the folder of the JSON Lines files and yields all rows, held-back ones too: whoever trains
leaves those out (`rows.split`). Where people gave no label, a weak one is derived, and said so here.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from openlamda.corpus.readers import find, read_jsonl
from openlamda.corpus.rows import Answered, Document, Judged, Talk
from openlamda.text.dialog import Dialog, Turn

_ROLES = {"user": "user", "assistant": "agent"}
_STOCK = (
    "ok",
    "okay",
    "i see",
    "sure",
    "yes",
    "no",
    "me too",
    "that's nice",
    "i don't know",
    "cool",
    "thanks",
    "great",
)


def documents(folder: Path) -> Iterator[Document]:
    """Books, textbooks, encyclopedia and factbook chapters."""
    for path in find(folder, "doc_*.jsonl.xz"):
        for row in read_jsonl(path):
            yield Document(f"{row.get('url')} {row.get('title')}", f"{row['title']}\n\n{row['text']}")


def dialogs(folder: Path) -> Iterator[Talk]:
    """Chit-chat, tasks, plays, technical talk; neighbouring turns of one side are joined."""
    for path in find(folder, "dialog_*.jsonl.xz", "rec_*.jsonl.xz", "edu_mathdial.jsonl.xz"):
        for row in read_jsonl(path):
            yield Talk(row["id"], _dialog(row["turns"]))


def _dialog(turns: list[dict[str, Any]]) -> Dialog:
    joined: list[Turn] = []
    for turn in turns:
        author = _ROLES.get(turn["role"])
        text = (turn.get("text") or "").strip()
        if author is None or not text:
            continue
        if joined and joined[-1].author == author:
            joined[-1] = Turn(joined[-1].author, f"{joined[-1].text}\n{text}")
        else:
            joined.append(Turn("user" if author == "user" else "agent", text))
    return Dialog(tuple(joined))


def unsafe(folder: Path) -> Iterator[Judged]:
    """UNSAFE by people, of replies in their context: DiaSafety."""
    for row in read_jsonl(folder / "safety_diasafety.jsonl.xz"):
        labels = {"unsafe": row["labels"]["label"] == "Unsafe"}
        hazard = row["labels"]["category"].lower()
        yield Judged(row["id"], _dialog(row["context"]), row["response"], labels, kind=hazard)


def passages(folder: Path) -> Iterator[Answered]:
    """Questions with the passage that answers them: SQuAD's that have an answer, and QED's of Natural Questions."""
    for name in ("qa_squad_dev", "qa_qed_nq"):
        for row in read_jsonl(folder / f"{name}.jsonl.xz"):
            flat = (answer if isinstance(answer, str) else " ".join(answer) for answer in row["answers"])
            answers = [answer for answer in flat if answer in row["knowledge"]]
            if row.get("answerable", True) and answers:
                yield Answered(f"{row['title']}#{row['id']}", row["question"], row["knowledge"], answers[0])


def abusive(folder: Path) -> Iterator[Judged]:
    """UNSAFE by people, of what is said at all: Davidson's tweets, HateCheck, ConvAbuse."""
    for row in read_jsonl(folder / "safety_davidson_tweets.jsonl.xz"):
        kind = row["labels"]["class"]
        yield Judged(row["id"], Dialog(), row["text"], {"unsafe": kind != "neither"}, kind=kind.replace("_", " "))
    for row in read_jsonl(folder / "safety_hatecheck_cases.jsonl.xz"):
        labels = {"unsafe": row["labels"]["label"] == "hateful"}
        yield Judged(row["id"], Dialog(), row["text"], labels, kind=row["labels"]["target"].lower())
    for row in read_jsonl(folder / "safety_convabuse.jsonl.xz"):
        votes = [float(rater["is_abuse"]) for rater in row["labels"]["raters"]]
        yield Judged(row["id"], Dialog(), row["text"], {"unsafe": 2 * sum(vote < 0 for vote in votes) > len(votes)})


def grounded(folder: Path) -> Iterator[Judged]:
    """GROUNDED by people: BEGIN and the FaithDial audit (fully attributable or not), Q2 (consistent or not)."""
    for name in ("grounded_begin", "grounded_faithdial_audit"):
        for row in read_jsonl(folder / f"{name}.jsonl.xz"):
            label = row["labels"].get("begin")
            labels = label if isinstance(label, list) else [label]
            if labels and all(isinstance(value, str) for value in labels):
                full = [bool(re.match(r"(fully|entailment)(?!.*hallucination)", value, re.I)) for value in labels]
                yield _with_knowledge(row, 2 * sum(full) > len(full), labels[0].lower())
    for row in read_jsonl(folder / "grounded_q2_wow.jsonl.xz"):
        yield _with_knowledge(row, row["labels"]["inconsistent"] == 0)


def supported(folder: Path) -> Iterator[Judged]:
    """GROUNDED, weak: a sentence with a third of its words left out is grounded in the passage that it is from, and
    not in one from elsewhere in the same text; nor is the first half of such a sentence joined to a stranger's.
    """
    rng = random.Random(0)
    for row in documents(folder):
        sentences = [s for s in re.split(r"(?<=[.!?])\s+", row.text) if 6 <= len(s.split()) <= 30]
        for number in range(0, min(len(sentences) - 12, 60), 6):
            inside, outside = rng.choice(sentences[number : number + 3]), rng.choice(sentences[number + 6 :])
            passage = (" ".join(sentences[number : number + 3]),)
            said, stranger = _thinned(inside, rng), _thinned(outside, rng)
            mixed = " ".join(said.split()[: len(said.split()) // 2] + stranger.split()[len(stranger.split()) // 2 :])
            yield Judged(f"{row.id}#{number}", Dialog(), said, {"grounded": True}, passage)
            wrong = stranger if rng.random() < 0.6 else mixed
            yield Judged(f"{row.id}#{number}", Dialog(), wrong, {"grounded": False}, passage)


def _thinned(sentence: str, rng: random.Random) -> str:
    return " ".join(word for word in sentence.split() if rng.random() < 0.67) or sentence


def _with_knowledge(row: dict[str, Any], label: bool, kind: str = "") -> Judged:
    knowledge = " ".join(str(row["knowledge"]).split()[:110])
    context = [turn for turn in row["context"] if isinstance(turn, dict)][-1:]
    return Judged(row["id"], _dialog(context), row["response"], {"grounded": label}, (knowledge,), kind)


def sensible(folder: Path) -> Iterator[Judged]:
    """SENSIBLE, weak: the reply that was given makes sense, a reply out of another dialog of the same set does not."""
    for talk, context, reply, stranger in _replies(folder):
        yield Judged(f"{talk}+", context, reply, {"sensible": True})
        yield Judged(f"{talk}-", context, stranger, {"sensible": False})


def specific(folder: Path) -> Iterator[Judged]:
    """SPECIFIC, weak: replies that stand in many dialogs ("ok") and replies out of another dialog are not specific."""
    rows = list(_replies(folder))
    common = Counter(_plain(reply) for _, _, reply, _ in rows)
    for number, (talk, context, reply, stranger) in enumerate(rows):
        generic = common[_plain(reply)] >= 5 or len(reply.split()) < 4
        yield Judged(f"{talk}+", context, reply, {"specific": not generic})
        if not generic:
            other = stranger if number % 2 else _STOCK[number // 2 % len(_STOCK)]
            yield Judged(f"{talk}-", context, other, {"specific": False})


def interesting(folder: Path) -> Iterator[Judged]:
    """INTERESTING by people: Topical-Chat's rating of a message by the partner, excellent against passable or worse."""
    for row, grade in graded(folder):
        if GRADES[grade] != "Good":
            yield replace(row, labels={"interesting": GRADES[grade] == "Excellent"})


GRADES = ("Poor", "Not Good", "Passable", "Good", "Excellent")


def graded(folder: Path) -> Iterator[tuple[Judged, int]]:
    """Topical-Chat's messages with the partner's grade of how interesting each is, 0 to 4, and no label."""
    for row in read_jsonl(folder / "dialog_topical_chat.jsonl.xz"):
        turns = row["turns"]
        for number in range(1, len(turns)):
            if (rating := turns[number].get("rating")) in GRADES:
                context = Dialog((Turn("user", turns[number - 1]["text"]),))
                yield Judged(f"{row['id']}#{number}", context, turns[number]["text"]), GRADES.index(rating)


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()


def _replies(folder: Path) -> Iterator[tuple[str, Dialog, str, str]]:
    """(id, context of at most two turns, the reply given, a reply out of another dialog), one of each dialog."""
    rng = random.Random(0)
    for path in find(
        folder, "dialog_self_dialogue*", "dialog_topical*", "dialog_synthetic*", "dialog_multiwoz*", "rec_*"
    ):
        talks = [Talk(row["id"], _dialog(row["turns"])) for row in read_jsonl(path)]
        talks = [talk for talk in talks if len(talk.dialog.turns) >= 3]
        for talk in talks:
            turns = talk.dialog.turns
            at = rng.randrange(1, len(turns))
            context = tuple(Turn("user" if (at - i) % 2 else "agent", turns[i].text) for i in range(max(0, at - 2), at))
            stranger = rng.choice(rng.choice(talks).dialog.turns).text
            yield talk.id, Dialog(context), turns[at].text, stranger
