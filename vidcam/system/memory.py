"""Freed memory kept for the next batch, in a process of vidcam's own.

glibc takes large blocks from the system and gives them back one by one: every forward pass then has all of its
activations cleared by the kernel anew, page by page. A process that ends with its job may as well keep them.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of mallopt(3), from malloc.h."""

_LARGEST_INT = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed; whether it does. Nothing but glibc is asked."""
    if sys.platform != "linux":
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 – other libraries have no such name
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))
