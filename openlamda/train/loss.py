"""The loss of packed sequences: cross-entropy with z-loss, and token unlikelihood where it is asked for.

Takes parameters and a batch, gives sums over its tokens. Axes: B rows of a batch, T tokens of a row, t tokens of a
piece, D model, V vocabulary.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.sharding import batch_shards, on_mesh, take
from openlamda.model.transformer import Dropout, Remat
from openlamda.train.pieces import sum_over_pieces
from openlamda.train.unlikelihood import Said, first_said, token_unlikelihood

KEPT_EXACT = ("norm", "relative_bias")  # few weights, and sums that need their digits
PIECE = 4096  # tokens whose logits a device holds at once
HALF = 1024  # tokens of a half from which on two halves go side by side
Z_LOSS = 1e-4  # times log(Z)^2, keeps the logits' scale in place (T5X, Lingvo)

Array = jax.Array | np.ndarray


class Batch(NamedTuple):
    """Packed sequences."""

    tokens: Array  # int32 [B, T]
    segments: Array  # int32 [B, T]: which sequence of the row, 0 = padding
    weights: Array  # float32 [B, T]: how much predicting this token counts; 0 = only read


def few(batch: Batch) -> int:
    """An eighth of the batch's tokens where no more of them are learned, else 0: of ratings, one token in fifty is."""
    eighth = batch.tokens.size // 8
    return eighth if np.count_nonzero(np.asarray(batch.weights)[:, 1:]) <= eighth else 0


