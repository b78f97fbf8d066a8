"""Drawing: groups of candidates that take one token each a step, together.

A lane holds G groups of P candidates; the candidates of a group follow one prefix, whose keys and values are read once
for all of them. Groups join and leave between calls. The bias of T5 knows distances alone, so a step's keys and values
lie in one place for all groups, however many tokens each has said: at the step's number modulo T.
Axes: G groups, P candidates of a group, R = G x P, S prefix, T steps kept, U random numbers, D model, H heads, K head
size, V vocabulary.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from openlamda.engine.compiled import compiled
from openlamda.engine.layered import Layered, whole
from openlamda.engine.reading import KeysValues
from openlamda.engine.sampling import TRIES, Array, Rules, choose, logprob_of, repeats, stops
from openlamda.model import transformer
from openlamda.model.attention import HIDDEN, distance_buckets
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params
from openlamda.model.products import row_sum, times_each
from openlamda.model.sharding import decode_sharding

STEPS = 8  # at most, of one call
OWN = 16  # places of T that are read at once on a CPU, which reads no more than are written


class Group(NamedTuple):
    """What does not change while a group is drawn; in a lane each array has an axis G before its own."""

    prefix: tuple[KeysValues, ...]  # [H, S, K] for each layer
    length: jax.Array  # int32[], of the prefix without its last token
    text: jax.Array  # int32[S + 1], the prefix's tokens with its last one
    uniform_PTU: jax.Array  # float32 random numbers of [0, 1), TRIES for each token that a candidate may say
    rules: Rules  # rows of P
    max_tokens: jax.Array  # int32[]
    block_ngram: jax.Array  # int32[]
    context_block_ngram: jax.Array  # int32[]


class Lane(NamedTuple):
    """What a step changes. `own`: keys and values [G, H, P, T, K] of each layer, that of step t at t mod T."""

    step: jax.Array  # int32[]
    start_G: jax.Array  # int32, the step at which the group joined: its first token read is the prefix's last
    drawing_GP: jax.Array  # bool: has tokens to say, or its last one to read
    last_GP: jax.Array  # int32, the token to read next
    tokens_GPT: jax.Array  # int32, what was said
    count_GP: jax.Array  # int32, how much of it
    logprob_GP: jax.Array  # float32, of what was said and the stop token
    stopped_GP: jax.Array  # bool
    own: tuple[KeysValues, ...]


def empty(*, config: ModelConfig, G: int, P: int, T: int, dtype: str, mesh: Mesh | None = None) -> Lane:
    """A lane in which nothing is drawn, within a computation; on a mesh heads are split."""
    none_GP, nothing = jnp.zeros((G, P), jnp.int32), jnp.zeros((G, config.num_heads, P, T, config.d_head), dtype)
    if mesh is not None:
        nothing = jax.lax.with_sharding_constraint(nothing, decode_sharding(mesh, (None, "heads")))
    return Lane(
        step=jnp.int32(0),
        start_G=jnp.zeros(G, jnp.int32),
        drawing_GP=none_GP > 0,
        last_GP=none_GP,
        tokens_GPT=jnp.zeros((G, P, T), jnp.int32),
        count_GP=none_GP,
        logprob_GP=jnp.zeros((G, P)),
        stopped_GP=none_GP > 0,
        own=tuple((nothing, nothing) for _ in range(config.num_layers)),
    )


def empty_lane(*, config: ModelConfig, G: int, P: int, T: int, dtype: str, mesh: Mesh | None = None) -> Lane:
    """As `empty`, outside of a computation: there is nothing to compile."""

    def zeros(shape: jax.ShapeDtypeStruct, *axes: str | None) -> jax.Array:
        return jax.device_put(np.zeros(shape.shape, shape.dtype), mesh and decode_sharding(mesh, axes))

    shapes = jax.eval_shape(partial(empty, config=config, G=G, P=P, T=T, dtype=dtype))
    own = jax.tree.map(lambda shape: zeros(shape, None, "heads"), shapes.own)
    return jax.tree.map(zeros, shapes._replace(own=()))._replace(own=own)


@compiled(static=("G",))
def repeat(group: Group, *, G: int) -> Group:
    """G times the same group."""
    return jax.tree.map(lambda one: jnp.repeat(one[None], G, axis=0), jax.tree.map(jnp.asarray, group))


@compiled(donate=("groups", "lane"))
def join(groups: Group | None, lane: Lane, place: jax.Array, group: Group, last: jax.Array, wanted: jax.Array):
    """The groups and the lane with a new group at `place`, whose first `wanted` candidates are drawn after `last`;
    None: it is the only one.
    """
    G, P = lane.last_GP.shape

    def put(all_G: jax.Array, one: ArrayLike) -> jax.Array:
        one = jnp.broadcast_to(jnp.asarray(one, all_G.dtype), all_G.shape[1:])
        return one[None] if G == 1 else all_G.at[place].set(one)  # the first has less to compile

    step = jnp.zeros_like(lane.step) if G == 1 else lane.step
    groups = repeat(group, G=G) if groups is None else jax.tree.map(put, groups, group)
    lane = lane._replace(
        step=step,
        start_G=put(lane.start_G, step),
        drawing_GP=put(lane.drawing_GP, jnp.arange(P) < wanted),
        last_GP=put(lane.last_GP, last),
        count_GP=put(lane.count_GP, 0),
        logprob_GP=put(lane.logprob_GP, 0),
        stopped_GP=put(lane.stopped_GP, False),
    )
    return groups, lane


@compiled()
def fewer(groups: Group, lane: Lane, kept_P: jax.Array) -> tuple[Group, Lane]:
    """The same groups with those of their candidates that kept_P names, and no others."""
    groups = groups._replace(
        uniform_PTU=groups.uniform_PTU[:, kept_P], rules=jax.tree.map(lambda rows: rows[:, kept_P], groups.rules)
    )
    lane = lane._replace(
        own=jax.tree.map(lambda x: x[:, :, kept_P], lane.own),
        **{
            name: getattr(lane, name)[:, kept_P]
            for name in ("drawing_GP", "last_GP", "tokens_GPT", "count_GP", "logprob_GP", "stopped_GP")
        },
    )
    return groups, lane


@compiled(static=("size",))
def leave(lane: Lane, place: jax.Array, *, size: int) -> tuple[KeysValues, ...]:
    """Keys and values [H, P, size, K] of one group's candidates from their start on, for each layer."""

    def one(own_GHPTK: jax.Array) -> jax.Array:
        own_HPTK = own_GHPTK[place]
        if own_GHPTK.shape[0] > 1:  # a group alone began at step 0
            own_HPTK = jnp.roll(own_HPTK, -lane.start_G[place], axis=2)
        return own_HPTK[:, :, :size]

    return jax.tree.map(one, lane.own)


