"""Score clips on a Ray cluster: Ray Data sends blocks of clips to actors that each hold the model.

The actors score with the same code as one machine, and this process writes the same parts. A worker that dies is
started again, and its block is scored again. A clip at which workers died `MOST_ATTEMPTS` times becomes a failed row.
Ray Data holds back new blocks while the results of former ones wait.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict
from itertools import groupby

import pyarrow as pa

from vidcam.errors import RunError
from vidcam.foreign import first_line
from vidcam.pipelines.ray_cluster import actor_resources, cluster, import_ray, room_for_actors
from vidcam.pipelines.score.attempts import Attempts
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.columns import Row
from vidcam.pipelines.score.ray_worker import ClipWorker, WorkerSetup

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
        with cluster(ray):
            size = room_for_actors(ray, threads=self._setup.threads, is_gpu=self._is_gpu)
            attempts = ray.remote(num_cpus=0)(Attempts).remote()
            blocks = ray.data.from_arrow(cut_blocks(entries, size))
            scored = blocks.map_batches(
                ClipWorker,
                fn_constructor_args=(self._setup, attempts),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=size),
                **actor_resources(self._setup.threads, is_gpu=self._is_gpu),
            )
            try:
                for table in scored.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                    for _, of_clip in groupby(table.to_pylist(), key=lambda row: row["clip"]):
                        yield list(of_clip)
            except ray.exceptions.RayError as exc:
                raise RunError(f"Ray failed ({first_line(exc)}); the same command resumes the run") from exc


def cut_blocks(entries: Sequence[Entry], actors: int) -> list[pa.Table]:
    """Cut the clips into blocks, small ones of a small set, so that every actor has work."""
    size = max(1, min(BLOCK_CLIPS, len(entries) // (actors * _BLOCKS_PER_ACTOR)))
    pieces = (entries[start : start + size] for start in range(0, len(entries), size))
    return [pa.Table.from_pylist([asdict(entry) for entry in piece], schema=ENTRY_SCHEMA) for piece in pieces]
