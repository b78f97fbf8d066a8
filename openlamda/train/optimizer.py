"""The optimizer of a recipe: AdamW, Adafactor, or Muon for the matrices and AdamW for the rest; its rate by step."""

import math
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from optax.contrib import MuonDimensionNumbers, muon

from openlamda.model.adapters import SUMMED
from openlamda.train.recipe import Optimizer


def schedule(rate: float, recipe: Optimizer, steps: int) -> optax.Schedule:
    """Learning rate by step, linear to zero over the last `decay_steps` in any case.

    constant and cosine (to zero at the last step) begin with a linear warm-up; inverse_sqrt is T5's and Lingvo's:
    `rate` for the warm-up's steps, then falling with one over the root of the step.
    """
    warm = max(1, recipe.warmup_steps)

    def at(count: ArrayLike) -> jax.Array:
        step = jnp.asarray(count, jnp.float32)
        if recipe.schedule == "inverse_sqrt":
            share = jnp.sqrt(warm / jnp.maximum(step, warm))
        else:
            share = jnp.minimum((step + 1) / warm, 1.0)
        if recipe.schedule == "cosine":
            done = (step - warm) / max(1, steps - warm)
            share *= 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(done, 0, 1)))
        return rate * share * jnp.clip((steps - step) / max(1, recipe.decay_steps), 0, 1)

    return at


@lru_cache(maxsize=8)
def build(recipe: Optimizer, steps: int) -> optax.GradientTransformation:
    """The optimizer, gradients clipped to a global norm first. The same settings give the same object, for which a step
    is compiled once.
    """
    rate = schedule(recipe.learning_rate, recipe, steps)
    if recipe.name == "muon":

        def numbers(params):
            return {name: _axes(name, x.ndim) if name in SUMMED else None for name, x in params.items()}

        inner = muon(
            rate,
            weight_decay=recipe.weight_decay,
            adam_b2=0.98,
            adam_weight_decay=0.0,
            adam_learning_rate=schedule(recipe.vector_rate, recipe, steps),
            muon_weight_dimension_numbers=numbers,
            consistent_rms=0.2,
        )
    elif recipe.name == "adafactor":
        inner = adafactor(rate)
    else:
        inner = optax.adamw(rate, b1=0.9, b2=0.98, weight_decay=recipe.weight_decay)
    return optax.chain(optax.clip_by_global_norm(recipe.clip_norm), inner)


def _axes(name: str, ndim: int) -> MuonDimensionNumbers:
    """Which axes of a stacked weight [L, ...] a product with it sums over, and which it gives."""
    given = 1 + SUMMED[name]
    return MuonDimensionNumbers(tuple(range(1, given)), tuple(range(given, ndim)))


def adafactor(rate: optax.Schedule) -> optax.GradientTransformation:
    """Adafactor as T5 and Lingvo run it: no momentum, second moments as row and column means, updates clipped to a root
    mean square of 1 and scaled by that of the weight; all of it for each layer's matrices apart.

    Optax takes a leaf as one matrix of its two largest axes, with one scale for all layers: so each stacked weight is
    seen as [L, in, out] and its update mapped over L.
    """
    inner = optax.adafactor(rate, decay_rate=0.8, momentum=None, weight_decay_rate=None)

    def matrix(name: str, x: jax.Array) -> jax.Array:
        if name not in SUMMED:
            return x
        return x.reshape(x.shape[0], math.prod(x.shape[1 : 1 + SUMMED[name]]), -1)

    def mapped(name: str):
        return jax.vmap if name not in ("embed", "norm_final") else lambda function: function

    def init(params):
        return {name: mapped(name)(inner.init)(matrix(name, x)) for name, x in params.items()}

    def update(updates: Any, state: Any, params: Any = None):
        steps, new = {}, {}
        for name, grad in updates.items():
            seen: Any = mapped(name)(inner.update)(matrix(name, grad), state[name], matrix(name, params[name]))
            steps[name], new[name] = seen[0].reshape(grad.shape), seen[1]
        return steps, new

    return optax.GradientTransformation(init, update)
