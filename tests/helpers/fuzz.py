"""Damaged files through the whole pipeline, each in a process that may crash or hang: what becomes of them.

A case is right if it ends as `explained`, as `explained, with a warning` or as `refused` by an error of ours in one
line, nothing left behind. Whatever else happens is one of BAD: `crash` (the process died), `hang` (over the bound),
`memory` (over the bound), `traceback` (another exception, a Python warning), `wrong` (files left behind or missing,
an overlay with other frames than the video).
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

import av

from tests.helpers.mutations import CONTAINERS, mutated, write_case
from tests.helpers.nets import pooled_model
from vidcam.errors import VidcamError
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.system.json_files import as_plain
from vidcam.video.reader import Decoder, probe

GOOD = ("explained", "explained, with a warning", "refused")
BAD = ("crash", "hang", "memory", "traceback", "wrong")

HANG_SECONDS = 20.0
MEMORY_BYTES = 1 << 30
_START_SECONDS = 120.0
_SHEET_EVERY = 32


@dataclass(frozen=True, slots=True)
class Case:
    """One damaged file.

    Attributes:
        container: of mutations.CONTAINERS.
        seed: of the mutation.
        decoder: what reads it.
    """

    container: str
    seed: int
    decoder: Decoder = "auto"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: which.
        mutation: the name of what was done to the file.
        kind: one of GOOD or BAD.
        text: the error or the warnings.
        seconds: that it took.
    """

    case: Case
    mutation: str
    kind: str
    text: str
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether that must not happen."""
        return self.kind not in GOOD


class _Said(logging.Handler):
    """What the library says of a file while it goes on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())


def watch_process(stray: list[str]) -> None:
    """Make warnings errors, and file what is raised where nobody can catch it."""
    warnings.simplefilter("error")
    sys.unraisablehook = lambda unraisable: stray.append(repr(unraisable.exc_value))
    threading.excepthook = lambda args: stray.append(repr(args.exc_value))


class Driver:
    """Explains damaged files in this process, which a damaged file may take down."""

    def __init__(self) -> None:
        self._stray: list[str] = []
        watch_process(self._stray)
        self._said = _Said()
        logging.getLogger("vidcam").addHandler(self._said)
        model = pooled_model()
        self._model = replace(model, spec=replace(model.spec, resize=36))  # keeps proportions, as real models do
        self._explainers: dict[tuple[Decoder, bool], Explainer] = {}

    def outcome(self, source: Path, folder: Path, *, decoder: Decoder, has_sheet: bool = False) -> tuple[str, str]:
        """Kind and text for one file, explained into a folder that is not there yet."""
        before = _peak_bytes()
        self._stray.clear()
        self._said.sentences.clear()
        try:
            kind, text = self._explained(source, folder, self._explainer(decoder, has_sheet=has_sheet))
        except VidcamError as exc:
            kind, text = _refused(exc, folder)
        except BaseException:  # a fuzz test is there to see them
            kind, text = "traceback", traceback.format_exc()
        if self._stray:
            return "traceback", "; ".join(self._stray)
        if _peak_bytes() - before > MEMORY_BYTES:
            return "memory", f"{(_peak_bytes() - before) / 2**30:.1f} GiB more than before; {kind}: {text}"
        return kind, text

    def _explainer(self, decoder: Decoder, *, has_sheet: bool) -> Explainer:
        outputs = ("overlay", "data", "sheet") if has_sheet else ("overlay", "data")
        if (decoder, has_sheet) not in self._explainers:
            options = ExplainOptions(methods=("gradcam++",), outputs=outputs, captions="none", decoder=decoder)
            self._explainers[decoder, has_sheet] = Explainer(self._model, options)
        return self._explainers[decoder, has_sheet]

    def _explained(self, source: Path, folder: Path, explainer: Explainer) -> tuple[str, str]:
        result = explainer.explain(source, folder)
        expected, found = _expected_files(result), sorted(path.name for path in folder.iterdir())
        if found != expected:
            return "wrong", f"expected {expected}, found {found}"
        count, drawn = probe(source).frame_count, _packets(folder / _overlay(result))
        if drawn != count:
            return "wrong", f"the overlay has {drawn} frames, the video {count}"
        said = "; ".join([*result.warnings, *self._said.sentences])
        return ("explained, with a warning" if said else "explained"), said


