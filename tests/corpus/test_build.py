"""A corpus from files to shards: the same bytes whatever runs it or stops it, and nothing half-written."""

import errno
import json
import lzma
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from openlamda.corpus import engine, files, plan
from openlamda.corpus.batches import Shards
from openlamda.corpus.build import build
from openlamda.corpus.clean import Filters
from openlamda.corpus.gather import gather
from openlamda.corpus.recipe import Engine, Mixture, Recipe, Source
from openlamda.corpus.rows import held_back
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import Grammar

DIALOGS, BOOKS, PAGES = (
    Source(name="dialogs", paths=("forum",)),
    Source(name="books", paths=("books.jsonl",)),
    Source(name="web", paths=("page*",)),
)


def recipe(corpus, **change):
    settings = {"source": (DIALOGS, BOOKS, PAGES), "row_tokens": 512, "shard_rows": 32}
    settings |= {"held_back_percent": 0, "validation_percent": 0}
    return Recipe(data=str(corpus), **{**settings, **change})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def segments(folder, validation=False):
    """All segments of all rows, or of those that are to validate by, as tuples of tokens."""
    shards = Shards(folder)
    kept = shards.manifest.validation
    rows = shards.validation(kept.rows if kept else 0) if validation else shards.batch(0, shards.rows)
    found = []
    for tokens, numbers in zip(*rows, strict=True):
        found += [tuple(tokens[numbers == n].tolist()) for n in range(1, numbers.max() + 1)]
    return found


