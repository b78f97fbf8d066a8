"""The engine split over simulated devices gives what it gives on one; devices that cannot share a model are refused."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from openlamda.errors import UserError
from openlamda.model.config import PRESETS
from openlamda.model.sharding import decode_mesh


@pytest.mark.slow
def test_several_devices_answer_as_one_does():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    program = Path(__file__).with_name("split_devices.py")
    run = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "equal\n", run.stdout + run.stderr[-3000:]


@pytest.mark.parametrize(
    ("devices", "here", "message"),
    [
        (2, 1, r"devices: 2, expected 1: this host has 1 \(cpu\)"),
        (0, 4, r"devices: 0, expected 1 to 4: this host has 4 \(cpu\)"),
        (3, 4, "devices: 3 cannot share 4 heads, d_ff 2048 and a vocabulary of 4096 alike, expected 1 or 2 or 4"),
    ],
)
def test_devices_that_cannot_share_a_model_are_refused(monkeypatch, devices, here, message):
    (device, *_) = jax.local_devices()
    monkeypatch.setattr(jax, "local_devices", lambda: [device] * here)
    with pytest.raises(UserError, match=f"^{message}$"):
        decode_mesh(devices, PRESETS["nano"])


def test_one_device_needs_no_mesh():
    assert decode_mesh(1, PRESETS["nano"]) is None
