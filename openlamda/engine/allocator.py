"""What the C library does with memory that is freed. Knows nothing of models."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT_BYTES = 2**30


def keep_freed() -> None:
    """Let this process keep up to KEPT_BYTES that it has freed, where the C library is glibc. Else each computation's
    large blocks go back to the kernel, which clears every page of them again for the next: to `openlamda filter` a
    tenth of its CPU time.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
