from __future__ import annotations

import errno
import mmap
import os
from threading import Thread
from typing import Any

import pytest

from vidcam.errors import RunError
from vidcam.system import shortage
from vidcam.system.shortage import DESCRIPTORS, MEMORY, THREADS, require_no_shortage

CASES: list[tuple[Any, str, Exception, str]] = [
    (os, "open", OSError(errno.EMFILE, "Too many open files"), DESCRIPTORS),
    (mmap, "mmap", OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
    (Thread, "start", RuntimeError("can't start new thread"), THREADS),
]


@pytest.mark.parametrize(("owner", "name", "error", "sentence"), CASES)
def test_what_the_system_refuses_is_named(
    owner: Any, name: str, error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        assert shortage.shortage() == sentence
        with pytest.raises(RunError, match=r"'a\.mp4' cannot be read: "):
            require_no_shortage("a.mp4")
    require_no_shortage("a.mp4")
