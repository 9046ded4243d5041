"""`vidcam explain` with several models."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from vidcam.cli.app import main

POOLED, BRIGHT = "tests.helpers.nets:pooled_model", "tests.helpers.nets:brightness_model"
FOLDERS = ("tests.helpers.nets-pooled_model", "tests.helpers.nets-brightness_model")

Capture = pytest.CaptureFixture[str]


def explain(*arguments: object, models: tuple[str, ...] = (POOLED, BRIGHT)) -> int:
    named = [text for model in models for text in ("--model", model)]
    return main(["explain", *map(str, arguments), *named, "--method", "gradcam"])


def test_each_model_has_its_results_and_one_sheet_compares_them(video: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert explain(video, "-o", out, "--outputs", "sheet,data") == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[-2:] == [str(out / "video-models.png"), str(out / "video-models.json")]
    assert "correlation" in output.err
    assert {path.name for path in out.iterdir()} == {*FOLDERS, "video-models.png", "video-models.json"}
    document = json.loads((out / "video-models.json").read_text("utf-8"))
    assert document["files"] == ["video-models.png", "video-models.json"]
    assert document["source"]["path"] == "../video.mp4"
    for entry, folder in zip(document["models"], FOLDERS, strict=True):
        result = json.loads((out / entry["result"]).read_text("utf-8"))
        assert entry["result"] == f"{folder}/video.json"
        assert (entry["name"], entry["layer"]) == (result["model"]["name"], result["model"]["layer"])
        assert entry["top"] == result["top5"][0]
        assert entry["target"]["probability"] == result["targets"][0]["probability"]
        assert entry["method"] == "gradcam"
    (pair,) = document["agreement"]
    assert pair["models"] == [entry["name"] for entry in document["models"]]
    assert pair["frames"] == 50
    assert 0 <= pair["overlap"] <= 1
    assert explain(video, "-o", out, "--outputs", "sheet,data") == 2
    assert explain(video, "-o", out, "--outputs", "data", "--overwrite") == 0
    assert not (out / "video-models.png").exists()


def test_a_model_and_itself_under_two_names_agree_fully(video: Path, tmp_path: Path, capsys: Capture) -> None:
    models = (BRIGHT, "tests.helpers.nets:brightness_again")
    with pytest.MonkeyPatch.context() as patch:
        from tests.helpers import nets

        patch.setattr(nets, "brightness_again", nets.brightness_model, raising=False)
        assert explain(video, "-o", tmp_path / "out", "--outputs", "data", "--json", models=models) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    (pair,) = result["agreement"]
    assert pair["correlation"] == pytest.approx(1.0, abs=1e-6)
    assert pair["overlap"] == pytest.approx(1.0, abs=1e-6)


def test_several_videos_have_a_summary_for_each_model(video: Path, tmp_path: Path) -> None:
    second, out = Path(shutil.copy(video, tmp_path / "second.mp4")), tmp_path / "out"
    assert explain(video, second, "-o", out, "--outputs", "data") == 0
    for folder in FOLDERS:
        with (out / folder / "summary.csv").open(encoding="utf-8", newline="") as file:
            assert [row["result"] for row in csv.DictReader(file)] == ["video.json", "second.json"]
    assert (out / "second-models.json").is_file()


def test_one_video_needs_no_summary(video: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    other = out / FOLDERS[0] / "summary.csv"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    assert explain(video, "-o", out, "--outputs", "data") == 0
    assert other.read_text() == "mine"
    assert explain(video, Path(shutil.copy(video, tmp_path / "second.mp4")), "-o", out, "--overwrite") != 0
    assert "summary.csv is not a summary of vidcam" in capsys.readouterr().err
    assert not (out / FOLDERS[1] / "second.json").exists()


def test_the_sheet_can_be_a_vector_graphic(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert explain(video, "-o", out, "--outputs", "sheet", "--sheet-format", "svg") == 0
    assert (out / "video-models.svg").read_bytes().startswith(b"<?xml")
    assert (out / FOLDERS[0] / "video.svg").is_file()
    assert "video.svg" in json.loads((out / FOLDERS[0] / "video.json").read_text("utf-8"))["files"]


@pytest.mark.parametrize(
    ("options", "models", "message"),
    [
        (["-o", "out.mp4"], (POOLED, BRIGHT), "2 models need a folder for their results: pass -o FOLDER"),
        (["--outputs", "none"], (POOLED, BRIGHT), "2 models need a folder"),
        (["-o", "out"], (POOLED, POOLED), "name each model once"),
        (["-o", "out", "--only-wrong"], (POOLED, BRIGHT), "--only-wrong needs the true classes"),
        (["-o", "out", "--truth", "folders"], (POOLED, BRIGHT), "--truth takes one --model"),
        (["-o", "out", "--weights", "w.pt"], (POOLED, BRIGHT), "--weights FILE takes one --model"),
        (
            ["-o", "out", "--sheet-format", "tiff"],
            (POOLED,),
            "--sheet-format is 'tiff'; it must be one of png, svg, pdf",
        ),
    ],
)
def test_what_cannot_be_done(
    *,
    options: list[str],
    models: tuple[str, ...],
    message: str,
    video: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(video.parent)
    assert explain(video, *options, models=models) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()
