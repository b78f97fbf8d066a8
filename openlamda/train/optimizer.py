"""The optimizer of a recipe: AdamW, or Muon for the matrices and AdamW for the rest; its learning rate by step."""

import optax
from optax.contrib import MuonDimensionNumbers, muon

from openlamda.train.recipe import Optimizer

# which axes of a stacked weight [L, ...] a matrix product sums over, and which it gives; the first stacks the layers
MATRICES = {
    "query": MuonDimensionNumbers((1,), (2, 3)),
    "key": MuonDimensionNumbers((1,), (2, 3)),
    "value": MuonDimensionNumbers((1,), (2, 3)),
    "out": MuonDimensionNumbers((1, 2), (3,)),
    "gate": MuonDimensionNumbers((1,), (2,)),
    "up": MuonDimensionNumbers((1,), (2,)),
    "down": MuonDimensionNumbers((1,), (2,)),
}


def schedule(rate: float, recipe: Optimizer, steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up to `rate`, constant, then linear to zero over the last `decay_steps`."""
    parts = [optax.linear_schedule(rate / max(1, recipe.warmup_steps), rate, recipe.warmup_steps)]
    parts.append(optax.constant_schedule(rate))
    parts.append(optax.linear_schedule(rate, 0.0, max(1, recipe.decay_steps)))
    return optax.join_schedules(parts, [recipe.warmup_steps, steps - recipe.decay_steps])


def build(recipe: Optimizer, steps: int) -> optax.GradientTransformation:
    """The optimizer, gradients clipped to a global norm first."""
    rate = schedule(recipe.learning_rate, recipe, steps)
    if recipe.name == "muon":

        def numbers(params):
            return {name: MATRICES.get(name) for name in params}

        inner = muon(
            rate,
            weight_decay=recipe.weight_decay,
            adam_b2=0.98,
            adam_weight_decay=0.0,
            adam_learning_rate=schedule(recipe.vector_rate, recipe, steps),
            muon_weight_dimension_numbers=numbers,
            consistent_rms=0.2,
        )
    else:
        inner = optax.adamw(rate, b1=0.9, b2=0.98, weight_decay=recipe.weight_decay)
    return optax.chain(optax.clip_by_global_norm(recipe.clip_norm), inner)