def _refused(error: VidcamError, folder: Path) -> tuple[str, str]:
    if "\n" in str(error):
        return "traceback", f"an error of more than one line: {error!r}"
    if folder.exists():
        return "wrong", f"{sorted(path.name for path in folder.iterdir())} left behind after {error}"
    return "refused", f"{type(error).__name__}: {error}"


def _expected_files(result: ExplainedVideo) -> list[str]:
    json.dumps(as_plain(result.document), allow_nan=False)
    return sorted(result.document.files)


def _overlay(result: ExplainedVideo) -> str:
    name: str = as_plain(result.document)["targets"][0]["methods"]["gradcam++"]["overlay"]
    return name


def _packets(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _work(connection: Connection, threads: int) -> None:
    """What a worker does: cases in, (kind, text) out, until there are no more."""
    import torch

    torch.set_num_threads(threads)
    driver = Driver()
    connection.send(None)
    while (message := connection.recv()) is not None:
        source, folder, decoder, has_sheet = message
        connection.send(driver.outcome(source, folder, decoder=decoder, has_sheet=has_sheet))


class Worker:
    """A process that explains one file after another, made anew when one takes it down or does not end."""

    def __init__(self, *, hang_seconds: float, threads: int = 1) -> None:
        self._hang_seconds = hang_seconds
        self._threads = threads
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def outcome(self, source: Path, folder: Path, *, decoder: Decoder, has_sheet: bool) -> tuple[str, str]:
        """Kind and text for one file."""
        connection = self.connection()
        connection.send((source, folder, decoder, has_sheet))
        try:
            if not connection.poll(self._hang_seconds):
                self.stop()
                return "hang", f"no end after {self._hang_seconds} s"
            kind, text = connection.recv()
        except (EOFError, ConnectionResetError):
            return "crash", f"the process ended with {self.stop()}"
        if kind == "memory":  # the peak is known once for a process
            self.stop()
        return str(kind), str(text)

    @property
    def process_id(self) -> int:
        """Of the process; it must have been started."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def stop(self) -> int | None:
        """End the process; its exit code, negative for a signal."""
        if self._process is None or self._connection is None:
            return None
        self._process.join(0.5)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._connection.close()
        code = self._process.exitcode
        self._process = self._connection = None
        return code

    def connection(self) -> Connection:
        """To the process, started if there is none."""
        if self._connection is not None:
            return self._connection
        context = multiprocessing.get_context("spawn")
        self._connection, far = context.Pipe()
        self._process = context.Process(target=_work, args=(far, self._threads), daemon=True)
        self._process.start()
        far.close()
        if not self._connection.poll(_START_SECONDS):
            self.stop()
            raise TimeoutError(f"a worker has not started within {_START_SECONDS} s")
        self._connection.recv()
        return self._connection


def cases_for(seeds: Iterable[int], *, decoder: Decoder = "auto", container: str | None = None) -> list[Case]:
    """A case for each seed, the containers in turn unless one is named."""
    return [Case(container or CONTAINERS[seed % len(CONTAINERS)], seed, decoder) for seed in seeds]


def run(cases: Sequence[Case], *, workers: int | None = None, hang_seconds: float = HANG_SECONDS) -> Iterator[Outcome]:
    """The outcomes of all cases, in their order.

    Args:
        cases: any number.
        workers: processes at once; None: one for each core.
        hang_seconds: longer than that is a hang.
    """
    count = min(workers or os.cpu_count() or 1, len(cases))
    idle: SimpleQueue[Worker] = SimpleQueue()
    everyone = [Worker(hang_seconds=hang_seconds) for _ in range(count)]
    for worker in everyone:
        idle.put(worker)
    try:
        with ThreadPoolExecutor(count) as pool:
            yield from pool.map(lambda case: _run_one(case, idle), cases)
    finally:
        for worker in everyone:
            worker.stop()


def _run_one(case: Case, idle: SimpleQueue[Worker]) -> Outcome:
    mutation, content = mutated(case.container, case.seed)
    worker = idle.get()
    try:
        with tempfile.TemporaryDirectory(prefix="vidcam-fuzz-") as temporary:
            folder = Path(temporary)
            source = write_case(case.container, content, folder)
            worker.connection()
            started = time.perf_counter()
            has_sheet = case.seed % _SHEET_EVERY == 0
            kind, text = worker.outcome(source, folder / "out", decoder=case.decoder, has_sheet=has_sheet)
            return Outcome(case, mutation, kind, text, time.perf_counter() - started)
    finally:
        idle.put(worker)
