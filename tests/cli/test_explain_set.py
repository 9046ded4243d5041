"""Several videos: the summary, the true classes, and only those that are predicted wrongly."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from vidcam.cli.app import main
from vidcam.cli.explain_set import ExplainSet
from vidcam.errors import OutputError

POOLED = "tests.helpers.nets:pooled_model"

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def videos(video: Path) -> tuple[Path, Path]:
    folder = video.parent / "one"
    folder.mkdir()
    return video, Path(shutil.copy(video, folder / "copy.mp4"))


def explain(*arguments: object) -> int:
    return main(["explain", *map(str, arguments), "--model", POOLED, "--outputs", "data", "--method", "gradcam"])


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_several_videos_have_a_summary(videos: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert explain(*videos, "-o", out) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[-1] == str(out / "summary.csv")
    assert "best seconds" in output.err
    first, second = rows(out)
    document = json.loads((out / "video.json").read_text("utf-8"))
    method = document["targets"][0]["methods"]["gradcam"]
    assert first == {
        "video": "../video.mp4",
        "label": document["top5"][0]["label"],
        "probability": f"{document['top5'][0]['probability']:.5f}",
        "truth": "",
        "correct": "",
        "best_seconds": f"{method['best_seconds']:.3f}",
        "verdict": method["verdict"]["word"],
        "audit": " ".join(document["audit"]),
        "result": "video.json",
    }
    assert second["result"] == "copy.json"
    best = document["evidence_seconds"].index(method["best_seconds"])
    assert method["evidence"][best] == max(method["evidence"]) > 0
    with (out / "video_evidence.csv").open(encoding="utf-8") as file:
        table = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    assert [row[0] for row in table] == pytest.approx(document["evidence_seconds"], abs=1e-6)
    assert [row[2] for row in table] == pytest.approx(method["evidence"], abs=2e-6)


def test_one_video_has_none(video: Path, tmp_path: Path) -> None:
    assert explain(video, "-o", tmp_path / "out") == 0
    assert not (tmp_path / "out" / "summary.csv").exists()


def test_rows_of_earlier_runs_stay(videos: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert explain(*videos, "-o", out) == 0
    third = Path(shutil.copy(videos[0], tmp_path / "third.mp4"))
    assert explain(third, videos[0], "-o", out, "--overwrite") == 0
    assert [row["result"] for row in rows(out)] == ["video.json", "copy.json", "third.json"]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "\x00", "video,label\nx,y\n"])
def test_a_foreign_summary_is_refused_before_anything_is_made(
    text: str, videos: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "summary.csv").write_text(text, "utf-8")
    assert explain(*videos, "-o", out) != 0
    assert "is not a summary of vidcam; choose another folder with -o" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["summary.csv"]


def top_class(video: Path, capsys: Capture) -> str:
    assert main(["explain", str(video), "--model", POOLED, "--outputs", "none", "--json"]) == 0
    label: str = json.loads(capsys.readouterr().out)["results"][0]["top5"][0]["label"]
    return label


def test_only_the_wrong_ones(videos: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    top = top_class(videos[0], capsys)
    other = next(label for label in ("one", "two", "three") if label != top)
    manifest = tmp_path / "clips.csv"
    manifest.write_text(f"path,label\nvideo.mp4,{top.upper()}\none/copy.mp4,{other}\n", "utf-8")
    out = tmp_path / "out"
    assert explain(*videos, "-o", out, "--truth", manifest, "--only-wrong", "--json") == 0
    output = capsys.readouterr()
    assert "video.mp4: predicted rightly, not explained" in output.err
    (result,) = json.loads(output.out)["results"]
    assert result["source"]["path"] == "../one/copy.mp4"
    assert [(row["video"], row["truth"], row["correct"], row["result"]) for row in rows(out)] == [
        ("../video.mp4", top, "yes", ""),
        ("../one/copy.mp4", other, "no", "copy.json"),
    ]


def test_the_document_is_printed_if_the_summary_cannot_be_written(
    videos: tuple[Path, Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OutputError("no room")

    monkeypatch.setattr("vidcam.pipelines.explain.summary.write_summary", fail)
    assert explain(*videos, "-o", tmp_path / "out", "--json") != 0
    output = capsys.readouterr()
    assert "no room" in output.err
    assert len(json.loads(output.out)["results"]) == 2


def test_the_truth_of_folders(videos: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    folder = tmp_path / "TWO"
    folder.mkdir()
    moved = Path(shutil.copy(videos[0], folder / "moved.mp4"))
    assert explain(videos[1], moved, "-o", out, "--truth", "folders") == 0
    capsys.readouterr()
    top = top_class(moved, capsys)
    assert [(row["truth"], row["correct"]) for row in rows(out)] == [
        ("one", "yes" if top == "one" else "no"),
        ("two", "yes" if top == "two" else "no"),
    ]


@pytest.mark.parametrize("options", [["--only-wrong"], ["--truth", "folders"]])
@pytest.mark.parametrize("result", [["-o", "out.mp4"], ["-o", "out", "--outputs", "none"]])
def test_a_truth_needs_results_in_a_folder(
    options: list[str], result: list[str], video: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(video.parent)
    assert main(["explain", str(video), "--model", POOLED, *result, *options]) == 2
    assert f"{options[0]} needs" in capsys.readouterr().err
    assert not Path(result[1]).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only-wrong"], "--only-wrong needs the true classes: pass --truth FILE or --truth folders"),
        (["--truth", "nowhere.csv"], "nowhere.csv"),
        (["--truth", "empty.csv"], "has no labels; it needs the columns path and label"),
        (["--truth", "two.csv"], "--truth has two labels for 'video.mp4'; keep one of them"),
        (["--truth", "other.csv"], "--truth has no label for 'video.mp4'; add a row for it"),
        (["--truth", "unknown.csv"], "label 'five' not found"),
    ],
)
def test_a_truth_that_cannot_be_used(
    options: list[str], message: str, video: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(video.parent)
    Path("empty.csv").write_text("path,label\nvideo.mp4,\n", "utf-8")
    Path("two.csv").write_text("path,label\nvideo.mp4,one\nvideo.mp4,two\n", "utf-8")
    Path("other.csv").write_text("path,label\nother.mp4,one\n", "utf-8")
    Path("unknown.csv").write_text("path,label\nvideo.mp4,five\n", "utf-8")
    assert explain(video, "-o", "out", *options) != 0
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_an_interrupted_run_keeps_the_rows_of_what_was_done(
    videos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidcam.pipelines.explain.explainer import Explainer

    explain_one = Explainer.explain

    def interrupted(self: Explainer, source: Path, out: Path) -> object:
        if source == videos[1]:
            raise KeyboardInterrupt
        return explain_one(self, source, out)

    monkeypatch.setattr(Explainer, "explain", interrupted)
    assert explain(*videos, "-o", tmp_path / "out") == 130
    assert [row["result"] for row in rows(tmp_path / "out")] == ["video.json"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--engine", "dask", "-o", "out"), "--engine is 'dask'; expected local or ray"),
        (("--threads", "0", "-o", "out"), "--threads is 0, expected 1 or more"),
        (("--engine", "ray", "-o", "out.mp4"), "--engine ray takes one --model and a folder for results"),
        (("--engine", "ray", "--model", "i3d", "-o", "out"), "--engine ray takes one --model and a folder"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(
    options: tuple[str, ...], sentence: str, video: Path, capsys: Capture
) -> None:
    assert explain(video, *options) == 2
    assert sentence in capsys.readouterr().err


def test_without_ray_the_package_is_named(
    video: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert explain(video, "-o", tmp_path / "out", "--engine", "ray") == 2
    assert "--engine ray needs Ray, which is missing: pip install 'vidcam[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_threads_of_pytorch_hold_for_the_command(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, former = list[int](), torch.get_num_threads()
    original = ExplainSet.run

    def run(*arguments: Any, **options: Any) -> int:
        threads.append(torch.get_num_threads())
        return original(*arguments, **options)

    monkeypatch.setattr(ExplainSet, "run", run)
    assert explain(video, "-o", tmp_path / "out", "--threads", former + 1) == 0
    assert (threads, torch.get_num_threads()) == ([former + 1], former)
