"""The view: a spot outside the model's own crop is found on the source's pixels, and equal views give equal maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.loading import load_video
from tests.helpers.nets import brightness_model, hidden_model, pooled_model
from tests.helpers.videos import noise_frames
from tests.pipelines.explain.conftest import explained_view as explained
from tests.pipelines.explain.conftest import read_document
from tests.pipelines.explain.test_kinds_of_models import arranged
from vidcam.devices import CPU_BATCH
from vidcam.errors import InputError
from vidcam.geometry import View
from vidcam.media import Frames
from vidcam.models.model import Model
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
from vidcam.pipelines.explain.request import ExplainOptions, resolve
from vidcam.pipelines.explain.view import ready_for
from vidcam.results.explanation import Artifact, Explanation
from vidcam.spec import MeanCube, Scaling

LONG, SHORT, SPOT = 224, 96, 16
METHODS = ("neutral-gradcam", "gradcam++")
MEAN_CUBE = replace(
    brightness_model().spec, scaling=Scaling(MeanCube(np.zeros((3, 16, 56, 56), np.float32)), (255.0,) * 3)
)
VIEWS: tuple[View, ...] = ("centre", "full", "three-crop")


def with_spot(at: int, *, portrait: bool = False) -> tuple[Frames, NDArray[np.float64]]:
    """A bright square on black for two seconds, its middle at pixel `at` of the longer side, and its middle (y, x)."""
    frames = np.zeros((50, SHORT, LONG, 3), np.uint8)
    frames[:, 48 - SPOT // 2 : 48 + SPOT // 2, at - SPOT // 2 : at + SPOT // 2] = 255
    middle = np.array([48.0, float(at)])
    return (frames.transpose(0, 2, 1, 3), middle[::-1]) if portrait else (frames, middle)


def peak(result: ExplainedVideo, method: str) -> NDArray[np.float64]:
    """The middle of the map's hottest part, in source pixels (y, x)."""
    heat = result.explanation.source_heat(method, 1.0)
    corner = [part.start for part in result.explanation.geometry.view_slices()]
    found: NDArray[np.float64] = np.argwhere(heat > 0.99 * heat.max()).mean(axis=0) + 0.5 + corner
    return found


@pytest.mark.parametrize("portrait", [False, True])
@pytest.mark.parametrize("at", [12, 40, LONG - 12])
def test_a_spot_outside_the_centre_crop_is_found_by_the_other_views(at: int, portrait: bool, tmp_path: Path) -> None:
    frames, middle = with_spot(at, portrait=portrait)
    centre = explained(frames, tmp_path, "centre")
    assert {method: bool(empty.all()) for method, empty in centre.explanation.explanations[0].empty.items()} == (
        dict.fromkeys(METHODS, True)
    )
    long = int(portrait) ^ 1  # the axis of the longer side
    for view, cell, seen in (("full", 8 * SHORT / 56, (0, 1)), ("three-crop", 8 * SHORT / 64, (1 / 16, 15 / 16))):
        result = explained(frames, tmp_path, view)  # type: ignore[arg-type]
        for method in METHODS:
            assert np.abs(peak(result, method) - middle).max() < cell, (view, method)
        box = np.array(result.explanation.geometry.view_box).reshape(2, 2)  # (top, left), (bottom, right)
        assert box[:, long].tolist() == [0, LONG]
        np.testing.assert_allclose(box[:, 1 - long], np.array(seen) * SHORT, atol=1e-9)
        assert load_video(tmp_path / view / "video.npz").geometry == result.explanation.geometry


