"""`--outputs none` and `--target above:P`: what follows from the probabilities of a video."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.nets import pooled_model
from vidcam.cli.app import main
from vidcam.models.model import Model
from vidcam.results.io import load
from vidcam.results.video import VideoExplanation

POOLED = "tests.helpers.nets:pooled_model"

Capture = pytest.CaptureFixture[str]


def explain(*arguments: object) -> int:
    return main(["explain", *map(str, arguments), "--model", POOLED])


def values() -> Model:
    model = pooled_model()
    return replace(model, spec=replace(model.spec, activation="none"))


def saved(path: Path) -> VideoExplanation:
    explanation = load(path)
    assert isinstance(explanation, VideoExplanation)
    return explanation


def top5(video: Path, capsys: Capture) -> list[dict[str, Any]]:
    assert explain(video, "--outputs", "none", "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    classes: list[dict[str, Any]] = result["top5"]
    return classes


def test_the_top_classes_are_printed_and_nothing_is_written(
    video: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("a backward pass was run")

    monkeypatch.setattr(torch.Tensor, "backward", fail)
    monkeypatch.setattr(torch.autograd, "grad", fail)
    monkeypatch.chdir(tmp_path)
    assert explain(video, "--outputs", "none") == 0
    output = capsys.readouterr()
    lines = [line.split() for line in output.out.splitlines()]
    assert lines[0] == ["class", "probability"]
    assert {line[0] for line in lines[1:]} == {"one", "two", "three", "four"}
    values = [float(line[1]) for line in lines[1:]]
    assert values == sorted(values, reverse=True)
    assert output.err == "vidcam: The weights are random: predictions and maps mean nothing.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_outputs_none_of_a_regression_names_no_probability(video: Path, capsys: Capture) -> None:
    assert main(["explain", str(video), "--outputs", "none", "--model", "tests.cli.test_predictions:values"]) == 0
    assert capsys.readouterr().out.splitlines()[0].strip() == "output"


def test_the_probabilities_are_those_of_an_explained_video(video: Path, tmp_path: Path, capsys: Capture) -> None:
    predicted = top5(video, capsys)
    assert explain(video, "-o", tmp_path / "out", "--outputs", "data", "--json") == 0
    (explained,) = json.loads(capsys.readouterr().out)["results"]
    assert [entry["label"] for entry in predicted] == [entry["label"] for entry in explained["top5"]]
    for ours, theirs in zip(predicted, explained["top5"], strict=True):
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-6)


def test_several_videos_and_a_target(video: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(video.read_bytes())
    missing = tmp_path / "missing.mp4"
    assert explain(video, missing, other, "--outputs", "none", "--target", "two") == 1
    output = capsys.readouterr()
    assert [line for line in output.out.splitlines() if line.endswith(".mp4")] == [str(video), str(other)]
    assert "missing.mp4: error: " in output.err
    assert explain(video, "--outputs", "none", "--target", "yoga") == 2
    assert "label 'yoga' not found" in capsys.readouterr().err


def test_outputs_none_stands_alone(video: Path, tmp_path: Path, capsys: Capture) -> None:
    assert explain(video, "-o", tmp_path / "out", "--outputs", "none,data") == 2
    assert "--outputs is none,data" in capsys.readouterr().err
    assert explain(video, "-o", tmp_path / "out", "--outputs", "") == 2
    assert "--outputs is empty; pass some of overlay, map, sheet, report, data, or none" in capsys.readouterr().err


def test_every_class_of_enough_probability_is_explained(video: Path, tmp_path: Path, capsys: Capture) -> None:
    """As if the classes had been named, to the last bit."""
    classes = top5(video, capsys)
    least = (classes[1]["probability"] + classes[2]["probability"]) / 2
    assert explain(video, "-o", tmp_path / "above", "--outputs", "data", "--target", f"above:{least:.6f}") == 0
    named = [argument for entry in classes[:2] for argument in ("--target", entry["label"])]
    assert explain(video, "-o", tmp_path / "named", "--outputs", "data", *named) == 0
    assert (tmp_path / "above" / "video.npz").read_bytes() == (tmp_path / "named" / "video.npz").read_bytes()


def test_a_named_target_comes_first_and_once(video: Path, tmp_path: Path, capsys: Capture) -> None:
    classes = top5(video, capsys)
    least, lowest = classes[1]["probability"] * 0.999, classes[3]["label"]
    arguments = ("--target", lowest, "--target", f"above:{least:.6f}", "--target", classes[1]["label"])
    assert explain(video, "-o", tmp_path / "out", "--outputs", "data", *arguments) == 0
    explanation = saved(tmp_path / "out" / "video.npz")
    assert explanation.labels == (lowest, classes[1]["label"], classes[0]["label"])


def test_where_no_class_is_probable_enough_the_top_class_is_explained(
    video: Path, tmp_path: Path, capsys: Capture
) -> None:
    best = top5(video, capsys)[0]["label"]
    assert explain(video, "-o", tmp_path / "out", "--outputs", "data", "--target", "above:0.999") == 0
    note = "No class has a mean probability of 0.999 or more: the top class is explained."
    assert f"  {note}" in capsys.readouterr().err.splitlines()
    explanation = saved(tmp_path / "out" / "video.npz")
    assert explanation.labels == (best,)
    assert note in explanation.explanations[0].notes


def test_the_contrast_is_never_a_target(video: Path, tmp_path: Path, capsys: Capture) -> None:
    labels = [entry["label"] for entry in top5(video, capsys)]
    arguments = ("--target", "above:0.000001", "--contrast", labels[0])
    assert explain(video, "-o", tmp_path / "out", "--outputs", "data", *arguments) == 0
    assert saved(tmp_path / "out" / "video.npz").labels == tuple(labels[1:])


def test_per_window_goes_with_it(video: Path, tmp_path: Path, capsys: Capture) -> None:
    best = top5(video, capsys)[0]
    arguments = ("--target", "per-window", "--target", f"above:{best['probability'] * 0.999:.6f}")
    assert explain(video, "-o", tmp_path / "out", "--outputs", "data", *arguments) == 0
    assert saved(tmp_path / "out" / "video.npz").labels == ("per-window", best["label"])


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (["above:2"], "--target above:2: expected a probability above 0 and up to 1"),
        (["above:0"], "--target above:0: expected a probability"),
        (["above:often"], "--target above:often: expected a probability"),
        (["above:0.2", "above:0.3"], "--target above:0.2 and --target above:0.3 exclude each other"),
    ],
)
def test_what_is_no_probability_is_refused(
    targets: list[str], sentence: str, video: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [argument for target in targets for argument in ("--target", target)]
    assert explain(video, "-o", tmp_path / "out", *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
