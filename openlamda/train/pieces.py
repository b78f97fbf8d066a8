"""A loss summed over pieces of a batch, its gradients made with it: what is large in a piece is made once, never kept.

Left to itself, differentiation keeps the logits of all pieces for the backward pass, or makes them twice.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Piece = Callable[..., tuple[jax.Array, jax.Array]]
"""(weights, inputs, *rest) of a piece to (its loss [], sums that nobody differentiates)."""


def _sums(piece: Piece, weights: Any, inputs: jax.Array, *rest: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(Loss, sums) of `piece` over the first axis of `inputs` and `rest`.

    The loss has gradients for `weights` and `inputs`, added up in float32. The sums have none.
    """

    def add(total, row):
        return jax.tree.map(jnp.add, total, piece(weights, *row)), None

    return jax.lax.scan(add, _nothing(piece, weights, inputs, rest), (inputs, *rest))[0]


def _nothing(piece: Piece, weights: Any, inputs: jax.Array, rest: tuple[jax.Array, ...]):
    first = jax.tree.map(lambda x: x[0], (inputs, *rest))
    return jax.tree.map(jnp.zeros_like, jax.eval_shape(piece, weights, *first))


def _forward(piece: Piece, weights: Any, inputs: jax.Array, *rest: jax.Array):
    gradient = jax.value_and_grad(piece, argnums=(0, 1), has_aux=True)

    def add(total, row):
        found, (of_weights, of_inputs) = gradient(weights, *row)
        return jax.tree.map(lambda a, b: a + b.astype(a.dtype), total, (found, of_weights)), of_inputs

    wide = jax.tree.map(lambda w: jnp.zeros_like(w, jnp.float32), weights)
    (found, of_weights), of_inputs = jax.lax.scan(add, (_nothing(piece, weights, inputs, rest), wide), (inputs, *rest))
    return found, (jax.tree.map(lambda a, w: a.astype(w.dtype), of_weights, weights), of_inputs, rest)


def _backward(piece: Piece, saved, grads):
    of_weights, of_inputs, rest = saved
    scaled = jax.tree.map(lambda x: x * grads[0].astype(x.dtype), (of_weights, of_inputs))
    return *scaled, *(None for _ in rest)


sum_over_pieces = jax.custom_vjp(_sums, nondiff_argnums=(0,))
sum_over_pieces.defvjp(_forward, _backward)
