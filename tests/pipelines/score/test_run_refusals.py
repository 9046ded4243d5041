"""Errors of `score_clips` before a model is loaded, and runs that cannot be resumed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.nets import hidden_model
from tests.helpers.score_results import SETTINGS
from vidcam.errors import InputError, OutputError
from vidcam.models.model import Model
from vidcam.pipelines.score import store
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.spec import MeanCube

QUICK = ScoreOptions(methods=("gradcam", "gradcam++"))


def test_overwriting_starts_again(manifest: Path, tmp_path: Path) -> None:
    score_set(manifest, tmp_path, QUICK, model=hidden_model())
    result = score_set(manifest, tmp_path, replace(QUICK, fill="blur", overwrite=True), model=hidden_model())
    assert result.summary.settings.fill == "blur"
    assert result.forwards[1] == 7


def test_different_labels_or_mean_cube_are_refused(manifest: Path, tmp_path: Path) -> None:
    model = hidden_model()
    score_set(manifest, tmp_path, QUICK, model=model)
    cube = MeanCube(np.zeros((3, 4, 16, 16), np.float32))
    others = {
        "labels": replace(model, labels=("red", "blue", "green")),
        "mean_cube": replace(model, spec=replace(model.spec, scaling=replace(model.spec.scaling, mean=cube))),
    }
    for name, other in others.items():
        with pytest.raises(OutputError, match=rf"\({name} was .*, is [^;]*\); choose another folder"):
            score_set(manifest, tmp_path, QUICK, model=other)


def never(*_: object, **__: object) -> Model:
    raise AssertionError("a model was loaded")


@pytest.mark.parametrize("name", ["tiny_r3d", "tests.helpers.nets:hidden_model"])
def test_invalid_input_is_refused_before_a_model_is_loaded(
    name: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_set(manifest, tmp_path / "out", QUICK, model=hidden_model())
    (tmp_path / "file").touch()
    monkeypatch.setattr("vidcam.pipelines.score.run.load_model", never)
    refused: list[tuple[Any, Path, dict[str, Any], str]] = [
        ([], tmp_path / "new", {}, "the iterable has no clips"),
        (tmp_path / "no.csv", tmp_path / "new", {}, "cannot be read"),
        (manifest, tmp_path / "file" / "out", {}, "cannot be written"),
        (manifest, tmp_path / "out", {"fill": "blur"}, "fill was black, is blur"),
        (manifest, tmp_path / "out", {"seed": 3, "score_scale": 0.5}, "score_scale was 1.0, is 0.5; seed was 0, is 3"),
        ([manifest.parent / "video0.mkv"], tmp_path / "out", {}, "clips was 9"),
    ]
    for clips, out, changes, sentence in refused:
        with pytest.raises(InputError, match=sentence):
            score_set(clips, out, replace(QUICK, **changes), model=name)
    with pytest.raises(AssertionError, match="a model was loaded"):  # nothing else is wrong with this one
        score_set(manifest, tmp_path / "new", QUICK, model=name)
    assert not (tmp_path / "new").exists()


def test_scores_of_another_built_in_model_are_refused_without_loading_it(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_set(manifest, tmp_path, QUICK, model=hidden_model())
    monkeypatch.setattr("vidcam.pipelines.score.run.load_model", never)
    with pytest.raises(OutputError, match="model was tiny, is i3d"):
        score_set(manifest, tmp_path, QUICK, model="i3d")


def test_a_folder_that_another_run_writes_to_is_refused_without_a_model(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidcam.pipelines.score.run.load_model", never)
    with (
        store.open_store(tmp_path, SETTINGS, {}, overwrite=False),
        pytest.raises(OutputError, match="is in use by another vidcam score"),
    ):
        score_set(manifest, tmp_path, replace(QUICK, overwrite=True), model="i3d")


def test_a_set_whose_videos_cannot_be_opened_is_refused_without_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidcam.pipelines.score.run.load_model", never)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "text.mp4").write_text("no video")
    (folder / "set.csv").write_text("path,start\nno.mp4,\nnone.mp4,\nthird.mp4,-1\n")
    for clips, sentence in (
        (folder, r"none of the 1 clips can be opened \(text.mp4: "),
        (folder / "set.csv", r"none of the 3 clips can be opened \(no.mp4: "),
        ([tmp_path / "a.mp4"], r"none of the 1 clips can be opened \(a.mp4: "),
    ):
        with pytest.raises(InputError, match=sentence):
            score_set(clips, tmp_path / "out", QUICK, model="tiny_r3d")
    assert not (tmp_path / "out").exists()


def test_one_video_that_can_be_opened_is_enough(manifest: Path, tmp_path: Path) -> None:
    clips = ["no.mp4", manifest.parent / "video0.mkv"]
    assert score_set(clips, tmp_path, QUICK, model=hidden_model()).failed == 1


def test_a_run_can_be_summarised_without_its_videos(manifest: Path, tmp_path: Path) -> None:
    video = shutil.copy(manifest.parent / "video0.mkv", tmp_path)
    first = score_set([video], tmp_path / "out", QUICK, model=hidden_model())
    Path(video).unlink()
    again = score_set([video], tmp_path / "out", QUICK, model=hidden_model())
    assert again.summary.methods == first.summary.methods
