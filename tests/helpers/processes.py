"""The command line in processes of its own, with torch loaded once: a server forks them, before any thread is there.

For what cannot be tried in the tests' own process: signals, limits of the system, what standard output gets.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["vidcam.cli.app", "vidcam.pipelines.explain.explainer", "tests.helpers.nets", "tests.helpers.odd"]
)
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: exit code, and what it wrote."""

    code: int
    out: str
    err: str


class Command:
    """A `vidcam` that runs.

    Args:
        arguments: of the command line.
        folder: takes the files with its output.
        most_bytes: no file can become larger, as on a full disk.
        environment: variables to set.
        prepare: called in the process before the command; a function of a module.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        *,
        most_bytes: int | None = None,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._streams = folder / "standard-output", folder / "standard-error"
        settings = (tuple(arguments), self._streams, most_bytes, dict(environment or {}), prepare)
        self._process: ForkServerProcess = SERVER.Process(target=_run, args=settings)
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def signal_when(self, is_time: Callable[[], object], *numbers: int, pause_seconds: float = 0.0) -> None:
        """Wait for a moment and send signals, one after the other."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not is_time():
            assert time.monotonic() < end, "the moment for the signal did not come"
            assert self._process.is_alive(), f"the command ended too early: {self._streams[1].read_text()}"
            time.sleep(0.001)
        os.kill(self.pid, numbers[0])
        for number in numbers[1:]:
            time.sleep(pause_seconds)
            with suppress(ProcessLookupError):  # it has ended already
                os.kill(self.pid, number)

    def wait(self) -> Done:
        """Its end; it is killed if it does not come."""
        self._process.join(_PATIENCE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            raise AssertionError("the command hangs")
        assert self._process.exitcode is not None
        out, err = (path.read_bytes().decode(errors="surrogateescape") for path in self._streams)
        return Done(self._process.exitcode, out, err)


def run(arguments: Sequence[str], folder: Path, *, most_bytes: int | None = None) -> Done:
    """Run a command to its end."""
    return Command(arguments, folder, most_bytes=most_bytes).wait()


def _run(
    arguments: Sequence[str],
    streams: tuple[Path, Path],
    most_bytes: int | None,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None,
) -> None:
    from vidcam.cli.app import main

    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, path in zip((1, 2), streams, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    if prepare is not None:
        prepare()
    if most_bytes is not None:  # Python ignores SIGXFSZ, so that writing fails with EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    sys.exit(main(arguments))