@compiled(donate=("own",))
def put_back(own: tuple[KeysValues, ...], part: tuple[KeysValues, ...], kept_P: jax.Array) -> tuple[KeysValues, ...]:
    """`own` with the candidates that `fewer` kept as they are now."""
    return jax.tree.map(lambda all_HPTK, few_HPTK: all_HPTK.at[:, kept_P].set(few_HPTK), own, part)


@compiled(static=("config", "blocking"), donate=("lane",))
def advance(weights: Layered, groups: Group, lane: Lane, few: Array, *, config: ModelConfig, blocking: bool) -> Lane:
    """Up to STEPS tokens more of each candidate that is drawn, until no group has more than `few` of them left.

    A candidate's token depends on its prefix, its rules, its random numbers and how many tokens it has said, so it is
    the same in any company. `blocking`: some group has n-grams blocked.
    """
    rules = jax.tree.map(lambda rows: rows.reshape(-1, *rows.shape[2:]), groups.rules)
    end = lane.step + STEPS

    def step(lane: Lane) -> Lane:
        logits_RV, own = read(weights, groups, lane, config)
        repeated_RV = repeated(groups, lane, logits_RV.shape[-1]) if blocking else None
        count_R = lane.count_GP.reshape(-1)
        uniform_GPU = jax.vmap(lambda uniform_PTU, said: uniform_PTU[:, said])(
            groups.uniform_PTU, lane.step - lane.start_G
        )
        token_R = choose(logits_RV, uniform_GPU.reshape(-1, TRIES), count_R, rules, repeated_RV)
        shape = lane.count_GP.shape
        token_GP, stop_GP = token_R.reshape(shape), stops(token_R, rules).reshape(shape)
        draws_GP = lane.drawing_GP & (lane.count_GP < groups.max_tokens[:, None])  # else it read its last token
        says_GP = draws_GP & ~stop_GP
        here_GPT = (jnp.arange(lane.tokens_GPT.shape[2]) == lane.count_GP[..., None]) & says_GP[..., None]
        return Lane(
            step=lane.step + 1,
            start_G=lane.start_G,
            drawing_GP=says_GP,
            last_GP=jnp.where(says_GP, token_GP, lane.last_GP),
            tokens_GPT=jnp.where(here_GPT, token_GP[..., None], lane.tokens_GPT),
            count_GP=lane.count_GP + says_GP,
            logprob_GP=lane.logprob_GP + jnp.where(draws_GP, logprob_of(logits_RV, token_R).reshape(shape), 0),
            stopped_GP=lane.stopped_GP | (draws_GP & stop_GP),
            own=own,
        )

    # X: heads, of groups if there are several: with an axis of one group, XLA copies all keys and values at every step
    merged = lane._replace(own=jax.tree.map(lambda x: x[0] if len(x) == 1 else x, lane.own))
    after = jax.lax.while_loop(lambda lane: (lane.step < end) & jnp.any(lane.drawing_GP.sum(-1) > few), step, merged)
    return after._replace(own=jax.tree.map(lambda new, old: new.reshape(old.shape), after.own, lane.own))


