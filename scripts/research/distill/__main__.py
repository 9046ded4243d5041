"""Train students by the losses of GC++ table 4 and others, and print the tables.

    scripts/run research.distill run --out FOLDER                      # the core rows, 20 paired seeds
    scripts/run research.distill run --out FOLDER --rows more          # normalised maps, attention transfer, cosine
    scripts/run research.distill run --out FOLDER --clips 500          # another size of data
    scripts/run research.distill tables FOLDER                         # what has been run so far
    scripts/run research.distill plan FOLDER                           # time of a run, smallest difference to be seen

Each run is one line of FOLDER/runs.jsonl. A run that is there is not repeated, so that an interrupted command goes on
where it was. Seeds are in the outer loop: a stop leaves complete pairs. Several processes may share the folder if their
seeds differ.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import torch

from scripts.research.distill.measures import Examination, load_examination, measured
from scripts.research.distill.results import PILOT, RUNS, append, is_done, read
from scripts.research.distill.rows import CORE, MORE, Row
from scripts.research.distill.tables import plan_text, tables_text
from scripts.research.distill.training import Lessons, Setting, load_lessons, trained

GROUPS = {"core": CORE, "more": MORE, "pilot": CORE[:1]}


@click.group()
def distill() -> None:
    """Learning from explanations on the motion set."""


@distill.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of clips and results.")
@click.option("--rows", "group", type=click.Choice(list(GROUPS)), default="core", show_default=True)
@click.option("--seeds", nargs=2, default=(0, 20), show_default=True, help="First seed, and the one behind the last.")
@click.option("--clips", default=Setting().clips, show_default=True, help="Training clips.")
@click.option("--steps", default=Setting().steps, show_default=True, help="Batches of 32 clips.")
def run(*, out: Path, group: str, seeds: tuple[int, int], clips: int, steps: int) -> None:
    """Train and measure, one line a run; the pilot goes to a file of its own."""
    torch.set_num_threads(1)
    setting, path = Setting(clips, steps), out / (PILOT if group == "pilot" else RUNS)
    lessons = load_lessons(out, clips)
    examination = load_examination(out, lessons.teacher)
    for seed in range(*seeds):
        for row in GROUPS[group]:
            if is_done(read(path), row.name, seed, setting):
                continue
            append(path, _result(row, seed, setting, lessons, examination))


def _result(row: Row, seed: int, setting: Setting, lessons: Lessons, examination: Examination) -> dict[str, Any]:
    started, used = time.monotonic(), time.process_time()
    student, terms = trained(row, seed, setting, lessons)
    trained_in, wall = time.process_time() - used, time.monotonic() - started
    result = {
        "row": row.name, "seed": seed, "clips": setting.clips, "steps": setting.steps,
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
        "cpu_seconds": round(trained_in, 2), "seconds": round(wall, 2), "terms": terms,
        "teacher_error": examination.teacher_error, **measured(student, examination),
    }  # fmt: skip
    click.echo(json.dumps({key: value for key, value in result.items() if key != "wrong"}), err=True)
    return result


@distill.command()
@click.argument("folder", type=click.Path(path_type=Path))
def tables(folder: Path) -> None:
    """Print the tables of the runs in Markdown."""
    click.echo(tables_text(read(folder / RUNS)))


@distill.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seeds", default=20, show_default=True, help="Pairs that are planned.")
def plan(folder: Path, seeds: int) -> None:
    """Print the time of a run and the smallest difference that the planned pairs can show."""
    click.echo(plan_text(read(folder / PILOT), seeds))


if __name__ == "__main__":
    distill()
