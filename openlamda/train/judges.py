"""Judges measured on rows kept to choose by: calibrated, their thresholds chosen, written to judges.json.

Takes weights and labelled rows, leaves the figures beside the model. Knows nothing of what a reply is chosen by.
Axes: B rows of a batch, T tokens of a row.
"""

import dataclasses
import random
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from openlamda.corpus import calibration
from openlamda.corpus.files import write_json
from openlamda.corpus.rows import Judged
from openlamda.errors import UserError
from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.sharding import put, take
from openlamda.text.grammar import Grammar, Sequence
from openlamda.text.tokenizer import Symbol
from openlamda.train import hosts
from openlamda.train.batches import pack
from openlamda.train.recipe import Wanted
from openlamda.train.tasks import judge

Gaps = tuple[list[float], list[bool]]  # logit of YES minus logit of NO, and whether YES is right
BATCH_ROWS = 32
FEWEST = 20  # rows of each label, below which a threshold means nothing


def check(wanted: Mapping[str, Wanted], rows: Mapping[str, list[Judged]], grammar: Grammar, row_tokens: int) -> None:
    """Raises UserError where a judge cannot be measured: too few rows to choose by that fit, or a threshold that says
    nothing.
    """
    for name, aim in wanted.items():
        shares = [share for share in (aim.precision, aim.recall) if share is not None]
        if len(shares) != 1 or not 0 < shares[0] <= 1:
            raise UserError(f"judges: {name}: expected either precision or recall, above 0 and at most 1")
        labelled = [row for row in rows.get(name, ()) if name in row.labels]
        labels = [row.labels[name] for row in labelled if any(_sequences(row, name, grammar, row_tokens))]
        if min(sum(labels), len(labels) - sum(labels)) < FEWEST:
            raise UserError(
                f"judges: {name}: {sum(labels)} rows kept to choose by are labelled yes and "
                f"{len(labels) - sum(labels)} no, expected {FEWEST} of each; {len(labelled) - len(labels)} more are "
                f"longer than row_tokens = {row_tokens}"
            )


def measure(
    params: Params,
    config: ModelConfig,
    grammar: Grammar,
    row_tokens: int,
    wanted: Mapping[str, Wanted],
    rows: Mapping[str, list[Judged]],
) -> dict[str, Any]:
    """The content of judges.json: attributes, thresholds, and how each judge was calibrated and on how many rows.

    Ratings are rare in one class: the rows keep their natural shares, so that P means the share of yes among such rows.
    """
    calibrated, thresholds = {}, {}
    for name, aim in wanted.items():
        gaps, labels = rating_gaps(params, config, grammar, row_tokens, name, rows[name])
        platt = calibration.fit(gaps, labels)
        p = calibration.probabilities(gaps, platt).tolist()
        chosen = calibration.threshold(p, labels, precision=aim.precision, recall=aim.recall)
        safety = name.split("/")[0] == "unsafe"
        thresholds[name.replace("unsafe", "safe", 1) if safety else name] = 1 - chosen.value if safety else chosen.value
        error = calibration.expected_calibration_error(p, labels)
        bins = tuple(calibration.reliability(p, labels))
        too_long = sum(name in row.labels for row in rows[name]) - len(labels)
        calibrated[name] = calibration.Calibrated(platt, chosen, error, bins, len(labels), sum(labels), too_long)
    return {"attributes": list(wanted), "thresholds": thresholds, "calibration": calibrated}


def write(directory: Path, measured: Mapping[str, Any]) -> None:
    """judges.json of a model directory, whole or not at all."""
    write_json(directory / "judges.json", measured)


def rating_gaps(
    params: Params, config: ModelConfig, grammar: Grammar, row_tokens: int, attribute: str, rows: Iterable[Judged]
) -> Gaps:
    """The judge's gap for each labelled row that fits `row_tokens`, and the label; not in the rows' order."""
    sequences = [s for row in rows for s in _sequences(row, attribute, grammar, row_tokens)]
    gaps: list[float] = []
    labels: list[bool] = []
    batches = pack(_endless(sequences), BATCH_ROWS, row_tokens, 1.0)
    while len(gaps) < len(sequences):
        batch, _ = next(batches)
        gap_BT = _gaps(params, *(put(cells, "batch", None) for cells in batch[:2]), config=config)
        gap_BT = hosts.whole({"gaps": gap_BT})["gaps"]
        rated_BT = batch.weights[:, 1:] > 0
        gaps += gap_BT[:, :-1][rated_BT].tolist()
        labels += (batch.tokens[:, 1:][rated_BT] == Symbol.YES).tolist()
    return gaps, labels


def _sequences(row: Judged, attribute: str, grammar: Grammar, limit: int) -> Iterator[Sequence]:
    if attribute not in row.labels:
        return
    asked = dataclasses.replace(row, labels={attribute: row.labels[attribute]}, kind="")
    for sequence in judge(asked, grammar, limit, random.Random(0)):
        if len(sequence.tokens) <= limit:
            yield sequence


def _endless(sequences: list[Sequence]) -> Iterator[tuple[str, Sequence]]:
    """The sequences, then one again and again whose rating is not asked for, so that the last batch is filled."""
    yield from (("judge", sequence) for sequence in sequences)
    while True:
        yield "filling", Sequence(sequences[0].tokens, (False,) * len(sequences[0].tokens))


@partial(jax.jit, static_argnames="config")
def _gaps(params: Params, tokens_BT: jax.Array, segments_BT: jax.Array, *, config: ModelConfig) -> jax.Array:
    hidden_BTD = transformer.forward(params, tokens_BT, segments_BT, config)
    ratings = jnp.array([int(Symbol.YES), int(Symbol.NO)])
    yes_D, no_D = take(params["embed"], ratings, None, None, first=True)
    return jnp.einsum("btd,d->bt", hidden_BTD, yes_D - no_D) * config.d_model**-0.5
