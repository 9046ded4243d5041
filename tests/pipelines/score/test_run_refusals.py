"""What `score_clips` refuses before a model is loaded, and with which scores it does not go on."""

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
from vidcam.pipelines.score.run import score_clips
from vidcam.spec import MeanCube

QUICK = ScoreOptions(methods=("gradcam", "gradcam++"))


def test_overwriting_begins_anew(manifest: Path, tmp_path: Path) -> None:
    score_clips(manifest, tmp_path, model=hidden_model(), options=QUICK)
    result = score_clips(manifest, tmp_path, model=hidden_model(), options=replace(QUICK, fill="blur", overwrite=True))
    assert result.summary.fill == "blur"
    assert result.forwards[1] == 7


def test_other_labels_and_another_mean_cube_are_refused(manifest: Path, tmp_path: Path) -> None:
    model = hidden_model()
    score_clips(manifest, tmp_path, model=model, options=QUICK)
    cube = MeanCube(np.zeros((3, 4, 16, 16), np.float32))
    others = {
        "labels": replace(model, labels=("red", "blue", "green")),
        "mean_cube": replace(model, spec=replace(model.spec, scaling=replace(model.spec.scaling, mean=cube))),
    }
    for name, other in others.items():
        with pytest.raises(OutputError, match=rf"\({name} was .*, is [^;]*\), expected the same to go on"):
            score_clips(manifest, tmp_path, model=other, options=QUICK)


def never(*_: object, **__: object) -> Model:
    raise AssertionError("a model was loaded")


@pytest.mark.parametrize("name", ["tiny_r3d", "tests.helpers.nets:hidden_model"])
def test_what_can_be_refused_without_a_model_is(
    name: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_clips(manifest, tmp_path / "out", model=hidden_model(), options=QUICK)
    (tmp_path / "file").touch()
    monkeypatch.setattr("vidcam.pipelines.score.run.load_model", never)
    refused: list[tuple[Any, Path, dict[str, Any], str]] = [
        ([], tmp_path / "new", {}, "no clip was given"),
        (tmp_path / "no.csv", tmp_path / "new", {}, "cannot be read"),
        (manifest, tmp_path / "file" / "out", {}, "cannot be written"),
        (manifest, tmp_path / "out", {"fill": "blur"}, "fill was black, is blur"),
        (manifest, tmp_path / "out", {"seed": 3, "lam": 0.5}, "lam was 1.0, is 0.5; seed was 0, is 3"),
        ([manifest.parent / "film0.mkv"], tmp_path / "out", {}, "clips was 9"),
    ]
    for clips, out, changes, sentence in refused:
        with pytest.raises(InputError, match=sentence):
            score_clips(clips, out, model=name, options=replace(QUICK, **changes))
    with pytest.raises(AssertionError, match="a model was loaded"):  # nothing else is wrong with this one
        score_clips(manifest, tmp_path / "new", model=name, options=QUICK)
    assert not (tmp_path / "new").exists()


def test_scores_of_another_built_in_model_are_refused_without_loading_it(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_clips(manifest, tmp_path, model=hidden_model(), options=QUICK)
    monkeypatch.setattr("vidcam.pipelines.score.run.load_model", never)
    with pytest.raises(OutputError, match="model was tiny, is i3d"):
        score_clips(manifest, tmp_path, model="i3d", options=QUICK)


def test_a_folder_that_another_run_writes_to_is_refused_without_a_model(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidcam.pipelines.score.run.load_model", never)
    with (
        store.open_store(tmp_path, SETTINGS, {}, overwrite=False),
        pytest.raises(OutputError, match="is being written to by another vidcam score"),
    ):
        score_clips(manifest, tmp_path, model="i3d", options=replace(QUICK, overwrite=True))


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
            score_clips(clips, tmp_path / "out", model="tiny_r3d", options=QUICK)
    assert not (tmp_path / "out").exists()


def test_one_video_that_can_be_opened_is_enough(manifest: Path, tmp_path: Path) -> None:
    clips = ["no.mp4", manifest.parent / "film0.mkv"]
    assert score_clips(clips, tmp_path, model=hidden_model(), options=QUICK).failed == 1


def test_scores_outlive_their_videos(manifest: Path, tmp_path: Path) -> None:
    video = shutil.copy(manifest.parent / "film0.mkv", tmp_path)
    first = score_clips([video], tmp_path / "out", model=hidden_model(), options=QUICK)
    Path(video).unlink()
    again = score_clips([video], tmp_path / "out", model=hidden_model(), options=QUICK)
    assert again.summary.methods == first.summary.methods
