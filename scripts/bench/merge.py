"""Merge shards of made rows: peak memory and time. `python -m scripts.bench merge --rows 1000000`.

The rows are drawn at random, none was scored: only the merging is measured. Eight rows a clip, as four methods and four
controls have.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.bench.processes import ROOT, peak_megabytes
from vidcam.models.model import Forward
from vidcam.pipelines.score.clips import ClipSet
from vidcam.pipelines.score.columns import SCORED, score_columns, thetas_of
from vidcam.pipelines.score.merge import merge_shards
from vidcam.pipelines.score.options import CONTROLS, DEFAULT_METHODS, ScoreOptions
from vidcam.pipelines.score.parts import part_schema
from vidcam.pipelines.score.settings import Provenance, Settings, partial_settings
from vidcam.pipelines.score.shards import Shard, ShardRecord, write_record
from vidcam.pipelines.score.store import CLIPS_PER_PART
from vidcam.system.json_files import write_json

NAMES = (*DEFAULT_METHODS, *CONTROLS)
MEASURES = ("drop", "relative", "retention")


def settings() -> Settings:
    """Settings of a run that never was."""
    options = ScoreOptions(methods=DEFAULT_METHODS, measures=MEASURES, threads=1)
    return Settings(
        **asdict(partial_settings(options, ClipSet(()), model="made")),
        weights="none",
        labels="0",
        mean_cube=None,
        layer=("none",),
        batch_size=4,
        forward=Forward(),
        provenance=(Provenance(vidcam="0", torch="0", numpy="0", av="0", device="cpu"),),
    )


def made_part(first: int, last: int, schema: pa.Schema, generator: np.random.Generator) -> pa.Table:
    """Rows of the clips [first, last)."""
    clips, rows = range(first, last), (last - first) * len(NAMES)
    fixed: dict[str, object] = {
        "clip": np.repeat(clips, len(NAMES)),
        "path": [f"clip{clip:07}.mp4" for clip in clips for _ in NAMES],
        "group": [f"group{clip // 2:07}" for clip in clips for _ in NAMES],
        "class": [f"class {clip % 400}" for clip in clips for _ in NAMES],
        "label": [f"class {clip % 397}" for clip in clips for _ in NAMES],
        "method": [*NAMES] * len(clips),
        "status": [SCORED] * rows,
        "reason": pa.nulls(rows, pa.string()),
        "warnings": [""] * rows,
        "batch_size": [4] * rows,
        "content_hash": [""] * rows,
    }
    columns = []
    for field in schema:
        values = fixed.get(field.name)
        if values is None:
            values = generator.random(rows) if field.type == pa.float64() else generator.random(rows) < 0.5
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def make_shards(folder: Path, clips: int, shards: int) -> list[Path]:
    """Write the folders of all shards."""
    schema, generator = part_schema(score_columns(MEASURES, thetas_of(MEASURES))), np.random.default_rng(0)
    folders = []
    for number in range(1, shards + 1):
        out, shard = folder / f"shard{number}", Shard(number, shards)
        (out / "scores").mkdir(parents=True)
        write_json(out / "scores" / "settings.json", settings())
        write_record(out, ShardRecord(shard, clips, NAMES))
        span = shard.clips(clips)
        for first in span[::CLIPS_PER_PART]:
            last = min(first + CLIPS_PER_PART, span.stop)
            name = f"part-{first:08}-{last:08}.parquet"
            pq.write_table(made_part(first, last, schema, generator), out / "scores" / name)
        folders.append(out)
    return folders


def merged(folders: list[Path], out: Path) -> str:
    """Merge in this process; returns seconds and peak memory in MB before the table was read, and at the end."""
    started, before = time.perf_counter(), peak_megabytes()
    copied = [0.0, 0.0]

    def note(stage: str, _done: float, _total: float | None) -> None:
        if stage == "writing the table":
            copied[:] = time.perf_counter() - started, peak_megabytes()

    merge_shards(folders, out, progress=note)
    seconds = time.perf_counter() - started
    return f"{before:.0f} {copied[0]:.1f} {copied[1]:.0f} {seconds:.1f} {peak_megabytes():.0f}"


@click.command("merge")
@click.option("--rows", type=int, multiple=True, default=(100_000, 1_000_000), help="Rows of all shards; repeatable.")
@click.option("--shards", type=int, default=16, show_default=True, help="Number of shards.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the rows are made; default: a temporary folder.")
def merge(rows: tuple[int, ...], shards: int, folder: Path | None) -> None:
    """Merge shards of made rows, each number of rows in a process of its own."""
    for count in rows:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            made = make_shards(Path(place), count // len(NAMES), shards)
            command = [sys.executable, "-m", "scripts.bench.merge", *map(str, made), str(Path(place) / "out")]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        before, copy_seconds, copy_peak, seconds, peak = done.stdout.split()
        click.echo(
            f"{count} rows of {count // len(NAMES)} clips in {shards} shards: parts copied and checked in "
            f"{copy_seconds} s, peak {copy_peak} MB ({before} MB before); with table, intervals, plots and pages "
            f"{seconds} s, peak {peak} MB"
        )


if __name__ == "__main__":
    print(merged([Path(name) for name in sys.argv[1:-1]], Path(sys.argv[-1])))
