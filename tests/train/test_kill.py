"""A run that is killed again and again ends with the very weights of one that is left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("tiny_run.py")
KILLS = 20


def start(directory: Path, cache: Path) -> subprocess.Popen:
    recipe = {
        "tokenizer": str(directory.parent / "t.model"),
        "steps": 300,
        "batch_rows": 2,
        "checkpoint_every": 7,
        "validate_batches": 1,
        "optimizer": {"name": "adamw", "schedule": "cosine", "warmup_steps": 10},
    }
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(cache)}
    env |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, str(SCRIPT), str(directory), json.dumps(recipe)]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def steps(directory: Path) -> list[int]:
    path = directory / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path, tokenizer):
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    whole, killed, cache = tmp_path / "whole", tmp_path / "killed", tmp_path / "cache"
    rng, at_work = random.Random(0), 0
    for _ in range(KILLS):
        process = start(killed, cache)
        before = len(steps(killed))
        if rng.random() < 0.8:  # else while it starts
            while len(steps(killed)) == before and process.poll() is None:
                time.sleep(0.02)
        time.sleep(rng.uniform(0, 1.5))
        at_work += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert at_work == KILLS, "the run ended before it was killed so often"
    for directory in (killed, whole):
        process = start(directory, cache)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors[-3000:]
    for name in ("model", "best"):
        assert (killed / name / "model.safetensors").read_bytes() == (whole / name / "model.safetensors").read_bytes()
    assert steps(killed) == steps(whole) == list(range(1, 301))
    temporary = [path for path in killed.rglob("*") if ".tmp" in path.name or "orbax-checkpoint-tmp" in path.name]
    assert not temporary
