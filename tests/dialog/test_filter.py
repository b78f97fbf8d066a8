"""The filter job: what passes, that batches and kills change nothing, that another job's work is not mixed in."""

import gzip
import json
import lzma
import random
import runpy
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from openlamda.corpus.kept import KeptTurns
from openlamda.corpus.readers import read_jsonl
from openlamda.dialog.bulk import judge_rows
from openlamda.dialog.chunks import trees_of, turns_of
from openlamda.dialog.filter import Counts, files_of, model_hash, run
from openlamda.dialog.judge import WINDOW, probability
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.stretches import contexts
from openlamda.engine.base import TextTree, Tokens
from openlamda.engine.scripted import ScriptedModel
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn, dialog_from_json
from openlamda.text.grammar import Grammar
from openlamda.tools.toolset import Toolset

SCRIPT = Path(__file__).with_name("filter_job.py")
JUDGES, Rater, job = (runpy.run_path(str(SCRIPT))[name] for name in ("JUDGES", "Rater", "job"))
SAID = ["the river is long", "blue tea", "who wrote the book", "the city likes tea"]


def dialogs(path: Path, count: int, **more) -> Path:
    def turns(n: int) -> list[dict]:
        return [{"role": ("user", "assistant")[t % 2], "text": f"{SAID[(n + t) % 4]} {n}"} for t in range(2 + n % 5)]

    path.write_text("".join(json.dumps({"id": f"d{n}", "turns": turns(n), **more}) + "\n" for n in range(count)))
    return path


@pytest.fixture
def source(tmp_path) -> Path:
    return dialogs(tmp_path / "talk.jsonl", 120)


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix != ".tmp"}


def test_kept_turns_reach_every_threshold_and_all_are_counted(tmp_path, source, tokenizer):
    counts = run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job())
    rows = [row for path in sorted((tmp_path / "out").glob("*.gz")) for row in read_jsonl(path)]
    asked = list(turns_of([source], Counter()))
    assert counts.seen == len(asked) > 120 and counts.kept == len(rows) > 5
    assert all(row["scores"]["sensible"] > 0.5 and row["scores"]["safe"] > 0.5 for row in rows)
    by_id = {turn.id: turn for turn in asked}
    for row in rows:
        turn = by_id[row["id"]]
        assert row["response"] == turn.response and row["context"][-1]["content"] == turn.context.turns[-1].text
    either = counts.seen - counts.kept
    assert max(counts.below.values()) <= either <= sum(counts.below.values())
    assert {name: sum(histogram) for name, histogram in counts.histograms.items()} == {
        "sensible": counts.seen,
        "safe": counts.seen,
    }


def test_the_first_turns_are_from_all_files_and_each_dialog_is_whole(tmp_path):
    long, short = dialogs(tmp_path / "long.jsonl", 5), dialogs(tmp_path / "short.jsonl", 2)
    short.write_text(short.read_text().replace('"d', '"s'))
    found = [turn.id.split("#") for turn in turns_of([long, short], Counter())]
    assert [name for name, _ in groupby(name for name, _ in found)] == ["d0", "s0", "d1", "s1", "d2", "d3", "d4"]
    assert len(found) == sum(len(list(turns_of([path], Counter()))) for path in (long, short))


def test_contexts_of_a_stretch_begin_alike_and_a_new_one_is_a_quarter_of_a_window():
    rng = random.Random(5)
    turns = tuple(Turn(("user", "agent")[n % 2], chr(500 + n) * rng.choice((1, 5, 9, 20, 70))) for n in range(400))
    found = dict(contexts(turns, letters, 60))
    assert list(found) == list(range(1, 400, 2))
    moved = 0
    for n, context in found.items():
        assert letters(context) <= 60 and turns[n - 1].text.endswith(context.turns[-1].text)
        grown = (found[n - 2].turns if n > 1 else ()) + turns[max(0, n - 2) : n]
        if letters(Dialog(grown)) <= 60:  # the beginning stays as long as it can
            assert context.turns == grown
            continue
        moved += 1
        kept = len(context.turns)
        if letters(Dialog(turns[n - 1 : n])) > 15:
            assert kept == 1 and letters(context) == min(60, letters(Dialog(turns[n - 1 : n])))
        else:
            assert context.turns == turns[n - kept : n] and letters(context) <= 15
            assert kept == n or letters(Dialog(turns[n - kept - 1 : n])) > 15
    assert 20 < moved < 180


def test_rows_are_judged_with_as_much_context_as_a_corpus(tokenizer):
    """More than a chat's window, up to `WINDOW`; of a longer one the newest turns."""
    read: list[Tokens] = []

    def rate(prefix: Tokens, continuation: Tokens) -> list[float]:
        read.append(prefix)
        return [-1.0] * len(continuation)

    lamda = Lamda(ScriptedModel(lambda prefix, n: [()], rate), tokenizer, Toolset([]), judges=JUDGES, window=40)
    turns = tuple(Turn(("user", "agent")[n % 2], f"{SAID[n % 4]} {n}") for n in range(101))

    def size(dialog: Dialog) -> int:
        return len(lamda.grammar.context(dialog).tokens)

    most = max(n for n in range(1, 101) if size(Dialog(turns[-n:])) <= WINDOW)
    for count in (most, 101):
        context = [{"role": turn.author, "text": turn.text} for turn in turns[-count:]]
        list(judge_rows([("here:1", {"context": context, "response": "blue tea"})], lamda))
        shown = lamda.grammar.judge(Dialog(turns[-most:])).tokens
        assert len(shown) > 4 * lamda.window and {prefix[: len(shown)] for prefix in read} == {shown}


