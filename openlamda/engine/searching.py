"""Beam search with a model: the beams of one search take a token each a step, read by the code that draws.

Takes a group of one prefix (drawing.py), gives hypotheses (beam.py). Beams lie in rows, in no order. A beam's first
child has its row; its other children take rows of beams without any, and only these are copied, as far as they are
written: XLA would copy all keys and values twice to bring the rows in order.
Axes: G groups, here 1, P candidates of a group, here the rows B, H heads, T steps kept, K head size, V vocabulary.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from openlamda.engine import beam, drawing
from openlamda.engine.beam import Beams
from openlamda.engine.compiled import compiled
from openlamda.engine.drawing import STEPS, Group
from openlamda.engine.layered import Layered
from openlamda.engine.reading import KeysValues
from openlamda.model.config import ModelConfig

COPIED = 16  # steps at once; T is a multiple of it

found = compiled()(beam.found)


class State(NamedTuple):
    """What a step changes. `lane`: what the model reads, a group of the beams; `own` is [H, B, T, K] there."""

    beams: Beams
    lane: drawing.Lane


@compiled(static=("config", "B", "T", "dtype", "mesh"))
def begin(last: jax.Array, *, config: ModelConfig, B: int, T: int, dtype: str, mesh: Mesh | None = None) -> State:
    """A search in which nothing is said after `last`; on a mesh heads are split."""
    lane = drawing.empty(config=config, G=1, P=B, T=T, dtype=dtype, mesh=mesh)
    own = jax.tree.map(lambda x_GHBTK: x_GHBTK[0], lane.own)
    return State(beam.start(B, B, T), lane._replace(last_GP=jnp.full((1, B), last), own=own))


@compiled(static=("config", "blocking"), donate=("state",))
def advance(
    weights: Layered,
    group: Group,
    state: State,
    length_penalty: jax.Array,
    wanted: jax.Array,
    *,
    config: ModelConfig,
    blocking: bool,
) -> tuple[State, jax.Array]:
    """Up to STEPS tokens more of each beam, and whether the `wanted` best hypotheses are found.

    `blocking`: n-grams are blocked.
    """
    rules = jax.tree.map(lambda rows_GP: rows_GP[0], group.rules)
    end = state.lane.step + STEPS

    def over(state: State) -> jax.Array:
        return beam.over(state.beams, length_penalty, group.max_tokens[0], wanted)

    def step(state: State) -> State:
        beams, lane = state
        logits_BV, own = drawing.read(weights, group, lane, config)
        repeated_BV = drawing.repeated(group, lane, logits_BV.shape[-1]) if blocking else None
        beams, parent_B = beam.step(beams, logits_BV, rules, length_penalty, repeated_BV)
        row_B = _rows(parent_B)
        own = _copied(own, parent_B, row_B, beams.length)
        order_B = jnp.argsort(row_B)
        beams = beams._replace(
            tokens_BT=beams.tokens_BT[order_B], score_B=beams.score_B[order_B], logprob_B=beams.logprob_B[order_B]
        )
        lane = lane._replace(
            step=lane.step + 1,
            last_GP=beams.tokens_BT[None, :, beams.length - 1],
            tokens_GPT=beams.tokens_BT[None],
            count_GP=jnp.full_like(lane.count_GP, beams.length),
            own=own,
        )
        return State(beams, lane)

    state = jax.lax.while_loop(lambda state: (state.lane.step < end) & ~over(state), step, state)
    return state, over(state)


def _rows(parent_B: jax.Array) -> jax.Array:
    """A row for each beam, by its parent's: the same for the first child, a free one for others."""
    B = len(parent_B)
    first_B = ~jnp.any(jnp.tril(parent_B[:, None] == parent_B, -1), -1)
    free_B = jnp.argsort(jnp.isin(jnp.arange(B), parent_B))
    return jnp.where(first_B, parent_B, free_B[jnp.cumsum(~first_B) - 1])


def _copied(
    own: tuple[KeysValues, ...], parent_B: jax.Array, row_B: jax.Array, written: jax.Array
) -> tuple[KeysValues, ...]:
    """`own` with the first `written` steps of each parent's row in its child's row, where this is another one."""
    moved_B = jnp.argsort(row_B == parent_B)
    blocks = -(-written // COPIED)

    def copy(state: tuple[jax.Array, tuple[KeysValues, ...]]):
        n, own = state
        i, at = moved_B[n // blocks], n % blocks * COPIED

        def one(x_HBTK: jax.Array) -> jax.Array:
            H, _, _, K = x_HBTK.shape
            part = jax.lax.dynamic_slice(x_HBTK, (0, parent_B[i], at, 0), (H, 1, COPIED, K))
            return jax.lax.dynamic_update_slice(x_HBTK, part, (0, row_B[i], at, 0))

        return n + 1, jax.tree.map(one, own)

    copies = jnp.sum(row_B != parent_B) * blocks
    return jax.lax.while_loop(lambda state: state[0] < copies, copy, (jnp.int32(0), own))[1]
