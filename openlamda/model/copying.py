"""First values from which copying is a short way: an induction circuit laid into small random weights.

A small model needs tens of millions of tokens to find induction (Olsson et al. 2022, arXiv 2209.11895) and uses it in
every look-up. Here the first layer's heads begin by looking one, two and three tokens back, heads of the second by
looking where the same three tokens stood before, and the last layer by taking the current token off its own prediction.
Training is free to change all of it. Half of the D model axes begin with the token, a sixth each with the three before.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from openlamda.errors import UserError
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params

STEPS_BACK = 3
SURE = 8.0  # bias of a head that looks at one distance only: e^8 to one
MATCH = 5.0  # attention logit for each of the three tokens that agrees


def lay_copying(params: Mapping[str, ArrayLike], config: ModelConfig, seed: int) -> Params:
    """The weights of `params.init` with the circuit in.

    Raises UserError for a shape that has no room: it takes 2 layers, 4 heads, d_head >= d_model / 2, a bias a layer.
    """
    D, K = config.d_model, config.d_head
    if config.num_layers < 2 or config.num_heads < 4 or 2 * K < D or config.relative_bias != "per_layer":
        raise UserError("copying heads need 2 layers, 4 heads, d_head >= d_model / 2 and a bias for each layer")
    token, part = D // 2, D // (2 * STEPS_BACK)
    blocks = [slice(token + n * part, token + (n + 1) * part) for n in range(STEPS_BACK)]
    rng = np.random.default_rng(seed)
    shrink = np.linalg.qr(rng.normal(size=(token, part)))[0]  # [token, part], orthonormal columns
    new = {name: np.array(value) for name, value in params.items()}

    new["embed"][:, token:] *= 0.1
    new["down"][0] *= 0.3
    for head, block in enumerate(blocks):  # layer 0: the token n back, into its own block
        new["relative_bias"][0, head] = 0.0
        new["relative_bias"][0, head, head + 1] = SURE
        new["query"][0, :, head] *= 0.3
        new["value"][0, :, head], new["out"][0, head] = 0.0, 0.0
        new["value"][0, :token, head, :part] = shrink
        new["out"][0, head, :part, block] = np.eye(part)
    for head, order in enumerate((STEPS_BACK, 2)):  # layer 1: to where the same `order` tokens ended one before
        new["relative_bias"][1, head] = 0.0
        new["query"][1, :, head], new["key"][1, :, head] = 0.0, 0.0
        gain = (MATCH * STEPS_BACK / order / part) ** 0.5
        for n in range(order):
            place = slice(n * part, (n + 1) * part)
            if n == 0:
                new["query"][1, :token, head, place] = gain * shrink
            else:
                new["query"][1, blocks[n - 1], head, place] = gain * np.eye(part)
            new["key"][1, blocks[n], head, place] = gain * np.eye(part)
        new["value"][1, :, head], new["out"][1, head] = 0.0, 0.0
        new["value"][1, :token, head, :token] = np.eye(token)
        new["out"][1, head, :token, :token] = np.eye(token)
    last, head = config.num_layers - 1, config.num_heads - 1  # the last layer: the current token is not what comes next
    new["relative_bias"][last, head] = 0.0
    new["relative_bias"][last, head, 0] = SURE
    new["value"][last, :, head], new["out"][last, head] = 0.0, 0.0
    new["value"][last, :token, head, :token] = np.eye(token)
    new["out"][last, head, :token, :token] = -np.eye(token)
    return {name: jnp.asarray(value) for name, value in new.items()}