def letters(dialog: Dialog) -> int:
    return sum(1 + len(turn.text) for turn in dialog.turns)


def test_a_context_that_goes_on_shares_its_beginning():
    texts = [((1, 2), (9,)), ((1, 2, 3), (8, 7)), ((2, 3), (9,)), ((2, 3), (5,)), ((2,), (5,))]
    trees = trees_of(texts)
    assert trees == [
        TextTree((1, 2, 3), ((2, (9,)), (3, (8, 7)))),
        TextTree((2, 3), ((2, (9,)), (2, (5,)))),
        TextTree((2,), ((1, (5,)),)),
    ]
    read = [(tree.trunk[:fork], own) for tree in trees for fork, own in tree.branches]
    assert read == texts


def test_what_is_kept_says_what_was_judged_wherever_a_chunk_ends(tmp_path, source, tokenizer):
    """Ratings of the texts in the kept rows, one by one, are the scores in them; chunks cut dialogs anywhere."""
    everything = job(thresholds={"safe": 0.0})
    grammar = Grammar(tokenizer.encode)
    for chunk in (3, 7, 50):
        run(tmp_path / f"{chunk}", [source], Rater(), tokenizer, JUDGES, replace(everything, chunk=chunk))
    rows = [[row for path in sorted((tmp_path / f"{n}").glob("*.gz")) for row in read_jsonl(path)] for n in (3, 7, 50)]
    assert rows[0] == rows[1] == rows[2] and len(rows[0]) > 120
    for row in rows[0]:
        text = grammar.judge(dialog_from_json(row["context"], "")).tokens + grammar.reply(row["response"])
        ((sensible, unsafe),) = Rater().rate_all([TextTree(text, ((len(text), ()),))], [], 0, 0, 1)
        assert row["scores"] == {
            "sensible": probability(sensible, "sensible", JUDGES),
            "safe": probability(unsafe, "unsafe", JUDGES),
        }


def test_a_job_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path, source, tokenizer):
    whole = run(tmp_path / "whole", [source], Rater(), tokenizer, JUDGES, job(), batch_rows=3)
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    command = [sys.executable, SCRIPT, source, tmp_path / "parts", tmp_path / "t.model", "0.03"]
    chunks = []
    for wait in (0.02, 0.05, 0.08, 0.11):  # after the first new chunk
        with subprocess.Popen(command) as process:
            while process.poll() is None and len(list(tmp_path.glob("parts/*.gz"))) <= len(chunks):
                time.sleep(0.002)
            time.sleep(wait)
            process.kill()
        assert process.returncode == -9
        chunks = list(tmp_path.glob("parts/*.gz"))
    assert 4 <= len(chunks) < len(list(tmp_path.glob("whole/*.gz")))
    assert run(tmp_path / "parts", [source], Rater(), tokenizer, JUDGES, job()) == whole
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


@pytest.mark.parametrize("changes", [{"model": "n"}, {"thresholds": {"safe": 0.4}}, {"inputs": ()}, {"turns": 3}])
def test_another_jobs_directory_is_refused(tmp_path, source, tokenizer, changes):
    run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job())
    before = files(tmp_path / "out")
    with pytest.raises(UserError, match=r"another job's work"):
        run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job(**changes))
    assert files(tmp_path / "out") == before


def test_files_of_one_name_and_their_order_make_another_job(tmp_path, source, tokenizer):
    files = (("talk.jsonl", "x"), ("talk.jsonl", "y"))
    run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job(inputs=files))
    for other in (files[1:], files[::-1]):
        with pytest.raises(UserError, match=r"another job's work"):
            run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job(inputs=other))


def test_calibration_and_tokenizer_are_part_of_the_model(tmp_path):
    for name in ("model.safetensors", "config.json", "tokenizer.model", "judges.json"):
        (tmp_path / name).write_text("a")
    seen = {model_hash(tmp_path)}
    for name in ("model.safetensors", "config.json", "tokenizer.model", "judges.json"):
        (tmp_path / name).write_text("b")
        seen.add(model_hash(tmp_path))
    assert len(seen) == 5


def test_a_directory_with_something_else_in_it_is_refused(tmp_path, source, tokenizer):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "job.json").write_text('["not a job"]')
    with pytest.raises(UserError, match=r"job\.json: .*choose another directory"):
        run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job())


