"""Products of activations with weights, their gradients arranged for a CPU; on a mesh as the sharding has it.

The weight's gradient is x^T g. Left to itself, XLA writes it as (g^T x)^T and transposes g, the larger of the two
wherever a layer widens: for the feed-forward of the `nano` model that takes more time than all of its products.
Axes: B batch, T tokens, D model, H heads, K head size, F feed-forward, V vocabulary, I in, O out.
"""

from collections.abc import Callable
from functools import wraps

import jax
import jax.numpy as jnp

from openlamda.model.sharding import on_mesh, summed


def scaled(product: Callable[[jax.Array, jax.Array], jax.Array]):
    """A product of floats as one that takes int8 weights, too, with the scale of each output, [O] or [H, K]."""

    @wraps(product)
    def either(x: jax.Array, weight: jax.Array, scale: jax.Array | None = None) -> jax.Array:
        if scale is None:
            return product(x, weight)
        y = product(x, weight.astype(x.dtype))
        return (y * (scale[:, None] if scale.ndim == 2 else scale)).astype(y.dtype)  # T stands between heads and K

    return either


@scaled
def linear(x: jax.Array, weight: jax.Array) -> jax.Array:
    """x [..., I] times weight [I, O]: [..., O]."""
    return x @ weight if on_mesh() else _linear(x, weight)


@scaled
def to_heads(x_BTD: jax.Array, weight_DHK: jax.Array) -> jax.Array:
    """[B, H, T, K]: what each head takes of x."""
    if on_mesh():
        return jnp.einsum("btd,dhk->bhtk", x_BTD, weight_DHK)
    D, H, K = weight_DHK.shape
    return linear(x_BTD, weight_DHK.reshape(D, H * K)).reshape(*x_BTD.shape[:2], H, K).swapaxes(1, 2)


@scaled
def from_heads(mixed_BHTK: jax.Array, weight_HKD: jax.Array) -> jax.Array:
    """[B, T, D]: the sum of what all heads give."""
    if on_mesh():
        return summed("bhtk,hkd->btd", mixed_BHTK, weight_HKD, "batch", "sequence", None)
    B, H, T, K = mixed_BHTK.shape
    return linear(mixed_BHTK.swapaxes(1, 2).reshape(B, T, H * K), weight_HKD.reshape(H * K, -1))


@scaled
def narrow(x_BTF: jax.Array, weight_FD: jax.Array) -> jax.Array:
    """[B, T, D]: x times a weight whose sum over F is split over `model`."""
    if on_mesh():
        return summed("btf,fd->btd", x_BTF, weight_FD, "batch", "sequence", None)
    return linear(x_BTF, weight_FD)


@scaled
def to_vocabulary(x_BTD: jax.Array, embed_VD: jax.Array) -> jax.Array:
    """[B, T, V] float32: x times each row of the embedding."""
    if on_mesh() or x_BTD.dtype != jnp.float32:
        return jnp.einsum("...d,vd->...v", x_BTD, embed_VD, preferred_element_type=jnp.float32)
    return linear(x_BTD, embed_VD.T)


@jax.custom_vjp
def _linear(x: jax.Array, weight: jax.Array) -> jax.Array:
    return x @ weight


def _forward(x: jax.Array, weight: jax.Array):
    return x @ weight, (x, weight)


def _backward(saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, weight = saved
    x_NI, grad_NO = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    if grad_NO.shape[1] >= x_NI.shape[1]:
        return grad @ weight.T, as_is(as_is(x_NI.T) @ grad_NO)
    return grad @ weight.T, as_is(as_is(grad_NO.T) @ x_NI).T


_linear.defvjp(_forward, _backward)


def as_is(x: jax.Array) -> jax.Array:
    """x, which a CPU makes as it is written: XLA may not turn a product around. Other devices lose nothing by that."""
    return jax.lax.optimization_barrier(x) if jax.default_backend() == "cpu" else x


def total(x: jax.Array) -> jax.Array:
    """The sum of x [B, ...] over B; as a product, since a CPU sums over a leading axis thirty times slower."""
    if on_mesh():
        return jnp.sum(x, axis=0)
    return (jnp.ones((1, x.shape[0]), x.dtype) @ x.reshape(x.shape[0], -1)).reshape(x.shape[1:])
