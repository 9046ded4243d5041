"""Keep freed memory for the next batch, if vidcam runs as a process of its own.

glibc allocates large blocks separately and returns each one to the system when it is freed. Then the kernel has to
clear all pages of the activations again for every forward pass. A process that exits after its work can keep the
memory.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of mallopt(3), from malloc.h."""

_MAX_INT = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory; return whether this worked. Other C libraries are not changed."""
    if sys.platform != "linux":
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 – only glibc has this function
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _MAX_INT))
