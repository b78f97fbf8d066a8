"""Run by test_sharding.py on eight simulated devices: loss and gradients on every mesh equal one device's."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from openlamda.model import adapters
from openlamda.model import params as weights
from openlamda.model.config import ModelConfig
from openlamda.model.sharding import MESH_AXES, make_mesh, spec
from openlamda.model.transformer import Remat
from openlamda.train.loss import Batch, loss_sums

SIZES = ((1, 4, 2), (1, 2, 4), (1, 8, 1), (1, 1, 8), (2, 2, 2))
CLOSE = 2e-6  # relative, float32


def compute(config: ModelConfig, remat: Remat, share: float):
    """Loss and gradients as a jitted function of weights and batch."""

    def loss(params, batch):
        return loss_sums(params, batch, config, remat, unlikelihood=share)[0]

    return jax.jit(jax.value_and_grad(loss))


def far(found: jax.Array, expected: jax.Array) -> float:
    """The largest difference as a share of the largest value."""
    return float(jnp.max(jnp.abs(jax.device_get(found) - expected)) / jnp.max(jnp.abs(expected)))


def compare(
    config: ModelConfig, batch: Batch, sizes: tuple[int, int, int], remat: Remat, unlikelihood: float = 0.0
) -> None:
    """Raises AssertionError where a mesh gives another result, or gradients that lie elsewhere than their weights."""
    params = weights.init(config, jax.random.key(0))
    loss, grads = compute(config, "none", unlikelihood)(params, batch)
    with jax.set_mesh(make_mesh(dict(zip(MESH_AXES, sizes, strict=True)))):
        table = weights.table(config)
        split = {name: jax.device_put(value, spec(table[name].axes)) for name, value in params.items()}
        rows = jax.tree.map(partial(jax.device_put, device=spec(("batch", None))), batch)
        split_loss, split_grads = compute(config, remat, unlikelihood)(split, rows)
        assert far(split_loss, loss) < CLOSE, (sizes, remat, split_loss, loss)
        for name, grad in split_grads.items():
            assert far(grad, grads[name]) < CLOSE, (sizes, remat, name, far(grad, grads[name]))
            assert grad.sharding.spec == split[name].sharding.spec, (name, grad.sharding.spec)


def compare_adapters(config: ModelConfig, batch: Batch, sizes: tuple[int, int, int]) -> None:
    """As `compare`, of adapters beside frozen weights."""

    @jax.jit
    def compute(learned, frozen, batch):
        return jax.value_and_grad(lambda learned: loss_sums({**frozen, **learned}, batch, config)[0])(learned)

    def begin():
        learned = adapters.init(config, tuple(adapters.SUMMED), 4, jax.random.key(1))
        return {name: value + 0.01 for name, value in learned.items()}

    frozen = weights.init(config, jax.random.key(0))
    loss, grads = compute(begin(), frozen, batch)
    with jax.set_mesh(make_mesh(dict(zip(MESH_AXES, sizes, strict=True)))):
        table = weights.table(config)
        split = {name: jax.device_put(value, spec(table[name].axes)) for name, value in frozen.items()}
        rows = jax.tree.map(partial(jax.device_put, device=spec(("batch", None))), batch)
        split_loss, split_grads = compute(begin(), split, rows)
        assert far(split_loss, loss) < CLOSE, (sizes, split_loss, loss)
        for name, grad in split_grads.items():
            assert far(grad, grads[name]) < CLOSE, (sizes, name, far(grad, grads[name]))


def main() -> None:
    jax.config.update("jax_default_matmul_precision", "highest")
    rng = np.random.default_rng(0)
    segments = np.sort(rng.integers(1, 4, (16, 24), dtype=np.int32), axis=1)
    batch = Batch(rng.integers(0, 64, (16, 24), dtype=np.int32), segments, rng.random((16, 24), dtype=np.float32))
    plain = ModelConfig(num_layers=2, d_model=32, num_heads=8, d_head=8, d_ff=64, vocab_size=64)
    for sizes in SIZES:
        compare(plain, batch, sizes, "none")
    for remat in ("minimal", "full"):
        compare(plain, batch, SIZES[0], remat)
    compare_adapters(plain, batch, SIZES[-1])
    compare(dataclasses.replace(plain, relative_bias="shared"), batch, SIZES[0], "none")
    compare(dataclasses.replace(plain, activation="relu"), batch, SIZES[0], "minimal", unlikelihood=0.25)
    print("equal")


if __name__ == "__main__":
    main()
