"""`vidcam demo` without a network and without a cache."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import Command
from vidcam.cli.app import main
from vidcam.errors import InputError, WeightsError
from vidcam.models.weights import fetch
from vidcam.pipelines import demo
from vidcam.pipelines.demo import demo_input
from vidcam.video.reader import open_video


def without_network() -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network here")

    socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse  # type: ignore[method-assign,assignment]


def test_the_offline_demo_needs_no_network_and_no_cache(tmp_path: Path) -> None:
    """Run in a subprocess, with a cache folder that cannot be created."""
    (tmp_path / "file").touch()
    environment = {name: str(tmp_path / "file" / "x") for name in ("VIDCAM_CACHE", "TORCH_HOME")}
    arguments = ["demo", "--offline", "-o", str(tmp_path / "out")]
    done = Command(arguments, tmp_path, environment=environment, prepare=without_network).wait()
    assert done.code == 0, done.err
    paths = [Path(line) for line in done.out.splitlines()]
    assert [path.name for path in paths] == [
        "made-clip_circle-clockwise_neutral-gradcam.mp4",
        "made-clip_circle-clockwise_gradcam.mp4",
        "made-clip.png",
        "made-clip.html",
        "made-clip.npz",
        "made-clip_evidence.csv",
        "made-clip.json",
    ]
    document = json.loads(paths[-1].read_text(encoding="utf-8"))
    assert document["model"]["name"] == "tiny_r3d"
    assert document["top5"][0]["label"] == "circle clockwise"
    assert document["top5"][0]["probability"] > 0.5
    assert "cannot be had" not in done.err
    with open_video(tmp_path / "out" / "made-clip.mp4") as reader:
        assert (reader.info.frame_count, reader.info.size) == (48, (256, 256))


def test_without_a_download_the_demo_uses_the_offline_input_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = [sys.executable, "-c", "import sys; print('ERROR: no matching distribution'); sys.exit(1)"]
    monkeypatch.setattr(fetch, "_pip_command", lambda: failing)
    assert main(["demo", "-o", str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    assert output.err.splitlines()[0].startswith(
        "vidcam: using tiny_r3d and a synthetic clip instead of I3D: roof-jump.mp4 cannot "
        "be downloaded (sports2d 0.8.34, 9 MB: no matching distribution) and is not in the cache folder"
    )
    assert output.out.count("made-clip") == 7


def test_the_synthetic_clip_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "load_model", lambda *_, **__: None)
    contents = [demo_input(tmp_path, offline=True).video.read_bytes() for _ in range(2)]
    assert contents[0] == contents[1]
    assert [path.name for path in tmp_path.iterdir()] == ["made-clip.mp4"]


def test_without_weights_the_demo_uses_the_offline_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, **_: object) -> object:
        if name == "i3d":
            raise WeightsError("no weights")
        return name

    monkeypatch.setattr(demo, "sample_clip", lambda _: tmp_path / "real.mp4")
    monkeypatch.setattr(demo, "load_model", load)
    chosen = demo_input(tmp_path, offline=False)
    assert str(chosen.model) == "tiny_r3d"
    assert chosen.video == tmp_path / "made-clip.mp4"
    assert chosen.note.endswith("instead of I3D: no weights")


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "load_model", lambda *_, **__: None)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/out cannot be written \(Not a directory\)"):
        demo_input(tmp_path / "file" / "out", offline=True)
