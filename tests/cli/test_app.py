"""The command line: what is printed where, and the exit codes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.nets import brightness_model
from tests.helpers.odd import images
from tests.helpers.processes import Command
from vidcam import __version__
from vidcam.cli.app import main

BRIGHT = "tests.helpers.nets:brightness_model"
POOLED = "tests.helpers.nets:pooled_model"

Capture = pytest.CaptureFixture[str]


def test_explain_prints_paths_on_standard_output_and_the_rest_on_standard_error(
    video: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["explain", str(video), "-o", str(tmp_path / "out"), "--model", BRIGHT, "--captions", "none"]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        str(tmp_path / "out" / name)
        for name in (
            "video_bright-thing_gradcam.mp4",
            "video_bright-thing_neutral-gradcam.mp4",
            "video.png",
            "video.html",
            "video.npz",
            "video_evidence.csv",
            "video.toml",
            "video.json",
        )
    ]
    assert all(Path(line).is_file() for line in output.out.splitlines())
    lines = output.err.splitlines()
    assert lines[0].endswith("video.mp4: 3 windows, explained for 'Bright thing'")
    assert [line.split(":")[0] for line in lines[1:3]] == ["  gradcam", "  neutral-gradcam"]  # their verdicts
    assert "  Bright thing: 1.00000" in lines[3:]


def test_options_reach_the_pipeline(video: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ["explain", str(video), "-o", str(tmp_path / "out"), "--model", POOLED, "--method", "gcam", "--json"]
    more = ["--target", "two", "--target", "2", "--contrast", "one", "--layer", "block1/2", "--at", "0.5"]
    assert main([*arguments, *more, "--outputs", "map, data", "--fill", "blur", "--batch-size", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    (result,) = document["results"]
    assert document["failed"] == []
    assert [target["label"] for target in result["targets"]] == ["two", "three"]
    assert result["targets"][0]["contrast"] == "one"
    assert list(result["targets"][0]["methods"]) == ["gradcam"]
    assert result["model"]["layer"] == "block1.2"
    assert result["windows"][0]["start_seconds"] == 0.5
    assert result["fill"] == "blur"
    assert result["runtime"]["batch_size"] == 2
    assert result["files"][:2] == ["video_two-vs-one_gradcam_map.mp4", "video_three-vs-one_gradcam_map.mp4"]
    assert result["files"][2:] == ["video.npz", "video_evidence.csv", "video.toml", "video.json"]


def enter(folder: Path) -> None:
    """Go to a folder that is not on the path."""
    os.chdir(folder)
    assert not {"", str(folder)} & set(sys.path)


def test_a_model_in_the_current_folder(video: Path, tmp_path: Path) -> None:
    """Through the installed command too, not only with python -m, which puts the folder on the path."""
    (tmp_path / "mynet.py").write_text("from tests.helpers.nets import brightness_model as factory\n")
    arguments = ["explain", str(video), "-o", str(tmp_path / "out"), "--model", "mynet:factory", "--outputs", "data"]
    done = Command(arguments, tmp_path, prepare=partial(enter, tmp_path)).wait()
    assert done.code == 0, done.err


def test_being_terminated_leaves_nothing(
    video: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("vidcam.pipelines.explain.explainer.analyse", terminate)
    assert main(["explain", str(video), "-o", str(tmp_path / "out"), "--model", BRIGHT]) == 130
    assert not (tmp_path / "out").exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_bad_video_does_not_stop_the_others(video: Path, tmp_path: Path, capsys: Capture) -> None:
    missing = tmp_path / "missing.mp4"
    arguments = ["explain", str(missing), str(video), "-o", str(tmp_path / "out"), "--model", BRIGHT]
    assert main([*arguments, "--outputs", "data"]) == 1
    output = capsys.readouterr()
    assert "missing.mp4" in output.err
    assert output.out.splitlines() == [
        str(tmp_path / "out" / name)
        for name in ("video.npz", "video_evidence.csv", "video.toml", "video.json", "summary.csv")
    ]
    assert main([*arguments, "--outputs", "data", "--overwrite", "--json"]) == 1
    (failed,) = json.loads(capsys.readouterr().out)["failed"]
    assert failed["path"] == str(missing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "i3dd"], "error: model 'i3dd' not found; the nearest are 'i3d'"),
        (["--model", BRIGHT, "--method", "cam++"], "error: method 'cam++' not found"),
        (["--model", BRIGHT, "--target", "yoga"], "error: label 'yoga' not found"),
        (["--model", BRIGHT, "--device", "tpu"], "error: "),
        (["--model", BRIGHT, "--overlap", "2"], "error: overlap is 2"),
        (["--model", BRIGHT, "--at", "soon"], "'soon' is not a valid float"),
        (["--model", BRIGHT, "--fps", "1/0"], "'1/0' is no rate; expected a number such as 29.97"),
        (["--model", BRIGHT, "--fps", "10"], "fps is for images and arrays; leave it out"),
        (["--nonsense"], "No such option"),
    ],
)
def test_unusable_arguments_exit_with_2(
    arguments: list[str], message: str, video: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["explain", str(video), "-o", str(tmp_path / "out"), *arguments]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.out == ""
    assert not (tmp_path / "out").exists()


def test_warnings_are_said(tmp_path: Path, capsys: Capture) -> None:
    folder = images(tmp_path / "shots", count=20)
    arguments = ["explain", str(folder), "-o", str(tmp_path / "out"), "--model", BRIGHT, "--outputs", "data"]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert "  warning: no frame rate was given: 20 images shown at 25 fps" in said
    assert main([*arguments, "--overwrite", "--fps", "30000/1001"]) == 0
    assert "warning:" not in capsys.readouterr().err


def test_failing_while_running_exits_with_1(
    video: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidcam.errors import EncodeError

    def fail(*_: object, **__: object) -> None:
        raise EncodeError("the disk is full")

    monkeypatch.setattr("vidcam.pipelines.explain.result.draw_videos", fail)
    assert main(["explain", str(video), "-o", str(tmp_path / "out"), "--model", BRIGHT]) == 1
    assert capsys.readouterr().err == "vidcam: error: the disk is full\n"


def test_interrupting_exits_with_130(
    video: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vidcam.pipelines.explain.explainer.analyse", interrupt)
    assert main(["explain", str(video), "-o", str(tmp_path / "out"), "--model", BRIGHT]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_models(capsys: Capture) -> None:
    assert main(["models"]) == 0
    table, said = capsys.readouterr()
    assert table.splitlines()[1].split()[0] == "i3d"
    assert "swin3d_t" in table
    assert max(map(len, table.splitlines())) <= 120
    assert all(form in said for form in ("torchvision:NAME", "hf:FOLDER", "timm:NAME", "pytorchvideo:NAME"))
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 17
    assert rows[0]["input"] == [16, 224, 224]
    assert rows[0]["fps"] == 12.5
    assert rows[0]["cached"] is False
    assert rows[1] == {
        "name": "r3d_18",
        "task": "action recognition",
        "dataset": "Kinetics-400",
        "classes": 400,
        "input": [16, 112, 112],
        "fps": 15.0,
        "layer": "layer4",
        "weights": "torchvision KINETICS400_V1",
        "licence": "none stated (torchvision: BSD-3-Clause)",
        "recipe": "https://github.com/pytorch/vision/tree/main/references/video_classification",
        "parameters": 33371472,
        "download_megabytes": 133.5,
        "cached": False,
    }
    assert (rows[7]["name"], rows[7]["task"], rows[7]["classes"]) == (
        "efficientnet_lite0",
        "image classification",
        1000,
    )
    assert [(row["name"], row["cached"]) for row in rows[8:10]] == [("c3d_sports1m", False), ("c3d_ucf101", False)]
    assert [row["parameters"] for row in rows[8:10]] == [79_991_015, 78_409_573]
    assert [(row["name"], row["cached"], row["licence"]) for row in rows[10:]] == [
        ("tiny_r3d", True, "MIT"),
        ("tiny_c3d", True, "MIT"),
        ("tiny_vit", True, "MIT"),
        ("tiny_vit_cls", True, "MIT"),
        ("tiny_gap", True, "MIT"),
        ("tiny_vgg", True, "MIT"),
        ("tiny_captioner", True, "MIT"),
    ]


def test_layers(capsys: Capture) -> None:
    assert main(["layers", POOLED, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["layer"] for row in rows][-2:] == ["block2", "dropout"]
    assert rows[-2] == {
        "layer": "block2",
        "kind": "Sequential",
        "channels": 8,
        "grid": [4, 16, 16],
        "stride_frames": 2.0,
        "stride_pixels": [2.0, 2.0],
        "default": True,
    }
    assert main(["layers", POOLED, "--all"]) == 0
    assert "block1.1" in capsys.readouterr().out
    assert main(["layers", "i4d"]) == 2


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vidcam, version {__version__}\n"


def test_progress_is_shown_on_a_terminal_only_after_two_seconds(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidcam.cli.console import Bar

    now = [100.0]
    monkeypatch.setattr("vidcam.cli.console.time.monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Bar() as bar:
        for seconds, is_shown in ((0.0, False), (1.9, False), (2.1, True)):
            now[0] = 100.0 + seconds
            bar.progress("decoding [1]", seconds, 100)
            assert bar._bar.live.is_started == is_shown
        bar.progress("drawing", 1, None)  # the next stage goes on where the one before was shown
        assert bar._bar.live.is_started
        bar.progress("drawing", 2, 4)
        (task,) = bar._bar.tasks
        assert (task.description, task.completed, task.total) == ("drawing", 2, 4)
        bar.clear()
        bar.progress("drawing", 1, 4)
        assert not bar._bar.live.is_started
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    capsys.readouterr()
    with Bar() as bar:
        bar.progress("decoding", 1, 100)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["explain", "--help"], ["models"]])
def test_help_and_lists_import_no_torch(arguments: list[str]) -> None:
    program = (
        "import sys; from vidcam.cli.app import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'av', 'matplotlib'} & set(sys.modules), 'heavy imports'; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_demo(video: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.pipelines.demo.sample_clip", lambda _progress: video)
    monkeypatch.setattr("vidcam.pipelines.demo.load_model", lambda *_, **__: brightness_model())
    for _ in range(2):  # the second run replaces the first
        assert main(["demo", "-o", str(tmp_path / "out")]) == 0
        assert sum(line.endswith(".mp4") for line in capsys.readouterr().out.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.weights
def test_a_real_clip_with_real_weights(tmp_path: Path, capsys: Capture, real_clip: Path) -> None:
    """One window of the demo clip: the man with his arms out, and the artifact named."""
    arguments = ["explain", str(real_clip), "-o", str(tmp_path / "out"), "--at", "1.28", "--method", "gradcam++"]
    assert main([*arguments, "--outputs", "data", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["top5"][0]["label"] == "hula hooping"
    assert result["top5"][0]["probability"] == pytest.approx(0.389, abs=0.01)
    assert result["targets"][0]["methods"]["gradcam++"]["artifact_share"] == 1.0
    assert "gradcam++ peaks where" in result["audit"][0]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("missing", "video"), 2),  # the worst counts, in any order
        (("video", "missing"), 2),
        (("missing", "absent"), 2),
        (("video", "video"), 1),
    ],
)
def test_when_all_videos_fail_the_worst_code_counts(
    names: tuple[str, str], code: int, video: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`video` fails while running, which is 1; a video that is not there is 2."""
    from vidcam.errors import EncodeError

    def fail(*_: object, **__: object) -> None:
        raise EncodeError("the disk is full")

    monkeypatch.setattr("vidcam.pipelines.explain.result.draw_videos", fail)
    videos = [str(video.with_stem(name)) for name in names]
    assert main(["explain", *videos, "-o", str(video.parent / "out"), "--model", BRIGHT, "--json"]) == code
    output = capsys.readouterr()
    document = json.loads(output.out)
    assert document["results"] == []
    assert [entry["path"] for entry in document["failed"]] == videos
    assert all(f"{path}: error: " in output.err for path in videos)
    assert ("the disk is full" in output.err) == ("video" in names)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("can't start new thread"), "refuses memory or threads"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "not enough memory"),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files; allow more"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "refuses memory or threads"),
    ],
)
def test_a_starved_process_says_so(
    error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr("vidcam.cli.app.commands.main", fail)
    assert main(["models"]) == 1
    assert sentence in capsys.readouterr().err
