"""The command line keeps freed memory; other programs do not."""

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

    is_kept = {call}
    before = resident()
    block = np.ones(64 << 20, np.uint8)
    del block
    print(is_kept, resident() - before)
    """


def is_glibc() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not is_glibc(), reason="only for glibc")
@pytest.mark.parametrize("is_called", [True, False])
def test_a_freed_block_stays_after_the_call(is_called: bool) -> None:
    program = PROGRAM.format(call="keep_freed_memory()" if is_called else "False")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    is_kept, megabytes = done.stdout.split()
    assert is_kept == str(is_called)
    assert (int(megabytes) > 48) == is_called


def test_other_libraries_and_systems_are_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def test_the_command_line_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(entry, "exit_on_signals", lambda: done.append("signals"))
    monkeypatch.setattr(entry, "keep_freed_memory", lambda: done.append("memory"))
    monkeypatch.setattr("vidcam.cli.app.program", lambda: done.append("run"))
    program: Callable[[], object] = entry.program  # its type says that it never returns, but here it does
    program()
    assert done == ["signals", "memory", "run"]
