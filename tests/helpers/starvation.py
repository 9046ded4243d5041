"""Limits of the system for a process, as a starved machine has them; each is a `prepare` of tests.helpers.processes."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

_NOBODY = 65534
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2
_KEEP_CAPABILITIES = 8
_VERSION = 0x2008_0522


def few_descriptors(count: int) -> None:
    """At most `count` open files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def little_memory(mebibytes: int) -> None:
    """At most so much memory more than now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def no_more_threads() -> None:
    """No process or thread can be started."""
    _give_up_root(_DAC_OVERRIDE | _DAC_READ_SEARCH)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))


def nobody(home: Path) -> None:
    """Another user, whose home folder does not exist and cannot be made."""
    _give_up_root(_DAC_READ_SEARCH)
    for name in ("VIDCAM_CACHE", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME"):
        os.environ.pop(name, None)
    os.environ["HOME"] = str(home)


def _give_up_root(kept: int) -> None:
    """Become a user that limits hold for, who may still read all files: the packages may lie in root's folder."""
    if os.geteuid() != 0:
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header, sets = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    if library.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
