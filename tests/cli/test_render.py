"""`vidcam render` on the command line: what is written, said and returned."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.processes import Command, run
from tests.helpers.saved import save_hot
from vidcam.cli.app import main
from vidcam.video.reader import open_video


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


def test_prints_the_path(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.mp4"
    assert main(["render", str(saved), "-o", str(out), "--style", "contour", "--end", "0.3", "--no-sound"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    with open_video(out) as reader:
        assert reader.info.frame_count == 7


@pytest.mark.parametrize("option", [("--captions", "none"), ("--style", "contour"), ("--no-sound",)])
def test_clips_of_a_set_are_not_drawn_in_another_way(
    option: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(tmp_path), "-o", str(tmp_path / "out"), "--worst", "2", *option]) == 2
    assert f"{option[0]} has no meaning with --from-scores" in capsys.readouterr().err


def test_one_document(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.gif"
    arguments = [
        "--height",
        "64",
        "--captions",
        "none",
        "--no-outline",
        "--strip",
        "--colormap",
        "viridis",
        "--json",
    ]
    assert main(["render", str(saved), "-o", str(out), *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"schema": 1, "path": str(out), "form": "gif", "frames": 24, "notes": []}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--style", "cubist"], "--style is 'cubist'; it must be one of overlay, map, side-by-side, contour, heat"),
        (["--height", "tall"], "Invalid value for '--height'"),
        (["--source", "nowhere.mp4"], "'nowhere.mp4' does not exist; expected a video file; check the path"),
    ],
)
def test_refusals_are_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(saved), "-o", str(tmp_path / "p.mp4"), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vidcam: error: {sentence}")
    assert list(tmp_path.iterdir()) == []


VIDEOS = [
    ("p.mp4", ()),
    ("p.mp4", ("--codec", "hevc")),
    ("p.mp4", ("--codec", "av1")),
    ("p.mp4", ("--codec", "vp9")),
    ("p.webm", ()),
    ("p.webm", ("--codec", "av1")),
    ("p.gif", ()),
    ("p.webp", ()),
    ("p", ()),
]
PICTURES = [("p.png", ()), ("p.jpg", ()), ("p.png", ("--form", "sheet"))]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), VIDEOS)
def test_killed_in_the_middle(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    saved, out, streams = save_hot(tmp_path, count=400), tmp_path / "out", tmp_path / "streams"
    out.mkdir()
    streams.mkdir()
    height = "480" if name.endswith((".gif", ".webp")) else "1080"
    command = Command(["render", str(saved), "-o", str(out / name), "--height", height, *options], streams)
    command.signal_when(lambda: any(out.iterdir()), signal.SIGTERM)
    done = command.wait()
    assert (done.code, done.out) == (130, "")
    assert done.err.lstrip() == "vidcam: interrupted; nothing half-written was left\n"
    assert os.listdir(out) == []  # noqa: PTH208


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), PICTURES)
def test_killed_while_a_picture_is_written(name: str, options: tuple[str, ...], saved: Path, tmp_path: Path) -> None:
    """Pictures come in one piece: the signal waits until it is there, or comes before it is begun."""
    out, streams = tmp_path / "out", tmp_path / "streams"
    out.mkdir()
    streams.mkdir()
    command = Command(["render", str(saved), "-o", str(out / name), "--height", "2160", *options], streams)
    command.signal_when(lambda: any(out.iterdir()), signal.SIGTERM)
    done = command.wait()
    assert done.code in {0, 130}
    assert [path.name for path in out.iterdir() if path.name != name] == []
    if (out / name).exists():
        with Image.open(out / name) as picture:
            picture.load()
    if done.code == 130:
        assert done.err.splitlines()[-1] == "vidcam: interrupted; nothing half-written was left"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [*VIDEOS, *PICTURES])
def test_a_full_disk(name: str, options: tuple[str, ...], saved: Path, tmp_path: Path) -> None:
    out, streams = tmp_path / "out", tmp_path / "streams"
    out.mkdir()
    streams.mkdir()
    done = run(["render", str(saved), "-o", str(out / name), "--captions", "none", *options], streams, most_bytes=300)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith(f"vidcam: error: writing '{name}' failed (File too large)")
    assert os.listdir(out) == []  # noqa: PTH208
