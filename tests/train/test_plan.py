"""Plans against the paper's own figures, and against what a compiler counted for the same program."""

import pytest

from openlamda.errors import UserError
from openlamda.model.config import PRESETS
from openlamda.train.plan import CHIPS, GIB, KG_PER_KWH, balanced_mesh, flops_per_token, megawatt_hours, plan

PAPER = {"chip_name": "v3", "devices": 1024}


def test_energy_and_carbon_are_the_papers():
    energy = megawatt_hours(57.7, 1024, CHIPS["v3"].watts)
    assert energy == pytest.approx(450.8, abs=0.05)
    assert energy * KG_PER_KWH == pytest.approx(25.24, abs=0.01)
    small = 64 * 1.5 * 24 + 64 * 23 * 24 + 16 * 3 + 16 * 6 + 64 * 36
    assert megawatt_hours(small / 24, 1, CHIPS["v3"].watts) * KG_PER_KWH == pytest.approx(0.714, abs=0.001)


def test_the_papers_flops():
    """56.5 % of 1024 chips' peak for 57.7 days."""
    assert 0.565 * CHIPS["v3"].flops * 1024 * 57.7 * 86_400 == pytest.approx(3.548e23, rel=1e-3)


def test_table_27_is_infeasible_as_printed():
    """3M steps of 256K tokens are more than the chips could do in 57.7 days at their peak; 8B's row is fine."""
    problems = plan(PRESETS["137b"], **PAPER, steps=3_000_000, days=57.7).problems
    assert len(problems) == 1 and "infeasible" in problems[0]
    small = plan(PRESETS["2b"], "v3", 64, steps=501_000, days=1.5)
    assert "infeasible" in small.problems[-1]
    assert not plan(PRESETS["8b"], "v3", 64, steps=521_000, days=23, remat="full").problems


def test_operations_and_traffic_are_what_a_compiler_counted():
    """137B on 1024 devices as 64 x 16: 2.1996e17 FLOPs a step; 50.9 GB on the data axis, 40 to 42 on the model axis."""
    found = plan(PRESETS["137b"], **PAPER, mesh=(1, 64, 16))
    assert found.flops_per_step == pytest.approx(2.1996e17, rel=2e-3)
    assert found.wire_bytes["data"] == pytest.approx(50.9e9, rel=0.03)
    assert found.wire_bytes["model"] == pytest.approx(41e9, rel=0.03)
    assert found.state_bytes == pytest.approx(0.513 * GIB, rel=0.02)
    assert found.mfu["none"] == pytest.approx(0.72, abs=0.01)
    assert found.mfu["none"] < found.mfu["half"] < found.mfu["all"] < 0.94


def test_the_balanced_mesh():
    assert balanced_mesh(1024, PRESETS["137b"]) == (64, 16)
    assert balanced_mesh(1, PRESETS["nano"]) == (1, 1)


def test_what_does_not_fit_says_why():
    (problem,) = plan(PRESETS["137b"], "v5e", 256, mesh=(1, 16, 16), remat="minimal").problems
    assert problem.startswith("memory:") and "remat" in problem
    assert plan(PRESETS["137b"], "v3", 1024, remat="minimal").problems == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chip_name": "v9"}, "no chip 'v9'"),
        ({"mesh": (1, 3, 5)}, "15 devices, expected 1024"),
        ({"mesh": (1, 4, 256)}, "heads = 128 does not divide into 256"),
    ],
)
def test_a_wrong_plan_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        plan(PRESETS["137b"], **{**PAPER, **change})


def test_flops_grow_with_the_sequence_by_attention_alone():
    config = PRESETS["8b"]
    more = flops_per_token(config, 2048) - flops_per_token(config, 1024)
    assert more == 12 * config.num_layers * 1024 * config.num_heads * config.d_head
