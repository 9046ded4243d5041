"""Fine maps of videos: files, grids, sizes, one result for every batch size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vidcam
from tests.helpers.videos import noise_frames
from tests.pipelines.explain.conftest import explained_view, read_document
from vidcam.errors import InputError
from vidcam.pipelines.explain.explainer import ExplainedVideo
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.results.video import VideoExplanation

METHODS = ("gradcam", "integrated-gradients", "neutral-gradcam-ig", "expected-gradients")
FINE = METHODS[1:]


def explained(out: Path, **options: Any) -> ExplainedVideo:
    frames = noise_frames(40, 64, 100, seed=2)
    settings: dict[str, Any] = {"methods": METHODS, "steps": 2, "outputs": ("overlay", "sheet", "data")} | options
    return explained_view(frames, out, settings.pop("view", "centre"), **settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ExplainedVideo:
    return explained(tmp_path_factory.mktemp("fine"))


def test_files_of_fine_maps(made: ExplainedVideo) -> None:
    document = read_document(made.paths[-1])
    entries = document["targets"][0]["methods"]
    assert list(entries) == list(METHODS)
    assert all((made.paths[-1].parent / entry["overlay"]).is_file() for entry in entries.values())
    assert [entries[name]["grid"] for name in METHODS] == [[4, 7, 7], *[[16, 28, 28]] * 3]
    assert entries["gradcam"]["completeness"] is None
    assert 0 <= entries["integrated-gradients"]["completeness"] < 1
    assert entries["integrated-gradients"]["artifact_share"] is None
    assert entries["integrated-gradients"]["verdict"]["checks"]["kept"] is not None
    (path,) = (path for path in made.paths if path.suffix == ".npz")
    loaded = vidcam.load(path)
    assert isinstance(loaded, VideoExplanation)
    moment = np.array([0.3])
    for name in METHODS:
        np.testing.assert_array_equal(loaded.heat(name, moment), made.explanation.heat(name, moment))
    assert {str(loaded.explanations[0].volumes[name].dtype) for name in FINE} == {"float16"}


def test_windows_equal_those_of_explain(made: ExplainedVideo) -> None:
    """The stored map, in its unit, is that of `vidcam.explain` for the same frames, up to float16."""
    explanation = made.explanation.explanations[0]
    for name in FINE:
        assert explanation.signed[name].shape == explanation.volumes[name].shape
        raw = explanation.volume(name)
        assert raw.dtype == np.float32
        assert (raw >= 0).all()
        assert raw.max() > 0


def test_the_batch_size_changes_nothing(made: ExplainedVideo, tmp_path: Path) -> None:
    other = explained(tmp_path, batch_size=1, outputs="data").explanation.explanations[0]
    for name in FINE:
        ours, theirs = made.explanation.explanations[0].volume(name), other.volume(name)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3 * float(ours.max()))


def test_every_pixel_is_kept_if_asked_for(made: ExplainedVideo, tmp_path: Path) -> None:
    full = explained(tmp_path, fine="full", outputs="data").explanation.explanations[0]
    pooled = made.explanation.explanations[0]
    assert full.volumes["integrated-gradients"].shape[1:] == (16, 56, 56)
    sums = [each.volume("integrated-gradients").sum(axis=(1, 2, 3)) for each in (full, pooled)]
    np.testing.assert_allclose(sums[0], sums[1], rtol=5e-3)


def test_three_crops_are_merged(tmp_path: Path) -> None:
    explanation = explained(tmp_path, view="three-crop", outputs="data").explanation.explanations[0]
    assert explanation.volumes["integrated-gradients"].shape == explanation.signed["integrated-gradients"].shape
    assert explanation.volumes["integrated-gradients"].shape[3] > 28


@pytest.mark.parametrize(("options", "message"), [({"steps": 0}, "steps is 0"), ({"fine": "dense"}, "fine is 'dense'")])
def test_refusals(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExplainOptions(**options)
