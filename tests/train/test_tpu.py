"""The estimate read out of a TPU program: loops multiply, collectives count by the bytes they send."""

import pytest

from openlamda.errors import UserError
from openlamda.train import tpu

PROGRAM = """HloModule jit_train_step

%region_0.add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(f32[] %a, f32[] %b)
}

%fused_computation.1 (p: bf16[8,128]) -> bf16[8,128] {
  ROOT %inner = bf16[8,128]{1,0} multiply(%p, %p), backend_config={"estimated_cycles":"999"}
}

%all-reduce-scatter.2 (p: bf16[64,128]) -> bf16[16,128] {
  %all-reduce.9 = bf16[64,128]{1,0} all-reduce(%p), replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%region_0.add
  ROOT %slice = bf16[16,128]{1,0} slice(%all-reduce.9)
}

%condition.3 (p: (s32[], bf16[8,128])) -> pred[] {
  %end = s32[]{:T(128)} constant(5)
  ROOT %less = pred[] compare(%i, %end), direction=LT
}

%body.4 (p: (s32[], bf16[8,128])) -> (s32[], bf16[8,128]) {
  %fusion.5 = bf16[8,128]{1,0} fusion(%x), calls=%fused_computation.1, backend_config={"estimated_cycles":"100"}
  %all-gather.6 = bf16[16,128]{1,0} all-gather(%x), replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_1'}
  %fusion.7 = bf16[16,128]{1,0} fusion(%y), calls=%all-reduce-scatter.2
}

ENTRY %main.8 (p: bf16[8,128]) -> bf16[8,128] {
  %while.1 = (s32[], bf16[8,128]) while(%tuple), condition=%condition.3, body=%body.4
  %all-reduce.2 = f32[10]{0} all-reduce(%z), replica_groups=[2,4]<=[8], to_apply=%region_0.add
  ROOT %copy.3 = bf16[8,128]{1,0} copy(%w), backend_config={"estimated_cycles":"7"}
}
"""


def test_cycles_count_as_often_as_their_loop_runs():
    assert tpu.cost(PROGRAM).cycles == 5 * 100 + 7


def test_collectives_count_what_a_device_sends():
    gathered = 16 * 128 * 2 * 1 / 2
    scattered = 64 * 128 * 2 * 3 / 4  # an all-reduce whose result is sliced sends half of one
    reduced = 2 * 10 * 4 * 3 / 4
    assert tpu.cost(PROGRAM).wire_bytes == {2: 5 * gathered, 4: 5 * scattered + reduced}


@pytest.mark.parametrize(("chip", "chips", "message"), [("v1", 4, "no chip 'v1'"), ("v3", 5, "5 v3 chips, expected")])
def test_what_cannot_be_compiled_for_is_refused(chip, chips, message):
    with pytest.raises(UserError, match=message):
        tpu.topology(chip, chips)
