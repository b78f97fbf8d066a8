"""Weights as the engine reads them: layer by layer, so that no layer is copied out of a stack at every step."""

from typing import NamedTuple

import jax

from openlamda.model import transformer
from openlamda.model.config import ModelConfig
from openlamda.model.params import Params


class Layered(NamedTuple):
    """The weights outside of layers, and those of each layer with its bias table."""

    top: Params
    layers: tuple[Params, ...]


def layered(params: Params, config: ModelConfig) -> Layered:
    """The weights of a model, its layers apart; a shared bias table belongs to each of them."""
    stacked = transformer.layers(params)
    layers = [jax.tree.map(lambda weight, n=n: weight[n], stacked) for n in range(config.num_layers)]
    top = {name: weight for name, weight in params.items() if name not in stacked}
    layers = [{**layer, "relative_bias": transformer.layer_bias(params, layer)} for layer in layers]
    return Layered(top, tuple(layers))
