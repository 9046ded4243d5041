"""Sources as they are typed on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.odd import h264, images
from tests.helpers.web import Page, serving
from vidcam.cli.app import main

OPTIONS = ["--model", "tests.helpers.nets:brightness_model", "--method", "gradcam", "--outputs", "data"]

Capture = pytest.CaptureFixture[str]


def test_a_pattern_of_images(tmp_path: Path, capsys: Capture) -> None:
    folder, out = images(tmp_path / "shots", count=20), str(tmp_path / "out")
    (folder / "frame7.png").unlink()
    assert main(["explain", str(folder / "frame%d.png"), "-o", out, "--fps", "10", *OPTIONS]) == 0
    output = capsys.readouterr()
    assert "  warning: number 7 is missing; the images around a hole follow each other directly" in output.err
    assert [Path(line).name for line in output.out.splitlines()] == [
        "shots.npz",
        "shots_evidence.csv",
        "shots.toml",
        "shots.json",
    ]
    assert main(["render", f"{out}/shots.npz", "-o", str(tmp_path / "p.png")]) == 0
    capsys.readouterr()
    assert main(["explain", str(folder / "frame%03d.png"), "-o", out, *OPTIONS]) == 2
    assert "the folder has 'frame1.png': use" in capsys.readouterr().err


def test_an_address_is_fetched(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = h264(tmp_path / "served.mp4").read_bytes()
    with serving({"/clips/video.mp4": Page(content)}) as site:
        address, out = f"{site.address}/clips/video.mp4", str(tmp_path / "out")
        assert main(["explain", address, "-o", out, *OPTIONS]) == 0
        assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == [
            "video.npz",
            "video_evidence.csv",
            "video.toml",
            "video.json",
        ]
        assert main(["render", f"{out}/video.npz", "-o", str(tmp_path / "p.png"), "--source", address]) == 0
        capsys.readouterr()
        assert main(["explain", f"{site.address}/none.mp4", "-o", out, *OPTIONS]) == 2
        assert f"'{site.address}/none.mp4' does not exist (404 Not Found)" in capsys.readouterr().err


def test_a_live_stream_is_refused_with_what_to_type(tmp_path: Path, capsys: Capture) -> None:
    assert main(["explain", "rtsp://camera.local/1", "-o", str(tmp_path / "out"), *OPTIONS]) == 2
    said = capsys.readouterr().err
    assert "live stream; record a part of it: ffmpeg -i rtsp://camera.local/1 -t 60 -c copy clip.mp4" in said
