"""The model split over eight simulated devices computes what one device computes; wrong meshes are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openlamda.errors import UserError
from openlamda.model.sharding import make_mesh


@pytest.mark.slow
def test_eight_devices_compute_what_one_does():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    program = Path(__file__).with_name("eight_devices.py")
    run = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "equal\n", run.stdout + run.stderr[-3000:]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"data": 10_000}, "10000 devices, there are"),
        ({"data": 0}, "data = 0, expected positive sizes"),
        ({"dat": 1}, "dat = 1, expected"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(sizes, message):
    with pytest.raises(UserError, match=message):
        make_mesh(sizes)
