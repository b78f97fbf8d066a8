"""Token unlikelihood: what a sequence has said already is made less likely, so that it is not said again and again.

Takes hidden states and what the rows say, gives a loss a position. Nothing here is as large as the vocabulary: a logit
is needed only where a token of the row stands. Axes: B rows, t positions of a piece, S positions of the row, D model.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

FLOOR = 1e-5  # of 1 - p: where p is 1 the loss stays finite, without a gradient


class Said(NamedTuple):
    """The tokens of whole rows as candidates."""

    tokens_BS: jax.Array
    segments_BS: jax.Array
    first_BS: jax.Array  # whether a learned token stands here for the first time in its segment


def first_said(tokens_BS: jax.Array, segments_BS: jax.Array, learned_BS: jax.Array) -> jax.Array:
    """`Said.first_BS`, bool[B, S]."""
    same_BSS = (tokens_BS[:, :, None] == tokens_BS[:, None, :]) & (segments_BS[:, :, None] == segments_BS[:, None, :])
    earlier_SS = jnp.tri(tokens_BS.shape[1], k=-1, dtype=bool)
    return learned_BS & ~jnp.any(same_BSS & earlier_SS & learned_BS[:, None, :], axis=-1)


def token_unlikelihood(
    hidden_BtD: jax.Array,
    embedded_BSD: jax.Array,
    log_z_Bt: jax.Array,
    targets_Bt: jax.Array,
    places: tuple[jax.Array, ...],
    said: Said,
) -> jax.Array:
    """The sum of -log(1 - p(c)) over the candidates c, [B, t], float32 (Welleck et al. 2020, section 5.1).

    Candidates of a position are the different learned tokens of its segment up to it, less the target, which comes
    next. `embedded_BSD` is the row's tokens times D^-1/2: a product with a hidden state is a token's logit. `log_z_Bt`
    is the log of the softmax's sum, `places` are the positions' segments and their numbers in the row.
    """
    segments_Bt, number_Bt = places
    logits_BtS = jnp.einsum("btd,bsd->bts", hidden_BtD, embedded_BSD, preferred_element_type=jnp.float32)
    p_BtS = jnp.exp(logits_BtS - log_z_Bt[..., None])
    candidate_BtS = jnp.arange(said.tokens_BS.shape[1]) <= number_Bt[..., None]
    candidate_BtS &= said.first_BS[:, None] & (said.segments_BS[:, None] == segments_Bt[..., None])
    candidate_BtS &= said.tokens_BS[:, None] != targets_Bt[..., None]
    return jnp.sum(jnp.where(candidate_BtS, -jnp.log(jnp.maximum(1 - p_BtS, FLOOR)), 0), axis=-1)
