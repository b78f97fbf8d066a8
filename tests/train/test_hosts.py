"""Two processes of four devices train as one process of eight, and as one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from openlamda.errors import UserError
from openlamda.train import hosts

SCRIPT = Path(__file__).with_name("tiny_run.py")


def start(directory: Path, mesh: dict[str, int], devices: int, **variables: str) -> subprocess.Popen:
    recipe = {
        "tokenizer": str(directory.parent / "t.model"),
        "steps": 5,
        "checkpoint_every": 3,
        "mesh": mesh,
        "accumulate": 2,
        "optimizer": {"name": "adafactor", "warmup_steps": 2},
    }
    env = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(SCRIPT), str(directory), json.dumps(recipe)]
    return subprocess.Popen(command, env={**env, **variables}, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]


def result(directory: Path) -> tuple[list[float], dict[str, np.ndarray]]:
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    return [row["loss"] for row in rows], load_file(directory / "model" / "model.safetensors")


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(tmp_path, tokenizer):
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    mesh = {"data": 4, "model": 2}
    pair = [
        start(tmp_path / "two", mesh, 4, **dict(zip(hosts.VARIABLES, (address, "2", number), strict=True)))
        for number in "01"
    ]
    for process in pair:
        finished(process)
    finished(start(tmp_path / "eight", mesh, 8))
    finished(start(tmp_path / "one", {}, 1))
    losses, weights = result(tmp_path / "two")
    for name in ("eight", "one"):
        other_losses, other_weights = result(tmp_path / name)
        assert losses == pytest.approx(other_losses, rel=2e-6), name
        for weight, array in weights.items():
            np.testing.assert_allclose(array, other_weights[weight], atol=1e-4, err_msg=f"{name} {weight}")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"JAX_PROCESS_ID": "0"}, "JAX_PROCESS_ID set, JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES missing"),
        ({"JAX_NUM_PROCESSES": "two", "JAX_PROCESS_ID": "0"}, "expected whole numbers"),
        ({"JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"}, "JAX_PROCESS_ID = 2, expected 0 to 1"),
    ],
)
def test_half_a_description_of_hosts_is_refused(variables, message):
    if len(variables) == 2:
        variables = {"JAX_COORDINATOR_ADDRESS": "localhost:1", **variables}
    with pytest.raises(UserError, match=message):
        hosts.join(variables)


def test_alone_nobody_is_waited_for():
    hosts.join({"SLURM_NTASKS": "1", "TPU_WORKER_HOSTNAMES": "localhost"})
    assert hosts.leads()