def read(weights: Layered, groups: Group, lane: Lane, config: ModelConfig) -> tuple[jax.Array, tuple[KeysValues, ...]]:
    """Logits [R, V] after each candidate's last token, and all keys and values with those of that token."""
    G, P = lane.last_GP.shape
    S, T = groups.prefix[0][0].shape[2], lane.tokens_GPT.shape[2]
    place = lane.step % T
    count_G = lane.step - lane.start_G
    bucket_of = jnp.asarray(distance_buckets(config))
    far = config.max_distance
    distance_GS = (groups.length + count_G)[:, None] - jnp.arange(S)
    bucket_GS = bucket_of[jnp.clip(distance_GS, 0, far)]
    seen_GS = jnp.arange(S) < groups.length[:, None]
    age_T = (lane.step - jnp.arange(T)) % T
    bucket_T, seen_GT = bucket_of[jnp.minimum(age_T, far)], age_T <= count_G[:, None]

    blocks = (jnp.minimum(lane.step, T - 1) + OWN) // OWN

    @jax.jit  # traced once for all layers
    def block(x_GPD: jax.Array, layer: Params, prefix: KeysValues, own: KeysValues) -> tuple[jax.Array, KeysValues]:
        query, key, value = transformer.project(x_GPD, layer)  # [G, H, P, K]
        keys_XPTK, values_XPTK = (
            jax.lax.dynamic_update_slice_in_dim(old, new.reshape(*old.shape[:-2], 1, -1), place, axis=-2)
            for old, new in zip(own, (key, value), strict=True)
        )
        table_HR = layer["relative_bias"]
        bias_GHS = jnp.where(seen_GS[:, None], table_HR[:, bucket_GS].swapaxes(0, 1), HIDDEN)
        bias_GHT = jnp.where(seen_GT[:, None], table_HR[:, bucket_T], HIDDEN)
        to_prefix = times_each(query, prefix[0]) + bias_GHS[:, :, None]

        to_own = to_each(query.reshape(*keys_XPTK.shape[:-2], -1), keys_XPTK, blocks)
        to_own = to_own.reshape(*query.shape[:3], T) + bias_GHT[:, :, None]
        most_GHP1 = jnp.maximum(to_prefix.max(-1, keepdims=True), to_own.max(-1, keepdims=True))
        of_prefix, of_own = jnp.exp(to_prefix - most_GHP1), jnp.exp(to_own - most_GHP1)
        total_GHP1 = (row_sum(of_prefix) + row_sum(of_own))[..., None]
        mixed = jnp.einsum("ghps,ghsk->ghpk", of_prefix.astype(value.dtype), prefix[1])
        of_own_XPT = of_own.astype(value.dtype).reshape(values_XPTK.shape[:-1])
        mixed += of_each(of_own_XPT, values_XPTK, blocks).reshape(mixed.shape)
        mixed = (mixed / total_GHP1).astype(value.dtype)
        x_GPD = transformer.close_block(x_GPD, mixed, layer, config)
        return x_GPD, (keys_XPTK, values_XPTK)

    x_GPD = transformer.embedded(weights.top, lane.last_GP)
    written = []
    for layer, prefix, own in zip(weights.layers, groups.prefix, lane.own, strict=True):
        x_GPD, own = block(x_GPD, layer, prefix, own)
        written.append(own)
    hidden_RD = transformer.rms_norm(x_GPD, weights.top["norm_final"]).reshape(G * P, -1)
    return whole(transformer.logits(weights.top, hidden_RD), weights, None, "vocab"), tuple(written)


