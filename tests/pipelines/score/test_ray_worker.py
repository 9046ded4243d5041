"""What a worker of a Ray cluster does with a block, after deaths too. Ray itself is replaced."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import torch

from tests.helpers.nets import hidden_model
from vidcam.errors import InputError
from vidcam.pipelines.score import ray_worker
from vidcam.pipelines.score.attempts import Attempts
from vidcam.pipelines.score.clips import Entry, read_clips
from vidcam.pipelines.score.columns import score_columns, thetas_of
from vidcam.pipelines.score.local import LocalEngine
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.parts import part_schema
from vidcam.pipelines.score.ray_engine import ENTRY_SCHEMA, cut_blocks
from vidcam.pipelines.score.ray_worker import ClipWorker, WorkerSetup
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.run import score_set

QUICK = ScoreOptions(methods=("gradcam",), measures="drop")


class Handle:
    """A stand-in for the handle of an actor."""

    def __init__(self, actor: Any) -> None:
        for name in ("begin", "finish"):
            setattr(self, name, SimpleNamespace(remote=getattr(actor, name)))


def block_of(entries: Sequence[Entry]) -> pa.Table:
    return pa.Table.from_pylist([asdict(entry) for entry in entries], schema=ENTRY_SCHEMA)


@pytest.fixture
def worker(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ClipWorker, Attempts]:
    monkeypatch.setattr(ray_worker, "import_ray", lambda: SimpleNamespace(get=lambda value: value))
    schema = part_schema(score_columns(("drop",), thetas_of(("drop",))))
    attempts, threads = Attempts(), torch.get_num_threads()
    setup = WorkerSetup(hidden_model, QUICK, 4, threads, (), schema, Path.cwd())
    return ClipWorker(setup, Handle(attempts)), attempts


def test_a_block_gives_the_rows_of_one_machine(worker: tuple[ClipWorker, Attempts], manifest: Path) -> None:
    entries = read_clips(manifest, out=Path("out")).entries
    block = block_of(entries[:4])
    request, prepared = resolve(hidden_model(), QUICK, 4)
    local = [row for rows in LocalEngine(prepared, request, clips=9).rows(entries[:4]) for row in rows]
    scored = worker[0](block)
    assert scored.to_pylist() == pa.Table.from_pylist(local, schema=scored.schema).to_pylist()
    assert not worker[1]._begun  # all that was begun is finished


def test_entries_travel_whole(manifest: Path) -> None:
    clips = [{"path": "a.mp4", "start": 1.5, "label": "x", "group": "g", "boxes": "[]"}, 3, "b.mp4"]
    entries = read_clips(clips, out=manifest)
    table = pa.concat_tables(cut_blocks(entries.entries, 2))
    assert table.schema == ENTRY_SCHEMA
    assert table.to_pylist() == [asdict(entry) for entry in entries.entries]


def test_after_a_death_clips_go_one_at_a_time_and_the_one_at_fault_becomes_a_row(
    worker: tuple[ClipWorker, Attempts], manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WorkerDied(BaseException):
        """Stands for a process that is gone."""

    clip_worker, _ = worker
    entries = read_clips(manifest, out=Path("out")).entries
    block = block_of(entries[:4])
    whole, scored = clip_worker(block).to_pylist(), list[list[int]]()
    rows = LocalEngine.rows

    def die_at_clip_1(engine: LocalEngine, some: Any) -> Any:
        scored.append([entry.index for entry in some])
        if any(entry.index == 1 for entry in some):
            raise WorkerDied
        return rows(engine, some)

    monkeypatch.setattr(LocalEngine, "rows", die_at_clip_1)
    for _ in range(4):
        with pytest.raises(WorkerDied):
            clip_worker(block)
    assert scored == [[0, 1, 2, 3], [0], [1], [0], [1], [0], [1]]
    after = clip_worker(block).to_pylist()
    failed = [row for row in after if row["clip"] == 1]
    assert [row["reason"] for row in failed] == ["the worker process died 3 times at this clip"]
    assert [row for row in after if row["clip"] != 1] == [row for row in whole if row["clip"] != 1]


def test_without_ray_one_sentence_says_what_to_install(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(InputError, match=r"needs Ray, which is missing: pip install 'vidcam\[ray\]'"):
        score_set(manifest, tmp_path / "out", ScoreOptions(engine="ray"), model=hidden_model())
    assert not (tmp_path / "out").exists()
