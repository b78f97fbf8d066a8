"""Several hosts in one run: how they find each other, and who writes."""

import os
from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import NamedSharding, get_mesh
from jax.sharding import PartitionSpec as P

from openlamda.errors import UserError
from openlamda.model.params import Params

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
LAUNCHERS = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "JOBSET_NAME", "TPU_WORKER_HOSTNAMES")  # which JAX can read


def join(environment: Mapping[str, str] = os.environ) -> None:
    """Meet the other processes of this run, before anything else of JAX; alone, do nothing.

    The three variables of VARIABLES say who and where; without them Slurm, Open MPI, GKE and Cloud TPU are asked.
    Raises UserError where only some of the three are set, or a number is none.
    """
    given = {name: environment[name] for name in VARIABLES if environment.get(name)}
    if given:
        missing = [name for name in VARIABLES if name not in given]
        if missing:
            raise UserError(f"several hosts: {', '.join(given)} set, {', '.join(missing)} missing")
        try:
            number, index = int(given["JAX_NUM_PROCESSES"]), int(given["JAX_PROCESS_ID"])
        except ValueError:
            raise UserError(f"several hosts: expected whole numbers in {', '.join(VARIABLES[1:])}") from None
        if not 0 <= index < number:
            raise UserError(f"several hosts: JAX_PROCESS_ID = {index}, expected 0 to {number - 1}")
        jax.distributed.initialize(given["JAX_COORDINATOR_ADDRESS"], number, index)
    elif any(environment.get(name, "1") not in ("1", "", "localhost") for name in LAUNCHERS):
        jax.distributed.initialize()


def leads() -> bool:
    """Whether this process writes what is written once: the recipe, metrics, the model."""
    return jax.process_index() == 0


def whole(params: Params) -> dict[str, np.ndarray]:
    """Every weight on this host, gathered from all; all processes must call it together."""
    if jax.process_count() == 1:
        return {name: np.asarray(array) for name, array in params.items()}
    everywhere = NamedSharding(get_mesh(), P())
    return {name: np.asarray(jax.device_put(array, everywhere)) for name, array in params.items()}