def test_a_spot_in_two_crops_is_seen_where_and_as_strong_as_in_one(tmp_path: Path) -> None:
    """The middle of the frame lies in the middle crop only, its neighbourhood in two: the mean adds nothing up."""
    strongest = []
    for at in (12, 60, 80, LONG // 2):
        frames, middle = with_spot(at)
        result = explained(frames, tmp_path / str(at), "three-crop")
        assert np.abs(peak(result, "gradcam++") - middle).max() < 12
        strongest.append(result.explanation.explanations[0].volumes["gradcam++"].sum())
    assert max(strongest) < 1.35 * min(strongest)  # by how the spot lies on the cells


@pytest.mark.parametrize("model", [brightness_model(), pooled_model()], ids=lambda model: model.spec.name)
def test_views_are_equal_to_the_bit_where_the_model_sees_the_whole_frame(model: Model, tmp_path: Path) -> None:
    model = replace(model, spec=replace(model.spec, resize=model.spec.crop_size[0]))
    frames = noise_frames(30, 70, 70)
    centre, full, three = (explained(frames, tmp_path, view, model=model) for view in VIEWS)
    for other in (full, three):
        assert_equal(centre.explanation.explanations[0], other.explanation.explanations[0])
        assert other.explanation.geometry == centre.explanation.geometry
        assert replace(other.document, view="centre") == replace(centre.document, source=other.document.source)


def test_in_a_square_frame_full_sees_the_margin_too(tmp_path: Path) -> None:
    """The model's own crop leaves out an eighth at each border: one crop is all that `three-crop` has."""
    frames = noise_frames(30, 64, 64)
    centre, full, three = (explained(frames, tmp_path, view) for view in VIEWS)
    assert_equal(centre.explanation.explanations[0], three.explanation.explanations[0])
    assert centre.explanation.geometry.view_box == (4.0, 4.0, 60.0, 60.0)
    assert full.explanation.geometry.view_box == (0.0, 0.0, 64.0, 64.0)


def assert_equal(one: Explanation, other: Explanation) -> None:
    for method, volumes in one.volumes.items():
        np.testing.assert_array_equal(other.volumes[method], volumes)
    np.testing.assert_array_equal(other.logits, one.logits)


def test_before_merging_the_middle_crop_is_the_centre_crop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to the bit, in batches of three clips: torch chooses the kernel of a convolution by the batch."""
    before: list[Explanation] = []
    merge = Crops.merge

    def noted(crops: Crops, explanation: Explanation) -> Explanation:
        before.append(explanation)
        return merge(crops, explanation)

    monkeypatch.setattr(Crops, "merge", noted)
    frames = noise_frames(30, 40, 90)
    alike: dict[str, Any] = {"model": pooled_model(), "methods": ("gradcam", *METHODS), "verdict_forwards": 0}
    merged = explained(frames, tmp_path, "three-crop", **alike, batch_size=1)
    windows = list(before)
    before.clear()
    explained(frames, tmp_path, "centre", **alike, batch_size=3)
    (centre,) = before
    assert [len(window) for window in windows] == [3] * len(centre) == [3, 3, 3]
    for method, volumes in centre.volumes.items():
        crops = np.concatenate([window.volumes[method] for window in windows])
        np.testing.assert_array_equal(crops[1::3], volumes)
        assert not np.array_equal(crops[0::3], volumes)
    audit = merged.explanation.explanations[0].alpha["gradcam++"]
    np.testing.assert_array_equal(audit.product, centre.alpha["gradcam++"].product)  # that of the middle crop


def test_the_view_is_in_the_json_and_in_the_settings(tmp_path: Path) -> None:
    options = ExplainOptions(view="full", outputs=("data",), methods="gradcam", fps=25)
    explainer = Explainer.load("tests.helpers.nets:brightness_model", options)
    result = explainer.explain(noise_frames(30, 64, 90), tmp_path)
    assert read_document(tmp_path / "video.json")["view"] == "full"
    assert 'view = "full"' in (tmp_path / "video.toml").read_text("utf-8")
    top, probability = explainer.predict(noise_frames(30, 64, 90))
    assert top == result.document.top5[0].index
    assert probability == pytest.approx(result.top5[0][1])


def test_full_prepares_the_model_for_the_frames_and_keeps_its_methods() -> None:
    request, ready = resolve(pooled_model(), ExplainOptions(view="full", batch_size=9))
    sized, fitting = ready_for(ready, request, (60, 120))
    assert sized.model.spec.input_size == sized.original.spec.input_size == (8, 32, 64)
    assert fitting.methods == request.methods
    (layer,) = request.layers
    assert fitting.baseline_activations[layer].shape[2:] == (4, 16, 32)
    assert request.baseline_activations[layer].shape[2:] == (4, 16, 16)
    assert fitting.batch_size == 9
    assert ready_for(ready, request, (60, 120))[0] is sized  # once for all videos of one size
    assert ready_for(ready, request, (60, 90))[0].model.spec.input_size == (8, 32, 48)
    assert ready_for(ready, request, (60, 120))[0] is not sized
    unchanged = ready_for(ready, replace(request, view="centre"), (60, 120))
    assert unchanged[0] is ready


def test_full_makes_the_batch_smaller_only_where_memory_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(_device: object, run: Callable[[], object]) -> int:
        run()
        return 1

    monkeypatch.setattr("vidcam.pipelines.forward.clip_bytes", measured)
    request, ready = resolve(pooled_model(), ExplainOptions(view="full", batch_size=9))
    assert ready_for(ready, request, (60, 120))[1].batch_size == CPU_BATCH


def test_the_artifact_is_looked_for_on_the_merged_grid() -> None:
    """A cell at the crop's right border lights up on any clip: so do three cells of the merged map."""
    model = brightness_model()
    request, ready = resolve(model, ExplainOptions(view="three-crop"))
    (layer,) = request.layers
    lit = ready.baseline.activations[layer].clone().fill_(1.0)  # (1, 1, 4, 7, 7)
    lit[0, 0, 2, 3, 6] = 50.0
    cell = Artifact(((2, 3, 6),), 50.0, 1.0)
    ready = replace(ready, baseline=replace(ready.baseline, activations={layer: lit}, artifact=cell))
    sized, fitting = ready_for(ready, request, (64, 168))  # three crops side by side, 168 of 168 pixels
    assert sized.baseline.artifact == Artifact(((2, 3, 6), (2, 3, 13), (2, 3, 20)), 50.0, 1.0)
    assert fitting.baseline_activations is request.baseline_activations
    assert ready_for(ready, request, (64, 64))[0] is ready


@pytest.mark.parametrize(
    "model",
    [hidden_model(), arranged("tokens"), replace(brightness_model(), spec=MEAN_CUBE)],
    ids=["linear layer", "token grid", "mean cube"],
)
def test_a_network_of_one_size_is_refused_with_what_to_use(model: Model, tmp_path: Path) -> None:
    spec = replace(model.spec, resize=model.spec.crop_size[0] + 8)
    frames = noise_frames(30, 64, 100)
    with pytest.raises(InputError, match=r"^--view full: model '\S+' does not take whole frames \(.*use --view three"):
        explained(frames, tmp_path, "full", model=replace(model, spec=spec), methods="gradcam")
    assert not list(tmp_path.rglob("*.json"))
    result = explained(frames, tmp_path, "three-crop", model=replace(model, spec=spec), methods="gradcam")
    assert result.explanation.geometry.crop_size == (spec.crop_size[0], int(spec.crop_size[0] + 8) * 100 // 64)


def test_unknown_views_and_guided_maps_of_three_crops_are_refused() -> None:
    with pytest.raises(InputError, match=r"--view is 'half'; it must be one of centre, full, three-crop"):
        ExplainOptions(view="half")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"--view three-crop cannot be combined with --method guided-gradcam"):
        ExplainOptions(view="three-crop", methods="guided-gradcam")


def test_guided_maps_of_whole_frames(tmp_path: Path) -> None:
    result = explained(
        noise_frames(20, 40, 90), tmp_path, "full", model=pooled_model(), methods="guided-gradcam", outputs=("overlay",)
    )
    assert result.explanation.geometry.view_slices() == (slice(0, 40), slice(0, 90))
