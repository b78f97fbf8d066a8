"""One training step: the jitted update from a batch of packed sequences, for pre-training and fine-tuning alike.

Axes: B rows of a batch, T tokens of a row, D model. Knows nothing of files, tasks or schedules.
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
from openlamda.model.sharding import put
from openlamda.model.transformer import Dropout, Remat
from openlamda.train.loss import Array, Batch, loss_sums


class State(NamedTuple):
    """All that a run needs to go on."""

    step: jax.Array  # int32: batches seen
    skipped: jax.Array  # int32: those whose gradient was not finite, which changed nothing
    params: Params
    optimizer: optax.OptState


def fresh(params: Params, optimizer: optax.GradientTransformation) -> State:
    """The state before the first step."""
    return State(put(np.int32(0)), put(np.int32(0)), params, jax.jit(optimizer.init)(params))


@partial(
    jax.jit,
    static_argnames=("config", "optimizer", "remat", "dtype", "accumulate", "unlikelihood", "learned", "dropout"),
    donate_argnames="state",
)
def train_step(
    state: State,
    batch: Batch,
    frozen: Params | None = None,
    *,
    config: ModelConfig,
    optimizer: optax.GradientTransformation,
    remat: Remat = "none",
    dtype: DTypeLike = jnp.float32,
    accumulate: int = 1,
    unlikelihood: float = 0.0,
    learned: int = 0,
    dropout: float = 0.0,
) -> tuple[State, dict[str, jax.Array]]:
    """The state after one batch, and its metrics. A step whose gradient is not finite changes nothing but the counts.

    `accumulate` parts of the batch are gone through one after the other; the mean is over all of it in any case.
    `frozen`: weights that stay as they are beside those of the state (model/adapters.py). `learned`: at most so many
    tokens of the batch have a weight; 0: any number (train/loss.py). `dropout` is another at each step, by its number.
    """

    def sums(params: Params, part: Batch, number: int | jax.Array = 0):
        whole = {**(frozen or {}), **params}
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), state.step), number)
        drop = Dropout(dropout, key) if dropout else None
        loss, (entropy, _) = loss_sums(whole, part, config, remat, dtype, unlikelihood, learned, drop)
        return loss, entropy

    gradient = jax.value_and_grad(sums, has_aux=True)
    if accumulate == 1:
        (_, entropy), grads = gradient(state.params, batch)
    else:

        def add(total, inputs: tuple[jax.Array, Batch]):
            number, part = inputs
            (_, entropy), grads = gradient(state.params, part, number)
            return jax.tree.map(jnp.add, total, (entropy, grads)), None

        nothing = jnp.float32(0), jax.tree.map(jnp.zeros_like, state.params)
        parts = (jnp.arange(accumulate), jax.tree.map(partial(_parts, accumulate), batch))
        (entropy, grads), _ = jax.lax.scan(add, nothing, parts)
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
