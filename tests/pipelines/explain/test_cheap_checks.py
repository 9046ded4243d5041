"""Invalid input is refused before a model is loaded or downloaded."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.nets import brightness_model
from tests.pipelines.conftest import VideoMaker
from vidcam.cli.app import main
from vidcam.errors import InputError, MediaError, OutputError, VidcamError
from vidcam.pipelines.demo import demo_input
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.outputs import check_paths
from vidcam.pipelines.explain.request import ExplainOptions

ROOT = Path(__file__).resolve().parents[3]


class LoadedError(Exception):
    """Raised if a model is loaded or downloaded."""


@pytest.fixture(autouse=True)
def loads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LoadedError

    for place in ("explain.explainer.load_model", "demo.load_model", "demo.sample_clip"):
        monkeypatch.setattr(f"vidcam.pipelines.{place}", refuse)


def test_with_a_valid_video_the_model_is_loaded(make_video: VideoMaker, tmp_path: Path) -> None:
    with pytest.raises(LoadedError):
        explain_video(make_video(), tmp_path / "out")
    with pytest.raises(LoadedError):
        main(["explain", str(make_video()), "-o", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def text(folder: Path) -> Path:
    (folder / "notes.mp4").write_text("no video")
    return folder / "notes.mp4"


def hollow(folder: Path) -> Path:
    (folder / "hollow.mp4").touch()
    return folder / "hollow.mp4"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "nope.mp4", "does not exist"),
        (pipe, "is a pipe"),
        (empty, "a folder without images"),
        (text, "cannot be read as video"),
        (hollow, "cannot be read as video"),
    ],
)
def test_an_invalid_source_is_refused(
    make: Callable[[Path], Path], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path)
    with pytest.raises(MediaError, match=reason):
        explain_video(source, tmp_path / "out")
    assert main(["explain", str(source), str(source), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count(reason) == 2
    assert not (tmp_path / "out").exists()


def test_an_unusable_folder_is_refused(make_video: VideoMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "deep" / "out"):
        for refused in (
            lambda out=out: explain_video(make_video(), out),
            lambda out=out: demo_input(out, offline=False),
        ):
            with pytest.raises(OutputError, match=r"cannot be written \(Not a directory\)"):
                refused()
    assert main(["demo", "-o", str(tmp_path / "file")]) == 2
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(make_video: VideoMaker, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\)"):
        explain_video(make_video(), tmp_path / "locked" / "out")


def test_existing_results_are_refused(make_video: VideoMaker, tmp_path: Path) -> None:
    source, out = make_video(), tmp_path / "out"
    explain_video(source, out, model=brightness_model(), outputs=("data",))
    with pytest.raises(OutputError, match=r"holds results of video\.mp4 already; pass --overwrite"):
        explain_video(source, out)
    with pytest.raises(LoadedError):
        explain_video(source, out, overwrite=True)
    with pytest.raises(LoadedError):
        explain_video(make_video("other"), out)


@pytest.mark.parametrize(
    "options",
    [
        *(["--method", "gradcaam"], ["--outputs", "video"], ["--fill", "pink"], ["--fusion", "median"]),
        *(["--score", "log"], ["--decoder", "vlc"], ["--score-scale", "-1"], ["--precision", "int8"]),
    ],
)
def test_an_unknown_name_is_refused(options: list[str], make_video: VideoMaker, tmp_path: Path) -> None:
    assert main(["explain", str(make_video()), "-o", str(tmp_path / "out"), *options]) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"overlap": 3.0}, r"overlap is 3\.0, expected 0 <= overlap < 1"),
        ({"overlap": math.nan}, r"overlap is nan"),
        ({"start": 3.0, "end": 2.0}, r"--start \(3 s\) must be before --end \(2 s\)"),
        ({"start": 3.0, "end": 3.0}, r"--start \(3 s\) must be before --end \(3 s\)"),
        ({"end": 0.0}, r"must be before --end \(0 s\)"),
        ({"start": -1.0}, r"--start is -1 s; it must be 0 or more"),
        ({"start": math.inf}, r"--start is inf s"),
        ({"end": -1.0}, r"--end is -1 s"),
        ({"at": -1.0}, r"--at is -1 s"),
        ({"fps": -3}, r"fps is -3, expected more than 0 and at most 1000"),
        ({"fps": math.nan}, r"fps is nan"),
        ({"fps": 1e-9}, r"fps is 1e-09, expected more than 0"),
    ],
)
def test_an_invalid_number_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ExplainOptions(**options)


@pytest.mark.parametrize(
    "options",
    [
        *("--overlap 3", "--start 3 --end 2", "--start -1", "--end 0", "--at -1", "--fps -3", "--fps 25"),
        *("--target nosuch", "--target 400", "--target yoga --target nosuch", "--contrast nosuch", "--contrast -1"),
        *("--target yoga --contrast yoga", "--target per-window --contrast yoga", "--model tiny_r3d --target yoga"),
        *("--labels LABELS --target yoga", "--model torchvision:resnet50 --target nosuch"),
    ],
)
def test_invalid_options_are_refused_before_a_model_is_loaded(
    options: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    names = tmp_path / "labels.txt"
    names.write_text("\n".join(f"class {index}" for index in range(400)))
    given = options.replace("LABELS", str(names)).split()
    assert main(["explain", str(make_video()), "-o", str(tmp_path / "out"), *given]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        *("--target yoga --target 399 --target per-window", "--contrast yoga", "--start 0 --end 1", "--overlap 0"),
        *("--model tiny_r3d --target 0", "--labels LABELS --target CLASS-7"),
        *("--model somewhere:factory --target nosuch", "--model c3d_ucf101 --weights w.pth --target nosuch"),
    ],
)
def test_with_valid_options_the_model_is_loaded(options: str, make_video: VideoMaker, tmp_path: Path) -> None:
    names = tmp_path / "labels.txt"
    names.write_text("\n".join(f"class-{index}" for index in range(400)))
    given = options.replace("LABELS", str(names)).split()
    with pytest.raises(LoadedError):
        main(["explain", str(make_video()), "-o", str(tmp_path / "out"), *given])


@pytest.mark.parametrize("options", [{"targets": ("nosuch",)}, {"contrast": 400}])
def test_an_unknown_class_is_refused(options: dict[str, Any], make_video: VideoMaker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'nosuch' not found|class index 400 is out of range"):
        explain_video(make_video(), tmp_path / "out", **options)


def test_fps_is_refused_for_a_video(make_video: VideoMaker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fps is for images and arrays"):
        explain_video(make_video(), tmp_path / "out", fps=25)


def test_an_unknown_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device 'tpu' is unknown"):
        demo_input(tmp_path, offline=False, device="tpu")


def test_an_address_and_an_open_file_are_not_opened(tmp_path: Path) -> None:
    check_paths("memory://nowhere.mp4", tmp_path, overwrite=False)
    with (tmp_path / "a.mp4").open("wb+") as file:
        check_paths(file, tmp_path, overwrite=False)
    with pytest.raises(VidcamError, match="does not exist"):
        check_paths("nowhere.mp4", tmp_path, overwrite=False)


def test_a_missing_video_is_refused_without_importing_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from vidcam.cli.app import main\n"
        "code = main(['explain', 'nope.mp4', '-o', sys.argv[1]])\n"
        "assert code == 2 and 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'nope.mp4' does not exist" in done.stderr
