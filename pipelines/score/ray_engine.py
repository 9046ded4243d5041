"""Score clips on a Ray cluster: Ray Data sends blocks of clips to actors that each hold the model.

The actors score with the same code as one machine, and this process writes the same parts. A worker that dies is
started again, and its block is scored again. A clip at which workers died `MOST_ATTEMPTS` times becomes a failed row.
Ray Data holds back new blocks while the results of former ones wait.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from typing import Any

import pyarrow as pa

from vidcam.errors import InputError, RunError
from vidcam.foreign import first_line
from vidcam.pipelines.score.attempts import Attempts
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.columns import Row
from vidcam.pipelines.score.ray_worker import ClipWorker, WorkerSetup, import_ray

BLOCK_CLIPS = 16
"""Most clips of a block; it is what is scored again if a worker dies."""

ENTRY_SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        *((name, pa.string()) for name in ("source", "name")),
        ("start_seconds", pa.float64()),
        *((name, pa.string()) for name in ("label", "group", "boxes", "problem")),
    ]
)
"""The fields of `Entry` as columns."""

_BLOCKS_PER_ACTOR = 4
_STORE_BYTES = 200 << 20
"""Object store of a cluster that is started here. It holds rows and paths, no pixels."""


class RayEngine:
    """Scores clips on the cluster that RAY_ADDRESS names or that runs here, else on one of this machine alone."""

    def __init__(self, setup: WorkerSetup, *, is_gpu: bool) -> None:
        """Make the engine; each actor gets a GPU, or as many cores as it has threads."""
        self._setup, self._is_gpu = setup, is_gpu
        self.forwards = (0, 0)

    def rows(self, entries: Sequence[Entry]) -> Generator[list[Row], None, None]:
        """Yield the rows of each clip, in order.

        Raises:
            InputError: Ray is not installed, or the cluster has too few cores or no GPU.
            RunError: Ray failed.
        """
        ray = import_ray()
        with _cluster(ray):
            size = self._actors(ray)
            attempts = ray.remote(num_cpus=0)(Attempts).remote()
            blocks = ray.data.from_arrow(cut_blocks(entries, size))
            scored = blocks.map_batches(
                ClipWorker,
                fn_constructor_args=(self._setup, attempts),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=size),
                num_cpus=0 if self._is_gpu else self._setup.threads,
                num_gpus=1 if self._is_gpu else 0,
            )
            try:
                for table in scored.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                    for _, of_clip in groupby(table.to_pylist(), key=lambda row: row["clip"]):
                        yield list(of_clip)
            except ray.exceptions.RayError as exc:
                raise RunError(f"Ray failed ({first_line(exc)}); the same command resumes the run") from exc

    def _actors(self, ray: Any) -> int:
        """Return how many actors the cluster has room for."""
        resources = ray.cluster_resources()
        what, needs = ("GPU", 1) if self._is_gpu else ("CPU", self._setup.threads)
        has = resources.get(what, 0)
        if has < needs:
            raise InputError(f"the Ray cluster has {has:g} {what}s, an actor needs {needs}; pass a smaller --threads")
        return int(has // needs)


@contextmanager
def _cluster(ray: Any) -> Iterator[None]:
    """Connect to a cluster; one that is started here ends with the block."""
    is_own = not ray.is_initialized()
    if is_own:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:
            ray.init(include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
    context = ray.data.DataContext.get_current()
    former = context.enable_progress_bars, context.execution_options.preserve_order
    context.enable_progress_bars, context.execution_options.preserve_order = False, True
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars, context.execution_options.preserve_order = former
        if is_own:
            ray.shutdown()


def cut_blocks(entries: Sequence[Entry], actors: int) -> list[pa.Table]:
    """Cut the clips into blocks, small ones of a small set, so that every actor has work."""
    size = max(1, min(BLOCK_CLIPS, len(entries) // (actors * _BLOCKS_PER_ACTOR)))
    pieces = (entries[start : start + size] for start in range(0, len(entries), size))
    return [pa.Table.from_pylist([asdict(entry) for entry in piece], schema=ENTRY_SCHEMA) for piece in pieces]
