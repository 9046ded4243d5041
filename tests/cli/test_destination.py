"""`vidcam explain -o`: a folder, or one file and nothing beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.odd import images
from vidcam.cli.app import main
from vidcam.video.reader import open_video

BRIGHT = "tests.helpers.nets:brightness_model"

Capture = pytest.CaptureFixture[str]


def explain(*arguments: object) -> int:
    return main(["explain", *map(str, arguments), "--model", BRIGHT])


def test_a_file_gets_the_overlay_and_nothing_stands_beside_it(video: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out.mp4"
    assert explain(video, "-o", out) == 0
    output = capsys.readouterr()
    assert output.out == f"{out}\n"
    assert output.err.splitlines()[0] == (
        "vidcam: out.mp4 shows gradcam; choose another with --method, or pass a folder for all"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "video.mp4"]
    with open_video(out) as reader:
        assert reader.info.frame_count == 50


def test_the_file_is_the_overlay_of_a_folder(video: Path, tmp_path: Path, capsys: Capture) -> None:
    options = ("--method", "layercam", "--target", "1")
    assert explain(video, "-o", tmp_path / "out.mp4", *options) == 0
    assert "shows" not in capsys.readouterr().err
    assert explain(video, "-o", tmp_path / "out", *options) == 0
    (overlay,) = (tmp_path / "out").glob("*.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == overlay.read_bytes()


def test_the_document_names_the_file(video: Path, tmp_path: Path, capsys: Capture) -> None:
    assert explain(video, "-o", tmp_path / "out.mp4", "--outputs", "map", "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["folder"] == str(tmp_path)
    assert result["source"]["path"] == "video.mp4"
    assert result["files"] == ["out.mp4"]
    method = result["targets"][0]["methods"]["gradcam"]
    assert (method["overlay"], method["map"]) == (None, "out.mp4")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "gradcam,cam"], "-o names a file, but 2 methods were given; pass a folder"),
        (["--target", "0", "--target", "1"], "-o names a file, but 2 targets were given; pass a folder"),
        (["--target", "above:0.2"], "-o names a file, but --target above:0.2 can be several classes; pass a folder"),
        (["--outputs", "overlay,data"], "-o names a file, but --outputs is overlay,data; pass a folder"),
    ],
)
def test_a_file_holds_one_result(
    arguments: list[str], sentence: str, video: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert explain(video, "-o", tmp_path / "out.mp4", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_a_file_holds_one_video(video: Path, tmp_path: Path, capsys: Capture) -> None:
    assert explain(video, video, "-o", tmp_path / "out.mp4") == 2
    assert "-o names a file, but 2 videos were given; pass a folder" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["gif", "svg", "pdf"])
def test_other_endings_are_for_render(ending: str, video: Path, tmp_path: Path, capsys: Capture) -> None:
    assert explain(video, "-o", tmp_path / f"out.{ending}") == 2
    assert f"-o out.{ending}: explain writes .mp4" in capsys.readouterr().err


def test_a_file_is_replaced_only_with_overwrite(video: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out.mp4"
    out.write_text("mine")
    assert explain(video, "-o", out) == 2
    assert out.read_text() == "mine"
    assert "--overwrite" in capsys.readouterr().err
    assert explain(video, "-o", out, "--overwrite") == 0
    assert out.stat().st_size > 1000


def test_a_failure_leaves_no_file(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidcam.errors import EncodeError

    def fail(*_: object, **__: object) -> None:
        raise EncodeError("the disk is full")

    monkeypatch.setattr("vidcam.pipelines.explain.result.draw_videos", fail)
    assert explain(video, "-o", tmp_path / "out.mp4") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_without_a_destination(video: Path, capsys: Capture) -> None:
    assert explain(video) == 2
    assert "-o is missing: pass a folder or a file" in capsys.readouterr().err


def test_a_folder_of_that_name_stays_a_folder(video: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    assert explain(video, "-o", tmp_path / "out.mp4", "--outputs", "data") == 0
    assert (tmp_path / "out.mp4" / "video.json").is_file()


def test_methods_separated_by_commas(video: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ("--outputs", "data", "--json", "--method", "gcam, layercam", "--method", "gradcam++")
    assert explain(video, "-o", tmp_path / "out", *arguments) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert list(result["targets"][0]["methods"]) == ["gradcam", "layercam", "gradcam++"]


def test_a_folder_of_videos(video: Path, tmp_path: Path, capsys: Capture) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    images(clips / "shots", count=3)  # a folder inside is not entered
    for name in ("clip10.mp4", "clip2.mp4", ".hidden.mp4"):
        (clips / name).write_bytes(video.read_bytes())
    for name in ("notes.txt", "cover.png"):
        (clips / name).write_text("no video")
    assert explain(clips, video, clips, "-o", tmp_path / "out", "--outputs", "data") == 0
    output = capsys.readouterr()
    stems = [Path(line).stem for line in output.out.splitlines() if line.endswith(".json")]
    assert stems == ["clip2", "clip10", "video"]
    assert f"vidcam: {clips}: skipped 2 files (cover.png, notes.txt), which are no video" in output.err


def test_a_folder_of_images_is_one_video_beside_others(video: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = images(tmp_path / "shots", count=20)
    (folder / "notes.txt").write_text("no image")
    assert explain(video, folder, "-o", tmp_path / "out", "--outputs", "data") == 0
    output = capsys.readouterr()
    assert [Path(line).name for line in output.out.splitlines() if line.endswith(".json")] == [
        "video.json",
        "shots.json",
    ]
    assert "skipped" not in output.err


def test_a_broken_video_in_a_folder_does_not_stop_the_others(video: Path, tmp_path: Path, capsys: Capture) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a.mp4").write_text("no video")
    (clips / "b.mp4").write_bytes(video.read_bytes())
    assert explain(clips, "-o", tmp_path / "out", "--outputs", "data") == 1
    output = capsys.readouterr()
    assert f"{clips / 'a.mp4'}: error: " in output.err
    assert (tmp_path / "out" / "b.json").is_file()


def test_an_empty_folder(tmp_path: Path, capsys: Capture) -> None:
    assert explain(tmp_path, "-o", tmp_path / "out") == 2
    assert "is a folder without images" in capsys.readouterr().err
