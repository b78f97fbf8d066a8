"""One training step: the loss over packed sequences and the jitted update, for pre-training and fine-tuning alike.

Axes: B rows of a batch, T tokens of a row, D model, V vocabulary. Knows nothing of files, tasks or schedules.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

Z_LOSS = 1e-4  # times log(Z)^2, keeps the logits' scale in place (T5X, Lingvo)


Array = jax.Array | np.ndarray


class Batch(NamedTuple):
    """Packed sequences."""

    tokens: Array  # int32 [B, T]
    segments: Array  # int32 [B, T]: which sequence of the row, 0 = padding
    weights: Array  # float32 [B, T]: how much predicting this token counts; 0 = only read


class State(NamedTuple):
    """All that a run needs to go on."""

    step: jax.Array
    params: Params
    optimizer: optax.OptState


def loss_sums(params: Params, batch: Batch, config: ModelConfig) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Weighted sum of loss with z-loss, and (weighted sum of cross-entropy in nats, sum of weights)."""
    hidden_BTD = transformer.forward(params, jnp.asarray(batch.tokens), jnp.asarray(batch.segments), config)
    targets_BT, weights_BT = batch.tokens[:, 1:], batch.weights[:, 1:]

    def chunk(sums, row):
        hidden_TD, targets_T, weights_T = row
        logits_TV = transformer.logits(params, hidden_TD)
        log_z_T = jax.nn.logsumexp(logits_TV, axis=-1)
        entropy_T = log_z_T - jnp.take_along_axis(logits_TV, targets_T[:, None], -1)[:, 0]
        loss = jnp.sum(weights_T * (entropy_T + Z_LOSS * log_z_T**2))
        return (sums[0] + loss, sums[1] + jnp.sum(weights_T * entropy_T), sums[2] + jnp.sum(weights_T)), None

    rows = (hidden_BTD[:, :-1], targets_BT, weights_BT)
    rows = jax.tree.map(lambda x: x.reshape(-1, *_chunked(x.shape[:2]), *x.shape[2:]), rows)
    (loss, entropy, weight), _ = jax.lax.scan(jax.checkpoint(chunk), (jnp.zeros(()),) * 3, rows)
    return loss, (entropy, weight)


def _chunked(shape: tuple[int, ...]) -> tuple[int]:
    """Rows of logits in memory at once: [T, V] of as many rows of the batch as make about 2048 tokens."""
    B, T = shape
    rows = next(n for n in range(min(B, max(1, 2048 // T)), 0, -1) if B % n == 0)
    return (rows * T,)


@partial(jax.jit, static_argnames=("config", "optimizer"), donate_argnames="state")
def train_step(
    state: State, batch: Batch, *, config: ModelConfig, optimizer: optax.GradientTransformation
) -> tuple[State, dict[str, jax.Array]]:
    """The state after one batch, and its metrics. A step whose gradient is not finite changes nothing but the count."""

    def mean_loss(params: Params):
        loss, (entropy, weight) = loss_sums(params, batch, config)
        return loss / jnp.maximum(weight, 1.0), entropy / jnp.maximum(weight, 1.0)

    (_, entropy), grads = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
    norm = optax.tree.norm(grads)
    finite = jnp.isfinite(norm)
    updates, new_optimizer = optimizer.update(grads, state.optimizer, state.params)
    new = (optax.apply_updates(state.params, updates), new_optimizer)
    params, opt_state = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, (state.params, state.optimizer))
    metrics = {"loss": entropy, "grad_norm": norm, "skipped": 1 - finite.astype(jnp.int32)}
    return State(state.step + 1, params, opt_state), metrics


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