def to_each(query_XPK: jax.Array, keys_XPTK: jax.Array, blocks: jax.Array) -> jax.Array:
    """Each candidate's query times its own keys [X, P, T] float32; on a CPU those of the first `blocks` of OWN."""
    times = partial(jnp.einsum, "...pk,...ptk->...pt", preferred_element_type=jnp.float32)
    if jax.default_backend() != "cpu":
        return times(query_XPK, keys_XPTK)

    def put(n: jax.Array, logits_XPT: jax.Array) -> jax.Array:
        keys = jax.lax.dynamic_slice_in_dim(keys_XPTK, n * OWN, OWN, axis=-2)
        return jax.lax.dynamic_update_slice_in_dim(logits_XPT, times(query_XPK, keys), n * OWN, axis=-1)

    return jax.lax.fori_loop(0, blocks, put, jnp.zeros(keys_XPTK.shape[:-1], jnp.float32))


def of_each(weights_XPT: jax.Array, values_XPTK: jax.Array, blocks: jax.Array) -> jax.Array:
    """The sum of each candidate's own values [X, P, K] by their weights, of which those after `blocks` are 0."""
    times = partial(jnp.einsum, "...pt,...ptk->...pk")
    if jax.default_backend() != "cpu":
        return times(weights_XPT, values_XPTK)

    def add(n: jax.Array, mixed_XPK: jax.Array) -> jax.Array:
        weights = jax.lax.dynamic_slice_in_dim(weights_XPT, n * OWN, OWN, axis=-1)
        return mixed_XPK + times(weights, jax.lax.dynamic_slice_in_dim(values_XPTK, n * OWN, OWN, axis=-2))

    return jax.lax.fori_loop(0, blocks, add, jnp.zeros_like(values_XPTK[..., 0, :]))


def repeated(groups: Group, lane: Lane, vocab_size: int) -> jax.Array:
    """Tokens [R, V] that would end an n-gram that the candidate has said, or that stands in its prefix."""
    G, P, T = lane.tokens_GPT.shape

    def rows(x_G: jax.Array) -> jax.Array:
        return jnp.repeat(x_G, P, axis=0, total_repeat_length=G * P)

    own_RT, count_R = lane.tokens_GPT.reshape(-1, T), lane.count_GP.reshape(-1)
    said = repeats(own_RT, count_R, own_RT, count_R, rows(groups.block_ngram), vocab_size)
    sizes_R = rows(groups.context_block_ngram)
    given = repeats(rows(groups.text), rows(groups.length + 1), own_RT, count_R, sizes_R, vocab_size)
    return said | given
