"""The last two stages: the pieces of all tasks in one shuffled order, cut into shards and packed.

The order is by a hash of seed, row, piece and epoch, never by arrival; its remainder picks the shard. So no stage
holds more than one task or one shard.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from openlamda.corpus import packing, plan
from openlamda.corpus.files import write_array, write_json
from openlamda.corpus.minhash import mix
from openlamda.corpus.tokens import BINS, bins, seeded

PLACE = np.dtype([("key", "<u8"), ("offset", "<u8"), ("length", "<u4")])
"""A piece on its way into a shard; the key is its place in the order."""


@dataclass(frozen=True)
class Amounts:
    """How much of each source the shards hold."""

    whole: dict[str, int]  # full epochs
    bins: dict[str, int]  # and so many of the 4096 bins once more
    shards: int
    validation: int  # so many of the bins, the last ones, are for validation


def amounts_of(work: Path) -> Amounts:
    """What the build found that shards shall hold."""
    return msgspec.json.decode((work / "amounts.json").read_bytes(), type=Amounts)


def arrange(work: Path, task: int) -> None:
    """Put the pieces of a task into the order of the shards: a hash of seed, row, piece and epoch. After the shards
    come the rows for validation, which are in no epoch.
    """
    todo = plan.read(work)
    amounts = amounts_of(work)
    source, seed = todo.tasks[task].source, todo.recipe.seed
    pieces = np.load(work / f"pieces/{task:05}.npy")
    places = []
    bin_of, trained = bins(pieces, seed), BINS - amounts.validation
    ranges = [(0, trained)] * amounts.whole[source] + [(0, amounts.bins[source]), (trained, BINS)]
    for epoch, (low, high) in enumerate(ranges):
        taken = pieces[(low <= bin_of) & (bin_of < high)]
        place = np.zeros(len(taken), PLACE)
        numbered = mix(taken["row"] ^ seeded(seed, epoch + 1)) + taken["number"].astype(np.uint64)
        place["key"], place["offset"], place["length"] = mix(numbered), taken["offset"], taken["length"]
        places.append(place)
    validating = len(places[-1])
    place = np.concatenate(places)
    shard = (place["key"] % np.uint64(amounts.shards)).astype(np.int64)
    shard[len(shard) - validating :] = amounts.shards
    write_array(work / f"order/{task:05}.npy", place[np.lexsort((place["offset"], place["key"], shard))])
    ends = np.cumsum(np.bincount(shard, minlength=amounts.shards + 1))
    write_array(work / f"ends/{task:05}.npy", np.concatenate([[0], ends]))


def fill(work: Path, shard: int) -> None:
    """Pack the pieces of one shard into rows and write it; the one after the last is that of validation."""
    todo = plan.read(work)
    dtype = packing.token_type(todo.vocab_size)
    parts, texts = [], []
    for task in range(len(todo.tasks)):
        start, stop = np.load(work / f"ends/{task:05}.npy", mmap_mode="r")[shard : shard + 2]
        parts.append(np.array(np.load(work / f"order/{task:05}.npy", mmap_mode="r")[start:stop]))
        file = work / f"tokens/{task:05}"
        texts.append(np.memmap(file, dtype, "r") if len(parts[-1]) else np.zeros(0, dtype))
    places = np.concatenate(parts)
    tasks = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.lexsort((places["offset"], tasks, places["key"]))
    places, tasks = places[order], tasks[order]
    pieces = (
        texts[task][place["offset"] : place["offset"] + place["length"]]
        for task, place in zip(tasks, places, strict=True)
    )
    rows = packing.pack(pieces, places["length"].tolist(), todo.recipe.row_tokens, dtype)
    last = shard == amounts_of(work).shards
    path = work.parent / (packing.VALIDATION if last else packing.shard_name(shard))
    write_array(path, rows)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    written = {"file": path.name, "rows": len(rows), "sha256": digest}
    write_json(work / f"reports/shard-{shard:05}.json", written)
