"""Freed memory stays with a process of vidcam's own, and with no other."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vidcam import __main__ as entry
from vidcam.system.memory import keep_freed_memory

PROGRAM = """if True:
    import os
    from pathlib import Path
    import numpy as np
    from vidcam.system.memory import keep_freed_memory

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

    kept = {call}
    before = resident()
    block = np.ones(64 << 20, np.uint8)
    del block
    print(kept, resident() - before)
    """


def is_glibc() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not is_glibc(), reason="only glibc is asked")
@pytest.mark.parametrize("is_asked", [True, False])
def test_a_freed_block_stays_where_it_is_asked_for(is_asked: bool) -> None:
    program = PROGRAM.format(call="keep_freed_memory()" if is_asked else "False")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    kept, megabytes = done.stdout.split()
    assert kept == str(is_asked)
    assert (int(megabytes) > 48) == is_asked


def test_other_libraries_and_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def test_it_is_asked_for_before_the_command_line_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(entry, "begin_process", lambda: done.append("signals"))
    monkeypatch.setattr(entry, "keep_freed_memory", lambda: done.append("memory"))
    monkeypatch.setattr("vidcam.cli.app.program", lambda: done.append("run"))
    program: Callable[[], object] = entry.program  # that does not return, but for this test
    program()
    assert done == ["signals", "memory", "run"]
