"""What a run reads of token shards: everything but first tokens is learned, rows for validation only measured."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from openlamda.corpus import shards as directory
from openlamda.corpus.files import write_array
from openlamda.errors import UserError
from openlamda.model.config import ModelConfig
from openlamda.text.tokenizer import train
from openlamda.train import loop
from openlamda.train.feed import Feed
from openlamda.train.recipe import Optimizer, Recipe

ROWS, TOKENS = 20, 12
TINY = ModelConfig(num_layers=1, d_model=16, num_heads=2, d_head=16, d_ff=32, vocab_size=400)


@pytest.fixture
def recipe(tmp_path, tokenizer) -> Recipe:
    """Rows of two sequences, of 5 and 4 tokens, that say 30 + their number again and again."""
    rows = np.zeros((ROWS, 2, TOKENS), np.uint16)
    rows[:, 0, :9] = 30 + np.arange(ROWS)[:, None]
    rows[:, 1, :5], rows[:, 1, 5:9] = 1, 2
    files = []
    for name, some in (("shard-00000.npy", rows[:-4]), ("validation.npy", rows[-4:])):
        path = tmp_path / name
        write_array(path, some)
        files.append(directory.ShardFile(name, len(some), hashlib.sha256(path.read_bytes()).hexdigest()))
    sha256, trained = hashlib.sha256(tokenizer.model).hexdigest(), ROWS - 4
    manifest = directory.Manifest(
        1, sha256, 400, TOKENS, trained, trained * 9, 0, {}, tuple(files[:1]), {}, files[1]
    )  # fmt: skip
    directory.write(tmp_path, manifest)
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    return Recipe(
        start="tiny", tokenizer=str(tmp_path / "t.model"), shards=str(tmp_path), steps=12, batch_rows=2,
        row_tokens=TOKENS, validate_batches=2, log_every=4, checkpoint_every=4, keep_last=1,
        optimizer=Optimizer(learning_rate=0.05, warmup_steps=1),
    )  # fmt: skip


def test_all_but_first_tokens_are_learned(recipe, tokenizer):
    batch, counts = next(Feed(recipe, tokenizer, []).after(0))
    assert batch.weights.tolist() == [[0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0]] * 2
    assert counts == {"shards": 18}


def test_a_run_goes_on_with_the_batch_after_its_last(recipe, tokenizer):
    feed = Feed(recipe, tokenizer, [])
    whole = [batch.tokens.tolist() for batch, _ in feed.after(0)]
    assert len(whole) == 12
    assert [batch.tokens.tolist() for batch, _ in feed.after(5)] == whole[5:]


def test_what_validates_is_never_trained_on(recipe, tokenizer):
    feed = Feed(recipe, tokenizer, [])
    kept = {int(row[0]) for batch in feed.validation() for row in np.asarray(batch.tokens)}
    seen = {int(row[0]) for batch, _ in feed.after(0) for row in np.asarray(batch.tokens)}
    assert len(feed.validation()) == 2 and len(kept) == 4 and seen and not kept & seen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_tokens": 16}, "rows of 12 tokens, row_tokens is another"),
        ({"mixture": {"copy": 1.0}}, r"either a \[mixture\] of tasks or shards"),
        ({"shards": ""}, r"either a \[mixture\] of tasks or shards"),
        ({"validate_batches": 3}, "4 rows for validation, expected 6"),
    ],
)
def test_what_does_not_fit_is_refused(recipe, tokenizer, changes, message):
    with pytest.raises(UserError, match=message):
        Feed(dataclasses.replace(recipe, **changes), tokenizer, []).validation()


def test_another_tokenizer_is_refused(recipe):
    other = train(["another text of other words", "again and again"] * 50, vocab_size=300)
    with pytest.raises(UserError, match="tokenizer"):
        Feed(recipe, other, [])


def test_the_best_model_is_kept_beside_the_last(recipe, tmp_path, monkeypatch):
    """The rate is so high that the loss over rows never seen soon grows; the best checkpoint outlives newer ones."""
    monkeypatch.setitem(loop.PRESETS, "tiny", TINY)
    run = tmp_path / "run"
    loop.run(recipe, run, [], lambda values: None)
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {row["step"]: row["validation_loss"] for row in logged}
    best = min(losses, key=lambda step: losses[step])
    assert {int(path.name) for path in (run / "checkpoints").iterdir()} == {best, 12}
    assert (run / "best" / "model.safetensors").is_file() and (run / "model" / "model.safetensors").is_file()
