"""Products of activations with weights, their gradients arranged for a CPU; on a mesh as the sharding has it.

Weights may be bfloat16 where activations are float32, as on a CPU (`activation_dtype` of quantized.py): the product's
factors are rounded, what it gives is not.

The weight's gradient is x^T g. Left to itself, XLA writes it as (g^T x)^T and transposes g, the larger of the two
wherever a layer widens: for the feed-forward of the `nano` model that takes more time than all of its products.
Axes: B batch, T tokens, D model, H heads, K head size, F feed-forward, V vocabulary, I in, O out.
"""

import math
from collections.abc import Callable
from functools import partial, wraps

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from openlamda.model import weights
from openlamda.model.sharding import on_mesh, summed

FEW_ROWS = 64  # of a product, or fewer, are few


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
    return _to_rows(x_BTD, embed_VD)


@jax.custom_vjp
def _linear(x: jax.Array, weight: jax.Array) -> jax.Array:
    return _forward(x, weight)[0]


def _forward(x: jax.Array, weight: jax.Array):
    low = x.astype(weight.dtype)
    return _dot_of_few(low, weight, 0).astype(x.dtype), (low, weight)


def _backward(saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, weight = saved
    low = grad.astype(weight.dtype)
    x_NI, grad_NO = x.reshape(-1, x.shape[-1]), low.reshape(-1, grad.shape[-1])
    of_x = _dot(low, weight, 1).astype(grad.dtype)
    if grad_NO.shape[1] >= x_NI.shape[1]:
        return of_x, as_is(_dot(_turned(x_NI), grad_NO, 0)).astype(weight.dtype)
    return of_x, as_is(_dot(_turned(grad_NO), x_NI, 0)).T.astype(weight.dtype)


@jax.custom_vjp
def _to_rows(x: jax.Array, weight_OI: jax.Array) -> jax.Array:
    """x times each row of a weight; to transpose a bfloat16 one would make the product float32."""
    return _dot_of_few(x.astype(weight_OI.dtype), weight_OI, 1).astype(x.dtype)


def _to_rows_forward(x: jax.Array, weight_OI: jax.Array):
    return _to_rows(x, weight_OI), (x.astype(weight_OI.dtype), weight_OI.T)


def _to_rows_backward(saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    of_x, of_weight_IO = _backward(saved, grad)
    return of_x, of_weight_IO.T


_to_rows.defvjp(_to_rows_forward, _to_rows_backward)


def _dot(x: jax.Array, y: jax.Array, axis: int) -> jax.Array:
    """The sum of x [..., I] times y over y's `axis`; on a CPU float32, as its bfloat16 instructions (AMX) add up."""
    wide = jnp.float32 if jax.default_backend() == "cpu" else None
    return jax.lax.dot_general(x, y, (((x.ndim - 1,), (axis,)), ((), ())), preferred_element_type=wide)


def _dot_of_few(x: jax.Array, y: jax.Array, axis: int) -> jax.Array:
    """As `_dot`. A CPU rearranges the second factor of a product at each call; of few rows times a weight that takes
    longer than the product, so they change places. That pays if the weight lies as [O, I] (engine/layered.py).
    """
    if not _few(math.prod(x.shape[:-1]), x.dtype):
        return _dot(x, y, axis)
    return jnp.moveaxis(as_is(jax.lax.dot_general(y, x, (((axis,), (x.ndim - 1,)), ((), ())))), 0, -1)


def _few(rows: int, dtype: DTypeLike) -> bool:
    """Whether so many rows are few, on a CPU without AMX that is one device: simulated ones split weights."""
    if rows > FEW_ROWS or dtype != jnp.float32 or jax.default_backend() != "cpu" or jax.device_count() > 1:
        return False
    return not on_mesh() and not weights.multiplies_bfloat16()


def times_each(query_BTK: jax.Array, key_BSK: jax.Array) -> jax.Array:
    """Each query times each key, [..., T, S] float32; of few queries on a CPU as `_dot_of_few`."""
    if _few(query_BTK.shape[-2], query_BTK.dtype):
        return as_is(jnp.einsum("...sk,...tk->...st", key_BSK, query_BTK)).swapaxes(-1, -2)
    return jnp.einsum("...tk,...sk->...ts", query_BTK, key_BSK, preferred_element_type=jnp.float32)


def _turned(x_NI: jax.Array) -> jax.Array:
    """x^T. XLA's CPU compiler makes a product float32 if one of its factors was transposed; if it is itself a product,
    with the identity, which rounds nothing, it stays bfloat16 and takes a third of the time.
    """
    if jax.default_backend() == "cpu" and x_NI.dtype == jnp.bfloat16:
        return _dot(jnp.eye(x_NI.shape[1], dtype=x_NI.dtype), x_NI, 1).astype(x_NI.dtype)
    return as_is(x_NI.T)


_linear.defvjp(_forward, _backward)


def as_is(x: jax.Array) -> jax.Array:
    """x, which a CPU makes as it is written: XLA may not turn a product around. Other devices lose nothing by that."""
    return jax.lax.optimization_barrier(x) if jax.default_backend() == "cpu" else x


def total(x: jax.Array) -> jax.Array:
    """The sum of x [B, ...] over B; as a product, since a CPU sums over a leading axis thirty times slower."""
    if on_mesh():
        return jnp.sum(x, axis=0)
    return (jnp.ones((1, x.shape[0]), x.dtype) @ x.reshape(x.shape[0], -1)).reshape(x.shape[1:])


def row_sum(x: jax.Array) -> jax.Array:
    """The sum over the last axis. On a CPU in an order which its length alone decides: XLA's depends on how many rows
    there are, too, and of what is rounded to bfloat16 later the last bit counts.
    """
    if on_mesh() or jax.default_backend() != "cpu":
        return jnp.sum(x, -1)
    part = partial(jax.lax.slice_in_dim, axis=-1)  # traced twenty times as fast as an index
    if odd := -x.shape[-1] % 8:
        x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * (x.ndim - 1) + [(0, odd, 0)])
    while (n := x.shape[-1]) > 1:  # halves, or of an odd number of eights these: parts of parts are one kernel
        size = n // 2 if n <= 8 or n % 16 == 0 else 8
        x = sum((part(x, start, start + size) for start in range(size, n, size)), start=part(x, 0, size))
        x = as_is(x) if size == 8 else x
    return jax.lax.squeeze(x, [x.ndim - 1])
