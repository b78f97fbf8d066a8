"""One training step: the loss over packed sequences and the jitted update, for pre-training and fine-tuning alike.

Axes: B rows of a batch, T tokens of a row, D model, V vocabulary. Knows nothing of files, tasks or schedules.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.sharding import batch_shards, put, take
from openlamda.model.transformer import Remat
from openlamda.train.unlikelihood import Said, first_said, token_unlikelihood

KEPT_EXACT = ("norm", "relative_bias")  # few weights, and sums that need their digits
PIECE = 4096  # tokens whose logits a device holds at once
Z_LOSS = 1e-4  # times log(Z)^2, keeps the logits' scale in place (T5X, Lingvo)


Array = jax.Array | np.ndarray


class Batch(NamedTuple):
    """Packed sequences."""

    tokens: Array  # int32 [B, T]
    segments: Array  # int32 [B, T]: which sequence of the row, 0 = padding
    weights: Array  # float32 [B, T]: how much predicting this token counts; 0 = only read


class State(NamedTuple):
    """All that a run needs to go on."""

    step: jax.Array  # int32: batches seen
    skipped: jax.Array  # int32: those whose gradient was not finite, which changed nothing
    params: Params
    optimizer: optax.OptState


def fresh(params: Params, optimizer: optax.GradientTransformation) -> State:
    """The state before the first step."""
    return State(put(np.int32(0)), put(np.int32(0)), params, jax.jit(optimizer.init)(params))


def loss_sums(
    params: Params,
    batch: Batch,
    config: ModelConfig,
    remat: Remat = "none",
    dtype: DTypeLike = jnp.float32,
    unlikelihood: float = 0.0,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Weighted sum of loss, and (weighted sum of cross-entropy in nats, sum of weights).

    The loss is cross-entropy with z-loss, and `unlikelihood` times that of train/unlikelihood.py.
    Products are of `dtype`, sums over the vocabulary float32. The logits are made in pieces of the sequence, at most
    PIECE tokens a device, and again in the backward pass.
    """
    params = {name: w if name.startswith(KEPT_EXACT) else w.astype(dtype) for name, w in params.items()}
    tokens_BT, weights_BT = jnp.asarray(batch.tokens), jnp.asarray(batch.weights)
    hidden_BTD = transformer.forward(params, tokens_BT, jnp.asarray(batch.segments), config, remat=remat)
    next_BT, weights_BT = (jnp.pad(x_BT[:, 1:], ((0, 0), (0, 1))) for x_BT in (tokens_BT, weights_BT))

    rows = (hidden_BTD, next_BT, weights_BT)
    said = None
    if unlikelihood:
        segments_BT, learned_BT = jnp.asarray(batch.segments), jnp.asarray(batch.weights) > 0
        embedded_BTD = take(params["embed"], tokens_BT, "batch", None, None, first=True) * config.d_model**-0.5
        said = Said(embedded_BTD, tokens_BT, segments_BT, first_said(tokens_BT, segments_BT, learned_BT))
        rows += (segments_BT, jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape))

    def piece(hidden_BtD, targets_Bt, weights_Bt, *places):
        logits_BtV = transformer.logits(params, hidden_BtD)
        log_z_Bt = jax.nn.logsumexp(logits_BtV, axis=-1)
        said_BtV = targets_Bt[..., None] == jnp.arange(config.vocab_size)
        entropy_Bt = log_z_Bt - jnp.sum(jnp.where(said_BtV, logits_BtV, 0), axis=-1)
        loss = jnp.sum(weights_Bt * (entropy_Bt + Z_LOSS * log_z_Bt**2))
        if said is not None:
            repeated_Bt = token_unlikelihood(hidden_BtD, log_z_Bt, targets_Bt, places, said)
            loss += unlikelihood * jnp.sum(weights_Bt * repeated_Bt)
        return jnp.stack([loss, jnp.sum(weights_Bt * entropy_Bt), jnp.sum(weights_Bt)])

    B, T = tokens_BT.shape
    pieces = next(n for n in range(1, T + 1) if (T % n == 0 and B // batch_shards() * T // n <= PIECE) or n == T)
    if pieces == 1:
        sums = piece(*rows)
    else:
        rows = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(B, pieces, T // pieces, *x.shape[2:]), 1, 0), rows)
        add = jax.checkpoint(lambda sums, row: (sums + piece(*row), None))
        sums, _ = jax.lax.scan(add, jnp.zeros(3), rows)
    return sums[0], (sums[1], sums[2])


@partial(
    jax.jit,
    static_argnames=("config", "optimizer", "remat", "dtype", "accumulate", "unlikelihood"),
    donate_argnames="state",
)
def train_step(
    state: State,
    batch: Batch,
    *,
    config: ModelConfig,
    optimizer: optax.GradientTransformation,
    remat: Remat = "none",
    dtype: DTypeLike = jnp.float32,
    accumulate: int = 1,
    unlikelihood: float = 0.0,
) -> tuple[State, dict[str, jax.Array]]:
    """The state after one batch, and its metrics. A step whose gradient is not finite changes nothing but the counts.

    `accumulate` parts of the batch are gone through one after the other; the mean is over all of it in any case.
    """

    def sums(params: Params, part: Batch):
        loss, (entropy, _) = loss_sums(params, part, config, remat, dtype, unlikelihood)
        return loss, entropy

    gradient = jax.value_and_grad(sums, has_aux=True)
    if accumulate == 1:
        (_, entropy), grads = gradient(state.params, batch)
    else:

        def add(total, part: Batch):
            (_, entropy), grads = gradient(state.params, part)
            return jax.tree.map(jnp.add, total, (entropy, grads)), None

        nothing = jnp.float32(0), jax.tree.map(jnp.zeros_like, state.params)
        (entropy, grads), _ = jax.lax.scan(add, nothing, jax.tree.map(partial(_parts, accumulate), batch))
    weight = jnp.maximum(jnp.sum(jnp.asarray(batch.weights)[:, 1:]), 1.0)
    grads = jax.tree.map(lambda grad: grad / weight, grads)
    norm = optax.tree.norm(grads)
    finite = jnp.isfinite(norm)
    updates, new_optimizer = optimizer.update(grads, state.optimizer, state.params)
    new = (optax.apply_updates(state.params, updates), new_optimizer)
    params, opt_state = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, (state.params, state.optimizer))
    skipped = state.skipped + 1 - finite.astype(jnp.int32)
    metrics = {"loss": entropy / weight, "grad_norm": norm, "skipped": skipped}
    return State(state.step + 1, skipped, params, opt_state), metrics


def _parts(count: int, cells_BT: Array) -> jax.Array:
    """[count, B / count, T]: neighbouring rows go to different parts, so that each device keeps its own rows."""
    B, T = cells_BT.shape
    return jnp.moveaxis(jnp.asarray(cells_BT).reshape(B // count, count, T), 1, 0)


@partial(jax.jit, static_argnames="config")
def eval_step(params: Params, batch: Batch, *, config: ModelConfig) -> tuple[jax.Array, jax.Array]:
    """(Weighted sum of cross-entropy in nats, sum of weights)."""
    return loss_sums(params, batch, config)[1]


@partial(jax.jit, static_argnames="config")
def said_right(params: Params, batch: Batch, *, config: ModelConfig) -> jax.Array:
    """Share of the learned tokens that the model gives the highest logit."""
    hidden_BTD = transformer.forward(params, jnp.asarray(batch.tokens), jnp.asarray(batch.segments), config)
    said_BT = jnp.argmax(transformer.logits(params, hidden_BTD[:, :-1]), axis=-1)
    learned_BT = jnp.asarray(batch.weights)[:, 1:] > 0
    return jnp.sum((said_BT == batch.tokens[:, 1:]) & learned_BT) / jnp.maximum(jnp.sum(learned_BT), 1)
