"""Ratings of very many texts: several are packed into a row, each with all its questions, rows follow one another.

What a row gives does not depend on how many rows are computed together: each is its own turn of a loop. Knows ids,
nothing of dialogs. Axes: R rows, T tokens of a row, Q questions' tokens of a row, D model, H heads, K head size.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.engine.base import Tokens
from openlamda.engine.decode import gaps_of
from openlamda.model import transformer
from openlamda.model.attention import HIDDEN, attend, attend_rows, bias_of_distance
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

ROW_TOKENS = 512
ROW_TEXTS = 16  # at most in one row


class Rows(NamedTuple):
    """Packed texts [R, T] and, for each, the same questions [R, Q]; segment 0 is padding."""

    tokens_RT: np.ndarray
    segments_RT: np.ndarray
    asked_RQ: np.ndarray
    asked_segments_RQ: np.ndarray
    end_RQ: np.ndarray  # the place in the row of the last token of the question's text


def rate_all(
    params: Params,
    config: ModelConfig,
    texts: Sequence[Tokens],
    questions: Sequence[Tokens],
    yes: int,
    no: int,
    batch_rows: int,
) -> np.ndarray:
    """Logit of `yes` less that of `no` after each text and each question, float32 [texts, questions].

    The same for any `batch_rows`, bit for bit. ValueError for an empty text, or one longer than ROW_TOKENS.
    """
    places, rows = pack(texts, questions)
    depth_Q, visible_QQ, last = _shape(questions)
    gaps_RQ = []
    count = len(rows.tokens_RT)
    for start in range(0, count, batch_rows):
        part = Rows(*(cells[start : start + batch_rows] for cells in rows))
        short = batch_rows - len(part.tokens_RT)
        if short:
            part = Rows(*(np.pad(cells, ((0, short), (0, 0))) for cells in part))
        gaps_RQ.append(
            rate_rows(params, part, depth_Q, visible_QQ, jnp.int32(yes), jnp.int32(no), config=config)
        )  # not waited for: the next rows are packed meanwhile
    flat_RQ = np.concatenate([np.asarray(gaps) for gaps in gaps_RQ])[:count] if gaps_RQ else np.zeros((0, 0))
    per_text = flat_RQ.reshape(count, ROW_TEXTS, -1)[:, :, last] if count else np.zeros((0, ROW_TEXTS, len(questions)))
    return per_text[places[:, 0], places[:, 1]]


def pack(texts: Sequence[Tokens], questions: Sequence[Tokens]) -> tuple[np.ndarray, Rows]:
    """The row and the place in it of each text [texts, 2], and the rows: longest texts first, first fit."""
    if any(not 0 < len(text) <= ROW_TOKENS for text in texts):
        raise ValueError(f"expected texts of 1 to {ROW_TOKENS} tokens")
    places = np.zeros((len(texts), 2), np.int64)
    left: list[int] = []
    inside: list[list[int]] = []
    first_open = 0
    for n in sorted(range(len(texts)), key=lambda n: (-len(texts[n]), n)):
        row = next((r for r in range(first_open, len(left)) if left[r] >= len(texts[n])), None)
        if row is None:
            left.append(ROW_TOKENS)
            inside.append([])
            row = len(left) - 1
        places[n] = row, len(inside[row])
        inside[row].append(n)
        left[row] = left[row] - len(texts[n]) if len(inside[row]) < ROW_TEXTS else 0
        while first_open < len(left) and left[first_open] < 8:
            first_open += 1
    asked = np.concatenate([np.array(question, np.int32) for question in questions])
    R, Q = len(left), ROW_TEXTS * len(asked)
    rows = Rows(*(np.zeros((R, size), np.int32) for size in (ROW_TOKENS, ROW_TOKENS, Q, Q, Q)))
    for row, numbers in enumerate(inside):
        at = 0
        for place, n in enumerate(numbers):
            size = len(texts[n])
            rows.tokens_RT[row, at : at + size] = texts[n]
            rows.segments_RT[row, at : at + size] = place + 1
            at += size
            span = slice(place * len(asked), (place + 1) * len(asked))
            rows.asked_RQ[row, span] = asked
            rows.asked_segments_RQ[row, span] = place + 1
            rows.end_RQ[row, span] = at - 1
    return places, rows


def _shape(questions: Sequence[Tokens]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one row's questions: how far each token stands after its text [Q], which of them it sees [Q, Q], and which
    tokens of one text's questions are last ones.
    """
    depth = np.concatenate([np.arange(1, len(question) + 1) for question in questions])
    number = np.concatenate([np.full(len(question), n) for n, question in enumerate(questions)])
    number_Q = (number + len(questions) * np.arange(ROW_TEXTS)[:, None]).reshape(-1)
    depth_Q = np.tile(depth, ROW_TEXTS)
    visible_QQ = (number_Q[:, None] == number_Q) & (depth_Q[:, None] >= depth_Q)
    return depth_Q.astype(np.int32), visible_QQ, np.cumsum([len(question) for question in questions]) - 1