def loss_sums(
    params: Params,
    batch: Batch,
    config: ModelConfig,
    remat: Remat = "none",
    dtype: DTypeLike = jnp.float32,
    unlikelihood: float = 0.0,
    learned: int = 0,
    dropout: Dropout | None = None,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Weighted sum of loss, and (weighted sum of cross-entropy in nats, sum of weights).

    The loss is cross-entropy with z-loss, and `unlikelihood` times that of train/unlikelihood.py. Products are of
    `dtype`, sums over the vocabulary float32. `learned`: no more tokens than that have a weight, and logits are made
    for so many alone (0: for all; on a mesh, and with unlikelihood, they are made for all in any case).

    On a CPU, the halves of a large batch do not wait for each other: many of XLA's operations keep only one core busy.
    """
    settings = {"config": config, "remat": remat, "dtype": dtype, "unlikelihood": unlikelihood, "learned": learned}
    sums = partial(_sums, **settings)
    rows = batch.tokens.shape[0]
    if not on_mesh() and jax.default_backend() == "cpu" and rows % 2 == 0 and batch.tokens.size >= 2 * HALF:
        parts = slice(rows // 2), slice(rows // 2, rows)
        first, second = (
            sums(params, Batch(*(x[part] for x in batch)), dropout=_of_part(dropout, number))
            for number, part in enumerate(parts)
        )
        return jax.tree.map(jnp.add, first, second)
    return sums(params, batch, dropout=dropout)


def _of_part(dropout: Dropout | None, number: int | jax.Array) -> Dropout | None:
    """Another dropout for each part of a batch."""
    return dropout and dropout._replace(key=jax.random.fold_in(dropout.key, number))


def _sums(
    params: Params,
    batch: Batch,
    config: ModelConfig,
    remat: Remat,
    dtype: DTypeLike,
    unlikelihood: float,
    learned: int,
    dropout: Dropout | None,
):
    """`loss_sums` of rows together; logits are made in pieces of the sequence, at most PIECE tokens a device."""
    params = {name: w if name.startswith(KEPT_EXACT) else w.astype(dtype) for name, w in params.items()}
    tokens_BT, weights_BT = jnp.asarray(batch.tokens), jnp.asarray(batch.weights)
    segments_BT = jnp.asarray(batch.segments)
    hidden_BTD = transformer.forward(params, tokens_BT, segments_BT, config, remat=remat, dropout=dropout)
    next_BT, weights_BT = (jnp.pad(x_BT[:, 1:], ((0, 0), (0, 1))) for x_BT in (tokens_BT, weights_BT))

    if 0 < learned < weights_BT.size and not unlikelihood and not on_mesh():
        (place_t,) = jnp.nonzero(weights_BT.reshape(-1), size=learned, fill_value=weights_BT.size)  # beyond the end: 0
        chosen = (x.reshape(-1, *x.shape[2:]) for x in (hidden_BTD, next_BT, weights_BT))
        hidden_BTD, next_BT, weights_BT = (x.at[place_t].get(mode="fill", fill_value=0)[None] for x in chosen)
    wanted, rows = {"embed": params["embed"]}, (hidden_BTD, next_BT, weights_BT)
    said = None
    if unlikelihood:
        learned_BT = jnp.asarray(batch.weights) > 0
        wanted["said"] = take(params["embed"], tokens_BT, "batch", None, None, first=True) * config.d_model**-0.5
        said = Said(tokens_BT, segments_BT, first_said(tokens_BT, segments_BT, learned_BT))
        rows += (segments_BT, jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape))

    def piece(wanted, hidden_BtD, targets_Bt, weights_Bt, *places):
        logits_BtV = transformer.logits(wanted, hidden_BtD)
        entropy_Bt, log_z_Bt = cross_entropy(logits_BtV, targets_Bt)
        loss = jnp.sum(weights_Bt * (entropy_Bt + Z_LOSS * log_z_Bt**2))
        if said is not None:
            repeated_Bt = token_unlikelihood(hidden_BtD, wanted["said"], log_z_Bt, targets_Bt, places, said)
            loss += unlikelihood * jnp.sum(weights_Bt * repeated_Bt)
        return loss, jnp.stack([jnp.sum(weights_Bt * entropy_Bt), jnp.sum(weights_Bt)])

    B, T = weights_BT.shape
    pieces = next(n for n in range(1, T + 1) if (T % n == 0 and B // batch_shards() * T // n <= PIECE) or n == T)
    rows = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(B, pieces, T // pieces, *x.shape[2:]), 1, 0), rows)
    loss, sums = sum_over_pieces(piece, wanted, *rows)
    return loss, (sums[0], sums[1])


@jax.custom_vjp
def cross_entropy(logits_BtV: jax.Array, targets_Bt: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(Cross-entropy in nats, log of the softmax's sum), [B, t] each; its gradient takes one pass over the logits."""
    log_z_Bt = jax.nn.logsumexp(logits_BtV, axis=-1)
    if on_mesh():  # where each device has a part of the vocabulary
        said_BtV = targets_Bt[..., None] == jnp.arange(logits_BtV.shape[-1])
        return log_z_Bt - jnp.sum(jnp.where(said_BtV, logits_BtV, 0), axis=-1), log_z_Bt
    return log_z_Bt - jnp.take_along_axis(logits_BtV, targets_Bt[..., None], axis=-1)[..., 0], log_z_Bt


def _forward(logits_BtV: jax.Array, targets_Bt: jax.Array):
    entropy_Bt, log_z_Bt = cross_entropy(logits_BtV, targets_Bt)
    return (entropy_Bt, log_z_Bt), (logits_BtV, targets_Bt, log_z_Bt)


def _backward(saved, grads):
    logits_BtV, targets_Bt, log_z_Bt = saved
    of_entropy_Bt1, of_log_z_Bt1 = (grad[..., None] for grad in grads)
    grad_BtV = jnp.exp(logits_BtV - log_z_Bt[..., None]) * (of_entropy_Bt1 + of_log_z_Bt1)
    said_BtV = targets_Bt[..., None] == jnp.arange(logits_BtV.shape[-1])
    return grad_BtV - jnp.where(said_BtV, of_entropy_Bt1, 0), None


cross_entropy.defvjp(_forward, _backward)
