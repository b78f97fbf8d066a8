"""Memory that is freed is kept."""

import platform
import subprocess
import sys

import pytest

# the pages that are new to a process as it fills a block again and again, each freed before the next
FILLS = """
import resource
import numpy as np
from openlamda.engine.allocator import keep_freed
if {kept}:
    keep_freed()
def fill():
    np.ones(2**24)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(kept: bool) -> int:
    return int(subprocess.check_output([sys.executable, "-c", FILLS.format(kept=kept)]))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_a_block_that_was_freed_is_used_again_as_it_lies():
    assert 20 * new_pages(kept=True) < new_pages(kept=False)