@pytest.fixture(scope="module")
def built(corpus, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "shards"
    return folder, build(recipe(corpus), tokenizer, folder, 1)


def test_shards_hold_every_row_once_and_nothing_else(built, corpus, tokenizer):
    """The oracle: the grammar over the files, read by hand; pieces of a row are put together again."""
    folder, manifest = built
    grammar = Grammar(tokenizer.encode)
    expected = []
    for path in sorted(corpus.rglob("*.jsonl")):
        for row in map(json.loads, path.read_text().splitlines()):
            if "text" in row:
                expected.append(grammar.document(row["text"]).tokens)
            else:
                turns = [Turn("user" if t["role"] == "user" else "agent", t["content"]) for t in row["messages"]]
                expected.append(grammar.dialog(Dialog(tuple(turns))).tokens)
    copies = [
        grammar.document(json.loads(line)["text"]).tokens for line in (corpus / "books.jsonl").read_text().splitlines()
    ][-2:]
    assert manifest.tokens == sum(map(len, expected)) - sum(map(len, copies))
    found = segments(folder)
    whole = {tokens for tokens in expected if len(tokens) <= 512}
    assert len(whole) > 20 and whole <= set(found)
    for tokens in expected:
        if tokens not in copies:
            left = tokens
            while left:  # of the segments that go on with it, one does to the end
                piece = next(piece for piece in found if left[: len(piece)] == piece)
                left = left[len(piece) :]


def test_counts_are_the_papers_columns(built, corpus):
    report = built[1].sources["dialogs"].report
    rows = [json.loads(line) for name in "ab" for line in (corpus / f"forum/{name}.jsonl").read_text().splitlines()]
    turns = [turn["content"] for row in rows for turn in row["messages"]]
    assert (report.documents, report.dialogs, report.utterances) == (0, 80, len(turns))
    assert report.words == sum(len(turn.split()) for turn in turns)
    books = built[1].sources["books"].report
    assert (books.read, books.documents) == (62, 60)
    drops = {reason: (drop.count, drop.id, drop.like) for reason, drop in books.drops.items()}
    assert drops == {"duplicate": (1, "copy", "book-0"), "near duplicate": (1, "near", "book-0")}
    assert sum(count.tokens for count in built[1].sources.values()) == built[1].tokens


def test_nothing_is_left_but_the_shards(built):
    folder, manifest = built
    assert len(manifest.shards) > 1
    expected = {"manifest.json", "tokenizer.model", *(shard.file for shard in manifest.shards)}
    assert set(contents(folder)) == expected


def test_two_workers_give_the_same_bytes(built, corpus, tokenizer, tmp_path):
    build(recipe(corpus), tokenizer, tmp_path / "two", 2)
    assert contents(tmp_path / "two") == contents(built[0])


def test_another_seed_is_another_order_of_the_same(built, corpus, tokenizer, tmp_path):
    build(recipe(corpus, seed=1), tokenizer, tmp_path / "other", 1)
    assert sorted(segments(tmp_path / "other")) == sorted(segments(built[0]))
    assert contents(tmp_path / "other")["shard-00000.npy"] != contents(built[0])["shard-00000.npy"]


def test_shares_are_kept_and_epochs_repeat_rows(corpus, tokenizer, tmp_path):
    shares = {"dialogs": 0.5, "books": 0.25, "web": 0.25}
    sources = tuple(replace(source, share=shares[source.name]) for source in (DIALOGS, BOOKS, PAGES))
    mixed = recipe(corpus, source=sources, mixture=Mixture(method="shares", epochs=2))
    manifest = build(mixed, tokenizer, tmp_path / "mixed", 1)
    for name, count in manifest.sources.items():
        assert count.tokens / manifest.tokens == pytest.approx(shares[name], abs=0.02)
        assert count.epochs <= 2.05
    assert max(count.epochs for count in manifest.sources.values()) == pytest.approx(2)
    found = segments(tmp_path / "mixed")
    assert sum(map(len, found)) == manifest.tokens
    assert len(set(found)) < len(found)


def test_held_back_rows_are_left_out(corpus, tokenizer, tmp_path):
    manifest = build(recipe(corpus, source=(PAGES,), held_back_percent=20), tokenizer, tmp_path / "kept", 1)
    dropped = sum(held_back(f"page-{n}", 20) for n in range(50))
    assert dropped and manifest.sources["web"].report.drops["held back"].count == dropped


def test_rows_without_an_id_are_named_by_where_their_file_lies(tokenizer, tmp_path):
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": "one row of a few words"}) + "\n")
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.txt").write_text(f"the page that lies in {folder}, of a few words")
    source = Source(name="pages", paths=("a", "b", "c.jsonl"))
    todo = plan.make(recipe(tmp_path, source=(source,), filters=Filters(min_words=1)), tokenizer)
    files.write_json(tmp_path / "work/plan.json", todo)
    gather(tmp_path / "work", 0)
    rows = list(files.read_rows(tmp_path / "work/rows/00000.jsonl.gz"))
    assert [row.id for row in rows] == ["a/index.txt", "b/index.txt", "c.jsonl:1"]


def test_what_validates_is_in_no_epoch(corpus, tokenizer, tmp_path):
    """Together they are the corpus; a row is on one side with all its copies, of epochs too, and all its pieces."""
    sources = tuple(replace(source, share=0.5) for source in (DIALOGS, BOOKS))
    mixed = recipe(corpus, source=sources, mixture=Mixture(method="shares", epochs=3), validation_percent=20)
    manifest = build(mixed, tokenizer, tmp_path / "mixed", 1)
    once = build(replace(mixed, validation_percent=0), tokenizer, tmp_path / "once", 1)
    kept, trained = (set(segments(tmp_path / "mixed", validation)) for validation in (True, False))
    assert len(kept) > 20 and not kept & trained and manifest.validation and manifest.validation.rows > 1
    assert kept | trained == set(segments(tmp_path / "once")) and once.validation is None
    tokens = sum(count.report.tokens for count in manifest.sources.values())
    assert 0.1 < sum(map(len, kept)) / tokens < 0.3
    assert manifest.tokens == sum(map(len, segments(tmp_path / "mixed")))
    build(mixed, tokenizer, tmp_path / "two", 2)
    assert contents(tmp_path / "two") == contents(tmp_path / "mixed")


def test_validation_takes_no_more_than_a_shard(corpus, tokenizer, tmp_path):
    small = recipe(corpus, source=(BOOKS,), shard_rows=2, validation_percent=50)
    manifest = build(small, tokenizer, tmp_path / "small", 1)
    assert manifest.validation and 1 <= manifest.validation.rows <= 3 and len(manifest.shards) > 5


COMMAND = """
import sys
from pathlib import Path
import msgspec
from openlamda.corpus import plan
from openlamda.corpus.build import build
from openlamda.corpus.recipe import Recipe
from openlamda.text.tokenizer import Tokenizer

plan.TASK_BYTES = 1
if __name__ == "__main__":
    recipe = msgspec.json.decode(sys.argv[1], type=Recipe)
    build(recipe, Tokenizer.load(Path(sys.argv[2])), Path(sys.argv[3]), int(sys.argv[4]))
"""


def test_a_killed_build_goes_on_to_the_same_bytes(tokenizer, tmp_path, monkeypatch):
    """So many tasks that SIGKILL falls between two; what was done is not done again."""
    monkeypatch.setattr(plan, "TASK_BYTES", 1)
    many, rng = tmp_path / "many", random.Random(0)
    many.mkdir()
    for n in range(12):
        rows = [{"id": f"{n} {m}", "text": " ".join(f"w{rng.random()}"[:8] for _ in range(20))} for m in range(10)]
        (many / f"{n:02}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = recipe(many, source=(Source(name="books", paths=(".",)),))
    (tmp_path / "model").write_bytes(tokenizer.model)
    (tmp_path / "command.py").write_text(COMMAND)
    folder = tmp_path / "killed"
    arguments = [msgspec.json.encode(wanted).decode(), str(tmp_path / "model"), str(folder), "1"]
    process = subprocess.Popen([sys.executable, str(tmp_path / "command.py"), *arguments])
    done = folder / "work/stages/gather/completions"
    until = time.monotonic() + 60
    while process.poll() is None and len(list(done.glob("*"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    completed = list(done.glob("*"))
    assert completed and not (folder / "manifest.json").exists()
    written = {p.name: (folder / f"work/rows/{p.name}.jsonl.gz").stat().st_mtime_ns for p in completed}
    seen = {}

    def progress(stage, done, tasks):
        if stage == "compare":
            seen.update({n: (folder / f"work/rows/{n}.jsonl.gz").stat().st_mtime_ns for n in written})

    build(wanted, tokenizer, folder, 1, progress)
    build(wanted, tokenizer, tmp_path / "whole", 1)
    assert seen == written
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.parametrize("stage", ["tokenise", "fill"])
def test_an_interrupted_stage_goes_on(built, corpus, tokenizer, tmp_path, monkeypatch, stage):
    import openlamda.corpus.build as module

    real = getattr(module, stage)

    def once(work, task):
        if task == 1 and not (work / "stopped").exists():
            (work / "stopped").touch()
            raise KeyboardInterrupt
        real(work, task)

    once.__name__ = stage
    monkeypatch.setattr(module, stage, once)
    with pytest.raises(KeyboardInterrupt):
        build(recipe(corpus), tokenizer, tmp_path / "shards", 1)
    assert not (tmp_path / "shards/manifest.json").exists()
    build(recipe(corpus), tokenizer, tmp_path / "shards", 1)
    assert contents(tmp_path / "shards") == contents(built[0])


def test_a_finished_directory_is_left_alone(built, corpus, tokenizer):
    before = contents(built[0])
    assert build(recipe(corpus, engine=Engine(options={"randomize_start_duration": 0})), tokenizer, built[0], 2)
    assert contents(built[0]) == before
    with pytest.raises(UserError, match="another recipe or input"):
        build(recipe(corpus, seed=5), tokenizer, built[0], 1)


def test_what_was_begun_otherwise_is_refused(corpus, tokenizer, tmp_path, monkeypatch):
    import openlamda.corpus.build as module

    def tokenise(work, task):
        raise KeyboardInterrupt

    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy)
    with monkeypatch.context() as patch:
        patch.setattr(module, "tokenise", tokenise)
        with pytest.raises(KeyboardInterrupt):
            build(recipe(copy), tokenizer, tmp_path / "shards", 1)
    with pytest.raises(UserError, match="begun with another recipe"):
        build(recipe(copy, row_tokens=64), tokenizer, tmp_path / "shards", 1)
    with (copy / "books.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match="begun with other or changed input files"):
        build(recipe(copy), tokenizer, tmp_path / "shards", 1)
    with pytest.raises(UserError, match="holds other files"):
        build(recipe(copy), tokenizer, copy, 1)


def test_bad_input_is_reported_and_the_rest_processed(corpus, tokenizer, tmp_path):
    folder = tmp_path / "corpus"
    shutil.copytree(corpus, folder)
    packed = lzma.compress((corpus / "pages.jsonl").read_bytes())
    (folder / "page-cut.jsonl.xz").write_bytes(packed[: len(packed) // 2])
    (folder / "page-empty.jsonl").write_bytes(b"")
    (folder / "page-noise.jsonl.xz").write_bytes(os.urandom(500))
    good = json.dumps({"id": "surrogate \ud800", "text": "a lone surrogate \ud800 and more words to say"})
    (folder / "page-mixed.jsonl").write_bytes(b'{"text": "caf\xe9"}\n{"text": 3}\nno json\n' + good.encode() + b"\n")
    manifest = build(recipe(folder, source=(PAGES,), filters=Filters(min_words=1)), tokenizer, tmp_path / "shards", 1)
    report = manifest.sources["web"].report
    where = " ".join(place for place, _ in report.problems)
    for name in ("page-cut.jsonl.xz", "page-noise.jsonl.xz", "page-mixed.jsonl:1", "page-mixed.jsonl:2", ":3"):
        assert name in where
    assert report.documents >= 51 and "page-mixed.jsonl:4" not in where
    assert report.problem_count == len(report.problems)


@pytest.mark.parametrize(
    ("engine", "message"),
    [(Engine(options={"task": 3}), "unexpected keyword argument 'task'"), (Engine(kind="slurm"), "'time'")],
)
def test_an_engine_that_cannot_be_is_named(corpus, tokenizer, tmp_path, engine, message):
    with pytest.raises(UserError, match=f"engine {engine.kind}: .*{message}"):
        build(recipe(corpus, engine=engine), tokenizer, tmp_path / "shards", 1)


def test_no_file_and_no_tokens_are_named(corpus, tokenizer, tmp_path):
    with pytest.raises(UserError, match=r"source 'x': .*/nothing: no file found"):
        build(recipe(corpus, source=(Source(name="x", paths=("nothing",)),)), tokenizer, tmp_path / "a", 1)
    (tmp_path / "empty.jsonl").touch()
    empty = recipe(tmp_path, source=(Source(name="x", paths=("empty.jsonl",)),))
    with pytest.raises(UserError, match="no tokens are left"):
        build(empty, tokenizer, tmp_path / "b", 1)


@pytest.mark.parametrize("name", ["rows/", "shard-"])
def test_a_full_disk_is_named_and_leaves_nothing_half_written(built, corpus, tokenizer, tmp_path, monkeypatch, name):
    class Full:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, attribute):
            return getattr(self._file, attribute)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._file.close()

        def write(self, data):
            self._file.write(bytes(data)[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full(path, mode):
        return Full(open(path, mode)) if f"/{name}" in str(path) else open(path, mode)

    folder = tmp_path / "shards"
    with monkeypatch.context() as patch:
        patch.setattr(files, "open", full, raising=False)
        with pytest.raises(UserError, match=f"/{name}.*: No space left on device"):
            build(recipe(corpus), tokenizer, folder, 1)
    assert not list(folder.rglob("*.tmp")) and not (folder / "manifest.json").exists()
    build(recipe(corpus), tokenizer, folder, 1)
    assert contents(folder) == contents(built[0])


def test_a_write_that_the_system_refuses(corpus, tokenizer, tmp_path):
    """The real thing: a limit on the size of files."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"shards/.*: File too large"):
            build(recipe(corpus), tokenizer, tmp_path / "shards", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "shards").rglob("*.tmp"))


SBATCH = """#!/bin/bash
# A scheduler of one machine: all tasks of the array, one after the other; like sbatch --wait it returns when they end.
script="${@: -1}"
grep -q -- "--wait" "$script" || exit 1
array=$(sed -n 's/#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for id in $(seq 0 "${array:-0}"); do
  RUN_OFFSET=0 SLURM_ARRAY_TASK_ID=$id SLURM_NODELIST=here SLURM_PROCID=0 SLURM_NODEID=0 \
    bash "$script" >> "$SLURM_LOG" 2>&1 || exit 1
done
echo Submitted batch job 7
"""


def test_slurm_gives_the_same_bytes(corpus, tokenizer, tmp_path, monkeypatch):
    """datatrove's Slurm executor, its sbatch played by a script."""
    commands = {"sbatch": SBATCH, "scontrol": "#!/bin/bash\necho here\n", "merge_stats": "#!/bin/bash\n"}
    for name, text in commands.items():
        path = tmp_path / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    scripts = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path}:{scripts}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_LOG", str(tmp_path / "log"))
    options = {"time": "1:00:00", "partition": "cpu", "slurm_logs_folder": str(tmp_path), "with_srun": False}
    made = {}
    for where in (Engine(), Engine(kind="slurm", options=options)):
        work = tmp_path / where.kind / "work"
        files.write_json(work / "plan.json", plan.make(recipe(corpus), tokenizer))
        engine.run(gather, work, 3, 2, where, lambda *_: None)
        made[where.kind] = {
            path.name: path.read_bytes() for name in ("rows", "reports") for path in (work / name).iterdir()
        }
    assert len(made["local"]) == 6 and made["slurm"] == made["local"]


def test_rows_are_more_than_nine_tenths_full(built):
    packed = np.concatenate([np.load(path) for path in sorted(built[0].glob("*.npy"))])
    assert built[1].filled == pytest.approx((packed[:, 1] > 0).mean())
    assert built[1].filled > 0.9


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        files.write_json(tmp_path / "file" / "plan.json", {})
