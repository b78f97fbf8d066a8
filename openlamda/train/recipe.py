"""A training run on one page: what it starts from, what it reads, how long it goes."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """How gradients become updates."""

    name: Literal["adamw", "adafactor", "muon"] = "adamw"
    learning_rate: float = 3e-3  # the highest
    vector_rate: float = 3e-2  # Muon: of what is no matrix; embeddings and relative biases start near 1 and move far
    schedule: Literal["constant", "cosine", "inverse_sqrt"] = "constant"  # after the warm-up (train/optimizer.py)
    warmup_steps: int = 100
    decay_steps: int = 0  # linear to zero over the last so many steps, whatever the schedule
    weight_decay: float = 0.01
    clip_norm: float = 1.0


Count = Annotated[int, msgspec.Meta(ge=1)]
Adapted = Literal["query", "key", "value", "out", "gate", "up", "down"]


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Train low-rank adapters (model/adapters.py) of these weights and nothing else; the model is saved with them
    merged. There is no alpha: the learning rate does its part.
    """

    rank: Count = 8
    weights: Annotated[tuple[Adapted, ...], msgspec.Meta(min_length=1)] = (
        "query", "key", "value", "out", "gate", "up", "down",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Where a judge's threshold lies on rows kept to choose by (corpus/calibration.py, `threshold`): one of the two."""

    precision: float | None = None
    recall: float | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One stage. Paths are relative to the working directory."""

    start: str  # a preset begins from nothing, a model or run directory goes on from its weights
    model: dict[str, Any] = field(default_factory=dict)  # the preset's fields changed (model/config.py, `changed`)
    copying_heads: bool = False  # a preset begins with an induction circuit (model/copying.py)
    tokenizer: str = ""  # a SentencePiece model; a directory to start from has its own
    data: str = "data"  # folder of the public data (docs/data.md)
    steps: Count
    batch_rows: Count = 16
    row_tokens: Count = 256
    accumulate: Count = 1  # parts of a batch whose gradients are added up before the update; less memory, same result
    seed: int = 0
    optimizer: Optimizer = field(default_factory=Optimizer)
    lora: Lora | None = None  # none: all weights are trained
    mixture: dict[str, float] = field(default_factory=dict)  # task -> share of the tokens; tasks: train/tasks.py
    filtered: str = ""  # a directory of `openlamda filter`, for the task of that name
    ratings: tuple[str, ...] = ()  # ratings files (corpus/ratings.py), for the task of that name and for [judges]
    objectives: str = ""  # the safety objectives that these vote on; empty: those that ship
    feed_workers: Annotated[int, msgspec.Meta(ge=0)] = 0  # processes that make a mixture's batches; 0: this one. Each
    # number gives other batches, the same every time
    shards: str = ""  # instead of a mixture: a directory of `openlamda corpus build`, rows of its length
    subword_regularisation: Annotated[float, msgspec.Meta(ge=0, le=1)] = (
        0  # alpha (text/tokenizer.py, `sample`); 0: off
    )
    dropout: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0  # of what each block adds (model/transformer.py); 0: off
    unlikelihood: Annotated[float, msgspec.Meta(ge=0)] = (
        0  # weight of token unlikelihood (train/unlikelihood.py); 0: off
    )
    judges: dict[str, Wanted] = field(default_factory=dict)  # attributes to measure at the end, for judges.json
    teacher: dict[str, float] = field(default_factory=dict)  # judging task -> share of its ratings that simple models
    # give in people's place (corpus/teacher.py)
    rating_weight: float = 8.0  # a rating is one token among many of text: it counts so much more
    mesh: dict[str, Count] = field(default_factory=dict)  # devices by axis: replica, data, model; empty: one device
    remat: Literal["none", "minimal", "full"] = "none"  # what the backward pass computes again (model/transformer.py)
    dtype: Literal["float32", "bfloat16"] = "float32"  # of products; weights and optimizer are float32 in any case
    log_every: Count = 20
    checkpoint_every: Count = 500
    validate_batches: int = 0  # of held-back rows, whose loss is taken at each checkpoint
    keep_last: Count = 2  # checkpoints, and the one of least validation loss
    keep_hours: float = 0  # and one every so many hours; 0: none