@partial(jax.jit, static_argnames="config")
def rate_rows(
    params: Params,
    rows: Rows,
    depth_Q: jax.Array,
    visible_QQ: jax.Array,
    yes: jax.Array,
    no: jax.Array,
    *,
    config: ModelConfig,
) -> jax.Array:
    """The gap after each token of the questions [R, Q]."""
    place_T = jnp.arange(rows.tokens_RT.shape[1])

    def rate_row(row: Rows) -> jax.Array:
        tokens_T, segments_T, asked_Q, asked_segments_Q, end_Q = map(jnp.asarray, row)
        position_Q = end_Q + depth_Q
        sees_text_QT = (asked_segments_Q[:, None] == segments_T) & (asked_segments_Q[:, None] > 0)

        def ask(x_BTD: jax.Array, asked_BQD: jax.Array, layer: Params):
            """The questions after a layer, and what the texts attend with."""
            table_HR = transformer.layer_bias(params, layer)
            query_BHTK, key_BHTK, value_BHTK = transformer.project(x_BTD, layer)
            asked_query_BHQK, asked_key_BHQK, asked_value_BHQK = transformer.project(asked_BQD, layer)
            to_text = jnp.where(sees_text_QT, bias_of_distance(table_HR, position_Q, place_T, config), HIDDEN)
            to_asked = jnp.where(visible_QQ, bias_of_distance(table_HR, depth_Q, depth_Q, config), HIDDEN)
            keys = jnp.concatenate([key_BHTK, asked_key_BHQK], axis=2)
            values = jnp.concatenate([value_BHTK, asked_value_BHQK], axis=2)
            bias_BHQS = jnp.concatenate([to_text, to_asked], axis=-1)[None]
            mixed_BHQK = attend(asked_query_BHQK, keys, values, bias_BHQS)
            after_BQD = transformer.close_block(asked_BQD, mixed_BHQK, layer, config)
            return after_BQD, (query_BHTK, key_BHTK, value_BHTK, table_HR)

        def block(carry: tuple[jax.Array, jax.Array], layer: Params):
            x_BTD, asked_BQD = carry
            asked_BQD, of_text = ask(x_BTD, asked_BQD, layer)
            mixed_BHTK = attend_rows(*of_text, segments_T[None], config, lean=False)
            return (transformer.close_block(x_BTD, mixed_BHTK, layer, config), asked_BQD), None

        start = (params["embed"][tokens_T][None], params["embed"][asked_Q][None])
        layers = transformer.layers(params)
        body, last = (jax.tree.map(lambda x, part=part: x[part], layers) for part in (slice(-1), -1))
        (x_BTD, asked_BQD), _ = jax.lax.scan(block, start, body)
        asked_BQD, _ = ask(x_BTD, asked_BQD, last)  # nothing follows that would read the texts again
        return gaps_of(params, transformer.rms_norm(asked_BQD, params["norm_final"])[0], yes, no)

    return jax.lax.map(rate_row, rows)
