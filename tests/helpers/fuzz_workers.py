"""Processes that use hostile files, made anew when one is taken down or does not end."""

from __future__ import annotations

import multiprocessing.process
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from tests.helpers.fuzz import MOST_SECONDS, Case, Outcome, use
from tests.helpers.processes import SERVER

_START_SECONDS = 120.0


def _work(connection: Connection, threads: int, folder: str) -> None:
    """Receive cases and send their outcomes, until there are no more. All files lie in one folder."""
    import torch

    torch.set_num_threads(threads)
    tempfile.tempdir = folder
    connection.send(None)
    while (case := connection.recv()) is not None:
        with tempfile.TemporaryDirectory() as empty:
            outcome = use(case, Path(empty))
        connection.send(outcome)


class Worker:
    """A process that uses one file after another, made anew when one takes it down or does not end."""

    def __init__(self, *, hang_seconds: float = MOST_SECONDS, threads: int = 1) -> None:
        self._hang_seconds = hang_seconds
        self._threads = threads
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def outcome(self, case: Case) -> Outcome:
        """What becomes of one file."""
        connection = self.connection()
        connection.send(case)
        try:
            if not connection.poll(self._hang_seconds):
                self.stop()
                return Outcome(case, "", "hang", f"no end after {self._hang_seconds:g} s", self._hang_seconds)
            outcome: Outcome = connection.recv()
        except (EOFError, ConnectionResetError):
            return Outcome(case, "", "crash", f"the process ended with {self.stop()}")
        return outcome

    @property
    def process_id(self) -> int:
        """Id of the process, which must have been started."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def stop(self) -> int | None:
        """End the process; returns its exit code, negative for a signal."""
        if self._process is None or self._connection is None or self._folder is None:
            return None
        self._process.join(0.5)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._connection.close()
        code = self._process.exitcode
        self._folder.cleanup()
        self._process = self._connection = self._folder = None
        return code

    def connection(self) -> Connection:
        """Return the connection to the process, which is started if there is none."""
        if self._connection is not None:
            return self._connection
        self._connection, far = SERVER.Pipe()
        self._folder = tempfile.TemporaryDirectory(prefix="vidcam-fuzz-")
        self._process = SERVER.Process(target=_work, args=(far, self._threads, self._folder.name), daemon=True)
        self._process.start()
        far.close()
        if not self._connection.poll(_START_SECONDS):
            self.stop()
            raise TimeoutError(f"a worker has not started within {_START_SECONDS} s")
        self._connection.recv()
        return self._connection


def run(cases: Sequence[Case], *, workers: int | None = None) -> Iterator[Outcome]:
    """The outcomes of all cases, in their order.

    Args:
        cases: any number.
        workers: processes at once; None: one for each core.
    """
    count = max(1, min(workers or os.cpu_count() or 1, len(cases)))
    idle: SimpleQueue[Worker] = SimpleQueue()
    everyone = [Worker() for _ in range(count)]
    for worker in everyone:
        idle.put(worker)
    try:
        with ThreadPoolExecutor(count) as pool:
            yield from pool.map(lambda case: _run_one(case, idle), cases)
    finally:
        for worker in everyone:
            worker.stop()


def _run_one(case: Case, idle: SimpleQueue[Worker]) -> Outcome:
    worker = idle.get()
    try:
        return worker.outcome(case)
    finally:
        idle.put(worker)
