"""`vidcam explain --engine ray`: the order of the videos, and a local cluster of two workers, which die."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.helpers.dying_networks import MARK
from tests.helpers.nets import TINY_SPEC
from tests.helpers.videos import noise_frames, write_video
from vidcam.errors import RunError
from vidcam.pipelines.explain.ray_videos import RayVideos, VideoWorker
from vidcam.system.progress import silent

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("a/clip.mkv", "b/clip.mkv", "other.mkv")


class ActorDiedError(Exception):
    """As Ray's RayActorError."""


class FakeRay:
    """Finishes the work that was begun last, and notes what is at work at once."""

    exceptions = SimpleNamespace(RayActorError=ActorDiedError, RayError=ActorDiedError)

    def __init__(self) -> None:
        self.at_work: list[list[str]] = []

    def wait(self, refs: list[Path], *, num_returns: int) -> tuple[list[Path], list[Path]]:
        assert num_returns == 1
        self.at_work.append(sorted(map(str, refs)))
        return refs[-1:], refs[:-1]

    def get(self, ref: Path) -> object:
        if ref.name == "deadly.mkv":
            raise ActorDiedError
        return RunError("no video") if ref.name == "text.mkv" else f"result of {ref}"


def actor() -> Any:
    return SimpleNamespace(result=SimpleNamespace(remote=lambda video: video))


def test_results_come_in_any_order_and_one_name_is_written_once_at_a_time() -> None:
    ray, videos = FakeRay(), [*map(Path, NAMES), Path("text.mkv"), Path("deadly.mkv")]
    results = RayVideos[str](ray, [actor(), actor()], videos, silent)
    assert [results.result(video) for video in videos[:3]] == [f"result of {video}" for video in videos[:3]]
    with pytest.raises(RunError, match="no video"):
        results.result(videos[3])
    with pytest.raises(RunError, match="the worker process died 3 times at this video"):
        results.result(videos[4])
    assert not any({"a/clip.mkv", "b/clip.mkv"} <= set(names) for names in ray.at_work)
    assert ray.at_work[0] == ["a/clip.mkv", "other.mkv"]


def test_a_video_that_is_named_twice_has_two_results() -> None:
    ray, videos = FakeRay(), [Path("text.mkv"), Path("clip.mkv"), Path("clip.mkv")]
    results = RayVideos[str](ray, [actor(), actor()], videos, silent)
    with pytest.raises(RunError, match="no video"):
        results.result(videos[0])
    assert [results.result(video) for video in videos[1:]] == ["result of clip.mkv"] * 2


def test_a_worker_returns_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)

    def work(worker: str, video: Path) -> str:
        if video.name == "text.mkv":
            raise RunError("no video")
        return f"{worker}: {video}"

    made = VideoWorker(lambda: "worker", work, 1, tmp_path)
    assert Path.cwd() == tmp_path
    assert made.result(Path("clip.mkv")) == "worker: clip.mkv"
    assert isinstance(made.result(Path("text.mkv")), RunError)


def explain(folder: Path, out: str, mark: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: Ray starts others, and must end them."""
    command = [sys.executable, "-m", "vidcam", "explain", *NAMES, *more, "-o", out, "--threads", "1"]
    model = ["--model", "tests.helpers.dying_networks:dying_model", "--method", "gradcam"]
    variables = {"PYTHONPATH": str(ROOT), MARK: str(mark), "RAY_ADDRESS": "local"}
    return subprocess.run(
        [*command, *model],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        cwd=folder,
        timeout=280,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.ray
@pytest.mark.slow
def test_workers_that_die_leave_the_files_of_one_machine(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    height, width = TINY_SPEC.crop_size
    for number, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name, noise_frames(24, height, width, seed=number))
    write_video(tmp_path / "white.mkv", np.full((24, height, width, 3), 255, np.uint8))
    shutil.copy(__file__, tmp_path / "text.mp4")
    (tmp_path / "mark").touch()  # nobody dies
    one = explain(tmp_path, "one", tmp_path / "mark")
    assert one.returncode == 0, one.stderr
    cluster = explain(tmp_path, "ray", tmp_path / "died", "text.mp4", "white.mkv", "--engine", "ray")
    assert cluster.returncode == 1, cluster.stderr
    assert (tmp_path / "died").exists()
    assert "white.mkv: error: the worker process died 3 times at this video" in cluster.stderr
    assert "text.mp4: error: " in cluster.stderr
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")
    with (tmp_path / "ray" / "summary.csv").open(newline="") as file:
        assert [row["result"] for row in csv.DictReader(file)] == ["clip.json", "clip-2.json", "other.json"]
