"""What runs in the actors of a Ray cluster: blocks of clips are scored as on one machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from vidcam.models.model import Model
from vidcam.pipelines.ray_cluster import MOST_ATTEMPTS, import_ray
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.columns import Row
from vidcam.pipelines.score.foreign_maps import ForeignMaps
from vidcam.pipelines.score.local import LocalEngine
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.rows import failed_row
from vidcam.pipelines.score.samples import Failure


@dataclass(frozen=True, slots=True, eq=False)
class WorkerSetup:
    """What every worker needs.

    Attributes:
        load: makes the model.
        options: of the run.
        batch_size: perturbed clips per forward pass.
        threads: threads of PyTorch.
        maps: maps of other tools.
        schema: columns of the parts.
        folder: working folder, from which relative paths start; each worker must see it.
    """

    load: Callable[[], Model]
    options: ScoreOptions
    batch_size: int
    threads: int
    maps: tuple[ForeignMaps, ...]
    schema: pa.Schema
    folder: Path


class ClipWorker:
    """Scores blocks of clips. Ray makes one in each actor, and calls it with the entries of a block.

    Args:
        setup: what it needs.
        attempts: handle of the actor of `Attempts`.
    """

    def __init__(self, setup: WorkerSetup, attempts: Any) -> None:
        os.chdir(setup.folder)
        torch.set_num_threads(setup.threads)
        request, prepared = resolve(setup.load(), setup.options, setup.batch_size, maps=setup.maps)
        self._engine = LocalEngine(prepared, request, clips=0)
        self._schema, self._attempts, self._ray = setup.schema, attempts, import_ray()

    def __call__(self, block: pa.Table) -> pa.Table:
        """Return the rows of the block's clips, with the columns of the parts."""
        entries = [Entry(**fields) for fields in block.to_pylist()]
        return pa.Table.from_pylist([row for rows in self._rows(entries) for row in rows], schema=self._schema)

    def _rows(self, entries: Sequence[Entry]) -> Iterator[list[Row]]:
        """Score the clips of a block; if a worker died in it before, one at a time, to find the clip at fault."""
        name = f"block {entries[0].index}"
        if not self._begin(name):
            yield from self._scored(entries)
        else:
            for entry in entries:
                yield from self._scored_alone(entry)
        self._ray.get(self._attempts.finish.remote(name))

    def _scored(self, entries: Sequence[Entry]) -> Iterator[list[Row]]:
        with closing(self._engine.rows(entries)) as rows:
            yield from rows

    def _scored_alone(self, entry: Entry) -> Iterator[list[Row]]:
        name = f"clip {entry.index}"
        if self._begin(name) >= MOST_ATTEMPTS:
            yield [failed_row(Failure(entry, f"the worker process died {MOST_ATTEMPTS} times at this clip"))]
            return
        yield from self._scored([entry])
        self._ray.get(self._attempts.finish.remote(name))

    def _begin(self, name: str) -> int:
        return int(self._ray.get(self._attempts.begin.remote(name)))
