"""What the system refuses this process: open files, memory or threads.

Without them, other code fails with other words: a video "cannot be read", a library is "not found". So an error is
blamed on a file only if the system still gives all three.
"""

from __future__ import annotations

import errno
import mmap
import os
from threading import Thread

from vidcam.errors import RunError

_NEEDED_BYTES = 64 << 20
"""What decoding or a batch needs at least."""

DESCRIPTORS = "too many open files; allow more (ulimit -n) and run again"
MEMORY = "not enough memory; free some, or use a smaller video or --batch-size"
THREADS = "the system starts no more threads; close some programs, or raise the limit (ulimit -u)"
EITHER = "the system refuses memory or threads; close some programs and run again"
"""For an error that comes of either, when the system is not short of it any more."""


def shortage() -> str | None:
    """Return a sentence about what the system refuses now; None if it refuses nothing."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        if exc.errno in (errno.EMFILE, errno.ENFILE):
            return DESCRIPTORS
    try:
        mmap.mmap(-1, _NEEDED_BYTES).close()  # reserved, not used
    except (OSError, MemoryError):
        return MEMORY
    try:
        thread = Thread(target=int)
        thread.start()
    except RuntimeError:
        return THREADS
    thread.join()
    return None


def require_no_shortage(path: str) -> None:
    """Blame the system, not a file that could not be read, if the system is short of something.

    Raises:
        RunError: it is.
    """
    if (sentence := shortage()) is not None:
        raise RunError(f"{path!r} cannot be read: {sentence}")
