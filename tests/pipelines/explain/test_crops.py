"""Three crops of a window become one: maps on one grid, probabilities as means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.helpers.nets import TINY_SPEC
from tests.pipelines.explain.conftest import explained_view as explained
from vidcam.geometry import centre_crop, short_side_resize, three_crops
from vidcam.models.model import Model
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.explain.predict import Predictor
from vidcam.pipelines.explain.request import ExplainOptions


def crops_in(size: tuple[int, int], *, resize: int = 256, crop: int = 224) -> Crops:
    return Crops(three_crops(centre_crop(size, short_side_resize(size, resize), (crop, crop))))


class Sides(nn.Module):
    """Class 0 is brightness of red, class 1 of green; class 2 has a constant score."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.relu = nn.AvgPool3d((4, 8, 8)), nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        total = self.relu(self.pool(clip)).mean(dim=(2, 3, 4))
        return torch.stack([6 * total[:, 0], 4 * total[:, 1], 0 * total[:, 2] + 1.0], dim=1)


def sides_model(activation: Any = None) -> Model:
    spec = replace(TINY_SPEC, name="sides", resize=16, activation=activation)
    return Model(spec, Sides(), ("red", "green", "blue"), "by hand")


SIDES = np.zeros((8, 16, 48, 3), np.uint8)
SIDES[:, :, 16:32, 0] = SIDES[:, :, :16, 1] = SIDES[:, :, 32:, 1] = 255  # red in the middle crop, green at both sides


def sides_by_hand(activation: str | None) -> NDArray[np.float64]:
    """The mean of three crops: one with the logits (6, 0, 1), two with (0, 4, 1)."""
    logits = np.array([[6.0, 0.0, 1.0], [0.0, 4.0, 1.0], [0.0, 4.0, 1.0]])
    odds = np.exp(logits)
    shares = odds / (1 + odds) if activation == "sigmoid" else odds / odds.sum(axis=1, keepdims=True)
    return np.asarray(shares.mean(axis=0))


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_probabilities_are_means_over_the_crops(activation: str | None, tmp_path: Path) -> None:
    expected = sides_by_hand(activation)
    model = sides_model(activation)
    result = explained(SIDES, tmp_path, "three-crop", model=model, targets=("red", "per-window"), methods="gradcam")
    green, red = result.explanation.explanations[1], result.explanation.explanations[0]
    assert green.target.tolist() == [1] * len(green)  # not the top class of each crop
    for explanation in (green, red):
        np.testing.assert_allclose(explanation.probabilities(), [expected] * len(green), rtol=1e-6)
    assert [entry.index for entry in result.document.top5] == np.argsort(-expected).tolist()
    assert [target.probability for target in result.document.targets] == pytest.approx(expected[:2].tolist(), rel=1e-6)
    assert result.document.windows[0].label == "green"
    predictor = Predictor(model, ExplainOptions(view="three-crop", fps=25))
    predicted = predictor.predict(SIDES)
    np.testing.assert_allclose(predicted.probabilities, [expected] * len(green), rtol=1e-6)
    assert predicted.document.view == "three-crop"


def test_the_map_of_one_crop_is_in_that_crop(tmp_path: Path) -> None:
    result = explained(SIDES, tmp_path, "three-crop", model=sides_model(), targets=("red",), methods="gradcam")
    volume = result.explanation.explanations[0].volumes["gradcam"][0, 0]
    np.testing.assert_allclose(volume, [[0, 0, 1.5, 1.5, 0, 0]] * 2, rtol=1e-6)  # the slope 6 over four cells


def test_the_crops_of_a_window_are_checked_together_also_mirrored(tmp_path: Path) -> None:
    """Half of all that is seen is hidden, not half of each crop; the map of one side is that of the other, mirrored."""
    result = explained(SIDES, tmp_path, "three-crop", model=sides_model(), targets=("red",), methods="gradcam")
    checks = result.document.targets[0].methods["gradcam"].verdict.checks
    e = np.e
    middle, side, dark_side = (
        e**6 / (e**6 + 1 + e),
        1 / (1 + e**4 + e),
        1 / (1 + e + e),
    )  # a quarter of its green is left
    assert checks["kept"] == pytest.approx((middle + 2 * dark_side) / (middle + 2 * side), rel=1e-4)
    assert checks["mirror"] == pytest.approx(1.0, abs=1e-6)


def test_maps_that_are_constant_or_linear_stay_so() -> None:
    for size in ((1080, 1920), (1920, 1080), (256, 340), (300, 1500)):
        crops = crops_in(size)
        constant = np.full((6, 2, 7, 7), 0.3, np.float32)
        merged = crops.maps(constant)
        assert merged.dtype == np.float32
        np.testing.assert_allclose(merged, 0.3, rtol=1e-6)
        axis = 1 if size[1] > size[0] else 0
        whole = crops.geometry
        starts = [(crop.top_px, crop.left_px)[axis] - (whole.top_px, whole.left_px)[axis] for crop in crops.parts]
        ramps = np.stack([start + (np.arange(7) + 0.5) * 32 for start in starts])  # each cell holds its own position
        planes = np.broadcast_to(ramps[:, None, None, :], (3, 1, 7, 7))
        drawn = crops.maps(planes if axis == 1 else planes.swapaxes(-1, -2))[0, 0]
        along = drawn[3] if axis == 1 else drawn[:, 3]
        centres = (np.arange(len(along)) + 0.5) * whole.crop_size[axis] / len(along)
        assert np.abs(along - centres).max() <= 16  # half a cell: constant beyond the outermost centres
        assert np.abs(along - centres)[2:-2].mean() < 4


def test_the_heat_is_cut_into_the_crops() -> None:
    crops = crops_in((20, 45), resize=20, crop=16)
    whole = crops.geometry
    coded = torch.arange(20 * 45).reshape(1, 1, 20, 45)[..., whole.top_px : whole.top_px + 16, :]
    cut = crops.heat(torch.cat([coded, -coded]))
    assert cut.shape == (6, 1, 16, 16)
    for number, crop in enumerate(crops.parts):
        assert int(cut[number, 0, 0, 0]) == crop.top_px * 45 + crop.left_px
        assert int(cut[3 + number, 0, -1, -1]) == -((crop.top_px + 15) * 45 + crop.left_px + 15)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_sure_crops_keep_the_order_of_their_classes(activation: Any) -> None:
    """Both probabilities round to 1 behind a sigmoid, and all but one to 0 behind a softmax."""
    logits = np.array([[800.0, 790.0, -30.0], [800.0, 790.0, -60.0], [800.0, 790.0, -30.0]])
    (merged,) = crops_in((1080, 1920)).logits(logits, activation)
    assert np.isfinite(merged).all()
    assert merged[0] - merged[1] == pytest.approx(10)
    assert merged.argsort().tolist() == [2, 1, 0]
