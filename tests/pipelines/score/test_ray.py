"""`vidcam score --engine ray` on a local cluster of two workers, which die while they work."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.dying_networks import MARK
from tests.helpers.nets import TINY_SPEC
from tests.helpers.videos import write_video

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def score(clips: Path, out: Path, model: str, *more: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: Ray starts others, and must end them."""
    variables = {"PYTHONPATH": str(ROOT), MARK: str(out.with_suffix(".died")), "RAY_ADDRESS": "local"}
    command = [sys.executable, "-m", "vidcam", "score", str(clips), "-o", str(out), "--model", model]
    options = ["--method", "gradcam", "--measures", "drop", "--threads", "1"]
    return subprocess.run(
        [*command, *options, *more],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        cwd=clips.parent,
        timeout=280,
    )


def test_workers_that_die_leave_the_table_of_one_machine_and_a_clip_that_kills_is_a_row(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    clips = write_set(tmp_path / "set", 12)
    height, width = TINY_SPEC.crop_size
    write_video(clips.parent / "white.mkv", np.full((24, height, width, 3), 255, np.uint8))
    rows = clips.read_text().splitlines()
    clips.write_text("\n".join([*rows[:6], "white.mkv,,red,white", *rows[6:], ""]))
    one = score(clips, tmp_path / "one", "tests.helpers.nets:hidden_model")
    assert one.returncode == 0, one.stderr
    cluster = score(clips, tmp_path / "ray", "tests.helpers.dying_networks:dying_model", "--engine", "ray")
    assert "12 of 13 clips scored, 1 failed" in cluster.stderr, cluster.stderr
    assert cluster.returncode == 1
    assert (tmp_path / "ray.died").exists()
    lines = [(tmp_path / name / "scores.csv").read_text().splitlines() for name in ("one", "ray")]
    assert [line for line in lines[1] if "white" not in line] == [line for line in lines[0] if "white" not in line]
    with (tmp_path / "ray" / "scores.csv").open(newline="") as file:
        (failed,) = [row for row in csv.DictReader(file) if row["path"] == "white.mkv"]
    assert (failed["status"], failed["reason"]) == ("failed", "the worker process died 3 times at this clip")
