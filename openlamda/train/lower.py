"""The real train step compiled for many simulated devices of this machine, without a weight in memory.

Run as a program of its own, since JAX counts its devices once: `python -m openlamda.train.lower PLAN.json`. Sharding,
argument bytes and the program are those of the real run; what the CPU's compiler says of temporary memory is not.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from openlamda.errors import UserError
from openlamda.model.config import ModelConfig

if TYPE_CHECKING:
    from jax.sharding import Mesh
    from jax.stages import Lowered


def compiled(
    config: ModelConfig, mesh: dict[str, int], rows: int, sequence: int, remat: str, optimizer: str
) -> dict[str, Any]:
    """Seconds to lower and compile, and bytes of arguments a device, found in a process with that many devices."""
    devices = 1
    for size in mesh.values():
        devices *= size
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    asked = json.dumps([dataclasses.asdict(config), mesh, rows, sequence, remat, optimizer])
    run = subprocess.run(
        [sys.executable, "-m", "openlamda.train.lower", asked],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise UserError(f"compile: {run.stderr.strip().splitlines()[-1] if run.stderr else run.returncode}")
    return json.loads(run.stdout)


def step_on(mesh: "Mesh", config: ModelConfig, rows: int, sequence: int, remat: Any, optimizer: Any) -> "Lowered":
    """The train step in bfloat16 lowered for a mesh; no array is made."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding

    from openlamda.model.params import table
    from openlamda.model.sharding import spec
    from openlamda.train import optimizer as optimizers
    from openlamda.train.loss import Batch
    from openlamda.train.recipe import Optimizer
    from openlamda.train.step import State, train_step

    with jax.set_mesh(mesh):

        def shaped(shape, dtype, axes) -> Any:
            return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, spec(axes)))

        params = {name: shaped(w.shape, jnp.float32, w.axes) for name, w in table(config).items()}
        tx = optimizers.build(Optimizer(name=optimizer), steps=1000)
        count = shaped((), jnp.int32, ())
        state = State(count, count, params, jax.eval_shape(tx.init, params))
        cells = (rows, sequence), ("batch", None)
        batch = Batch(*(shaped(cells[0], dtype, cells[1]) for dtype in (jnp.int32, jnp.int32, jnp.float32)))
        return train_step.lower(state, batch, config=config, optimizer=tx, remat=remat, dtype=jnp.bfloat16)


def _compile(
    shape: dict[str, Any], mesh: dict[str, int], rows: int, sequence: int, remat: Any, optimizer: Any
) -> dict[str, Any]:
    from openlamda.model.sharding import make_mesh

    made = make_mesh(mesh)
    began = time.perf_counter()
    lowered = step_on(made, ModelConfig(**shape), rows, sequence, remat, optimizer)
    lowering = time.perf_counter() - began
    memory = lowered.compile().memory_analysis()
    assert memory is not None
    return {
        "devices": made.size,
        "lower_seconds": lowering,
        "compile_seconds": time.perf_counter() - began - lowering,
        "argument_bytes": memory.argument_size_in_bytes,
    }


if __name__ == "__main__":
    print(json.dumps(_compile(*json.loads(sys.argv[1]))))