def test_only_a_finished_job_is_trained_on(tmp_path, source, tokenizer):
    with pytest.raises(UserError, match=r"no manifest\.json.*finished"):
        KeptTurns(tmp_path, "train")
    run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job())
    kept = [row for path in sorted((tmp_path / "out").glob("*.gz")) for row in read_jsonl(path)]
    read = {(row.id, row.response) for use in ("train", "dev", "test") for row in KeptTurns(tmp_path / "out", use)}
    assert read == {(row["id"], row["response"]) for row in kept}
    (tmp_path / "out" / "turns-00000.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1}\n'))
    with pytest.raises(UserError, match=r"turns-00000\.jsonl\.gz:1: expected id, context and response"):
        list(KeptTurns(tmp_path / "out", "train"))


def test_dialogs_of_many_long_replies_and_documents_are_left_out(tmp_path, tokenizer):
    path = tmp_path / "mixed.jsonl"
    many = {"turns": [{"role": "user", "text": "hi", "speaker": s} for s in "abc"]}
    talk = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "tea " * 400}]}
    path.write_text("".join(json.dumps(row) + "\n" for row in (many, talk, {"text": "a page"})))
    counts = run(tmp_path / "out", [path], Rater(), tokenizer, JUDGES, job())
    assert (counts.seen, counts.kept) == (1, 0)
    assert counts.left_out == {
        "dialogs of more than two speakers": 1, "rows that are no dialog": 1, "replies of more than 256 tokens": 1
    }  # fmt: skip


def test_odd_speakers_and_half_characters_are_no_end(tmp_path, tokenizer):
    path = tmp_path / "odd.jsonl"
    turns = [{"role": "user", "text": "tea \ud83d", "speaker": [1]}, {"role": "assistant", "text": "no \udc00 tea"}]
    path.write_text(json.dumps({"turns": turns}) + "\n")
    everything = job(thresholds={})
    assert run(tmp_path / "out", [path], Rater(), tokenizer, JUDGES, everything).kept == 1
    (row,) = (row for file in (tmp_path / "out").glob("*.gz") for row in read_jsonl(file))
    assert (row["context"][0]["content"], row["response"]) == ("tea ?", "no ? tea")


def test_what_cannot_be_is_named(tmp_path, source, tokenizer):
    with pytest.raises(UserError, match="threshold 'specific': the model has no such judge"):
        run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job(thresholds={"specific": 0.5}))
    assert not (tmp_path / "out").exists()
    (tmp_path / "bad.jsonl").write_text('{"turns": [{"role": "user"')
    with pytest.raises(UserError, match=r"bad\.jsonl:1"):
        run(tmp_path / "out", [tmp_path / "bad.jsonl"], Rater(), tokenizer, JUDGES, job())
    with pytest.raises(UserError, match="no dialogs there"):
        files_of([tmp_path / "nowhere"], ["*.jsonl"])
    (tmp_path / "more.jsonl.xz").write_bytes(lzma.compress(b"{}"))
    assert [path.name for path in files_of([tmp_path], ["*.jsonl", "*.jsonl.xz"])] == [
        "bad.jsonl",
        "more.jsonl.xz",
        "talk.jsonl",
    ]


def test_what_stands_before_a_broken_row_is_judged_and_written(tmp_path, source, tokenizer):
    run(tmp_path / "whole", [source], Rater(), tokenizer, JUDGES, job(chunk=20))
    lines = source.read_text().splitlines(keepends=True)
    source.write_text("".join((*lines[:90], "{broken\n", *lines[90:])))
    with pytest.raises(UserError, match=r"talk\.jsonl:91"):
        run(tmp_path / "out", [source], Rater(), tokenizer, JUDGES, job(chunk=20))
    found, whole = files(tmp_path / "out"), files(tmp_path / "whole")
    readable = len(list(turns_of([dialogs(tmp_path / "first.jsonl", 90)], Counter())))
    assert len([name for name in found if name.endswith(".gz")]) == readable // 20 > 3
    assert found == {name: whole[name] for name in found}


def test_memory_does_not_grow_with_the_input(tmp_path, tokenizer):
    def peak(count: int) -> int:
        path = dialogs(tmp_path / f"{count}.jsonl", count)
        tracemalloc.start()
        run(tmp_path / f"out{count}", [path], Rater(), tokenizer, JUDGES, job(chunk=20))
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(20)
    assert peak(1600) < 1.5 * peak(400)


def test_counts_add_up():
    first = Counts(2, 1, {"a": 1}, {"safe": 1}, {"safe": [2] + [0] * 49})
    first.add(Counts(3, 2, {"a": 2, "b": 1}, {}, {"safe": [0] * 49 + [2]}))
    assert (first.seen, first.kept, first.left_out, first.below) == (5, 3, {"a": 3, "b": 1}, {"safe": 1})
    assert first.quantile("safe", 0.5) == 0.02 and first.quantile("safe", 0.9) == 1.0


def test_the_files_are_packed_alike_each_time(tmp_path, source, tokenizer):
    run(tmp_path / "a", [source], Rater(), tokenizer, JUDGES, job())
    run(tmp_path / "b", [source], Rater(), tokenizer, JUDGES, job(), batch_rows=2)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert gzip.decompress((tmp_path / "a" / "turns-00000.jsonl.gz").read_bytes())
