"""T5 relative attention: the bias of distances, and softmax attention over them, causal and inside segments.

Axes: B batch, T query tokens, S key tokens, H heads, K head size, R buckets of relative distance.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.model.config import ModelConfig
from openlamda.model.products import as_is, total
from openlamda.model.sharding import on_mesh, take

HIDDEN = -1e30  # added to the logit of a key that may not be seen
BLOCK = 64  # queries that are attended from at once, or a quarter of a longer row


def distance_buckets(config: ModelConfig) -> np.ndarray:
    """Bucket of each distance 0 ... max_distance, int32[max_distance + 1]: half the buckets exact, then logarithmic,
    all of them for the past (T5, causal form). Computed in float64 once, so that no dtype moves a boundary.
    """
    exact = config.num_buckets // 2
    distance = np.arange(config.max_distance + 1)
    ratio = np.log(np.maximum(distance, exact) / exact) / np.log(config.max_distance / exact)
    logarithmic = np.minimum(exact + (ratio * (config.num_buckets - exact)).astype(np.int32), config.num_buckets - 1)
    return np.where(distance < exact, distance, logarithmic).astype(np.int32)


def bias_of_distance(table_HR: jax.Array, query_position: jax.Array, key_position: jax.Array, config: ModelConfig):
    """Attention bias of one layer, [..., H, T, S], for positions int32[..., T] and int32[..., S]; the future is 0."""
    distance = jnp.clip(query_position[..., :, None] - key_position[..., None, :], 0, config.max_distance)
    bucket = jnp.asarray(distance_buckets(config))[distance]
    return jnp.moveaxis(take(table_HR, bucket, "heads", *(None,) * bucket.ndim), 0, -3)


def band(table_HR: jax.Array, block: int, T: int, config: ModelConfig) -> jax.Array:
    """`bias_of_distance` [H, block, T], float32, from the last `block` of T positions to all of them.

    Each row is the one before, moved on by one: so a row of all distances is repeated, and read with rows shorter by
    one. A TPU takes much longer to gather.
    """
    P = T + block
    distance_P = T - 1 - (np.arange(P) + block - 1) % P
    bucket_P = distance_buckets(config)[np.clip(distance_P, 0, config.max_distance)]
    row_HP = take(table_HR, jnp.asarray(bucket_P), "heads", None).astype(jnp.float32)
    rows = jnp.broadcast_to(row_HP[:, None], (row_HP.shape[0], block, P)).reshape(-1, block * P)
    return rows[:, : block * (P - 1)].reshape(-1, block, P - 1)[:, :, :T]


def attend(query_BHTK: jax.Array, key_BHSK: jax.Array, value_BHSK: jax.Array, bias_BHTS: jax.Array) -> jax.Array:
    """Softmax attention [B, H, T, K]; `bias_BHTS` is the relative bias, HIDDEN where a key may not be seen.

    Logits and softmax are float32 and not divided by sqrt(K): the spread of `query` holds that (T5). Heads stand before
    tokens because a CPU multiplies such batches of matrices several times faster.
    """
    logits_BHTS = jnp.einsum("bhtk,bhsk->bhts", query_BHTK, key_BHSK, preferred_element_type=jnp.float32) + bias_BHTS
    weights_BHTS = jax.nn.softmax(logits_BHTS, axis=-1).astype(value_BHSK.dtype)
    return jnp.einsum("bhts,bhsk->bhtk", weights_BHTS, value_BHSK)


def attend_rows(
    query_BHTK: jax.Array,
    key_BHTK: jax.Array,
    value_BHTK: jax.Array,
    table_HR: jax.Array,
    segments_BT: jax.Array,
    config: ModelConfig,
    *,
    lean: bool,
) -> jax.Array:
    """Attention [B, H, T, K] of packed rows to themselves: causal, and inside a segment.

    Block after block of queries, each against the keys up to its own end: the future half of the T x T scores is never
    made, and no more than one block's at a time. `lean` makes a block's scores again in the backward pass.
    """
    T = query_BHTK.shape[2]
    block = min(T, max(BLOCK, -(-T // 4)))
    # of the last block; distances repeat, so that each block's bias is a slice of it
    last_HtT = band(table_HR, block, T, config)

    def one(start: int, end: int, query, key, value, last_HtT):
        position_t, position_S = jnp.arange(start, end), jnp.arange(end)
        same_BtS = segments_BT[:, start:end, None] == segments_BT[:, None, :end]
        mask_B1tS = jnp.where((position_t[:, None] >= position_S) & same_BtS, 0.0, HIDDEN)[:, None]
        first = T - block - start
        bias_HtS = last_HtT[:, : end - start, first : first + end]
        return _attend_block(query[:, :, start:end], key[:, :, :end], value[:, :, :end], bias_HtS, mask_B1tS)

    ends = range((T - 1) % block + 1, T + 1, block)  # the first block may be a short one
    mixed = []
    for start, end in zip((0, *ends), ends, strict=False):
        part = partial(one, start, end)
        mixed.append((jax.checkpoint(part) if lean else part)(query_BHTK, key_BHTK, value_BHTK, last_HtT))
    return jnp.concatenate(mixed, axis=2)


@jax.custom_vjp
def _attend_block(query, key, value, bias_HTS, mask_B1TS):
    return attend(query, key, value, bias_HTS + mask_B1TS)


def _forward(query, key, value, bias_HTS, mask_B1TS):
    logits_BHTS = jnp.einsum("bhtk,bhsk->bhts", query, key, preferred_element_type=jnp.float32)
    weights_BHTS = jax.nn.softmax(logits_BHTS + (bias_HTS + mask_B1TS), axis=-1).astype(value.dtype)
    mixed_BHTK = jnp.einsum("bhts,bhsk->bhtk", weights_BHTS, value)
    return mixed_BHTK, (query, key, value, weights_BHTS, mixed_BHTK)


def _backward(saved, grad_BHTK):
    """Softmax's gradient is w (g - sum of w g) over the keys, and that sum is the output times its gradient."""
    query, key, value, weights_BHTS, mixed_BHTK = saved
    grad_weights = jnp.einsum("bhtk,bhsk->bhts", grad_BHTK, value, preferred_element_type=jnp.float32)
    mean_BHT1 = jnp.sum((grad_BHTK * mixed_BHTK).astype(jnp.float32), axis=-1, keepdims=True)
    grad_logits = weights_BHTS * (grad_weights - mean_BHT1)
    low = grad_logits.astype(query.dtype)
    return (
        jnp.einsum("bhts,bhsk->bhtk", low, key),
        _sum_over_queries(query, low),
        _sum_over_queries(grad_BHTK, weights_BHTS),
        total(grad_logits),
        None,
    )


def _sum_over_queries(x_BHTK: jax.Array, weights_BHTS: jax.Array) -> jax.Array:
    """[B, H, S, K]; a CPU makes it as [B, H, K, S], since to go across the larger factor takes it twice as long."""
    if on_mesh():
        return jnp.einsum("bhts,bhtk->bhsk", weights_BHTS, x_BHTK)
    return as_is(jnp.einsum("bhtk,bhts->bhks", x_BHTK, weights_BHTS)).swapaxes(2, 3)


_attend_block.defvjp(_forward, _backward)
