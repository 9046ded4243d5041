"""A bright moving square and a network that sums brightness: the map must follow the square on the source's pixels."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.nets import BrightnessNet, brightness_model
from tests.helpers.videos import rotate, write_video
from tests.pipelines.conftest import moving_square
from vidcam.models.families.torchvision_specs import TORCHVISION_SPECS
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import Explainer, explain_video
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.results.video import VideoExplanation
from vidcam.spec import Scaling
from vidcam.video.reader import open_video

CELL_PX = 8 * 96 / 64  # a feature cell of 8 model pixels, on a source whose short side of 96 became 64

CASES = {"landscape": (96, 128, 0), "portrait": (128, 96, 0), "rotated": (96, 128, 90), "upside down": (96, 128, 180)}


def _centre_of(video: VideoExplanation, method: str, second: float) -> NDArray[np.float64]:
    """The map's centre of mass in source pixels, (y, x)."""
    heat = video.source_heat(method, second).astype(np.float64)
    rows, columns = video.geometry.view_slices()
    y, x = np.arange(rows.start, rows.stop) + 0.5, np.arange(columns.start, columns.stop) + 0.5
    centre: NDArray[np.float64] = np.array([(heat.sum(axis=1) @ y), (heat.sum(axis=0) @ x)]) / heat.sum()
    return centre


def _square_in(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    bright = np.argwhere(frame[..., 0] > frame.max() / 2) + 0.5
    return np.asarray(bright.mean(axis=0))


@pytest.mark.parametrize("case", CASES)
def test_the_map_follows_the_square(case: str, tmp_path: Path) -> None:
    height, width, degrees = CASES[case]
    frames, _ = moving_square(100, height, width)
    source = write_video(tmp_path / "video.mp4", frames, fps=Fraction(25), codec="libx264", pixel_format="yuv420p")
    if degrees:
        rotate(source, degrees)
    options = ExplainOptions(methods=("neutral-gradcam", "gradcam", "gradcam+", "gradcam++"), outputs=("data",))
    result = Explainer(brightness_model(), options).explain(source, tmp_path / "out")
    with open_video(source) as reader:
        shown = list(reader.frames())
    assert len(shown) == 100
    for method in ("neutral-gradcam", "gradcam", "gradcam+", "gradcam++"):
        errors = np.array(
            [_centre_of(result.explanation, method, second) - _square_in(frame) for second, frame in shown]
        )
        assert np.abs(errors).max() < CELL_PX, f"{method}: {np.abs(errors).max()} px"
        assert np.abs(errors.mean(axis=0)).max() < CELL_PX / 4


R3D_LIKE = replace(
    TORCHVISION_SPECS["r3d_18"], name="r3d-like", classes=2, layer="relu", scaling=Scaling((0.0,) * 3, (255.0,) * 3)
)


@pytest.mark.parametrize(("height", "width"), [(96, 128), (128, 96), (120, 400)])
def test_the_map_follows_the_square_through_a_stretch(height: int, width: int, tmp_path: Path) -> None:
    """r3d_18 stretches every video to 128 × 171, so a cell is stretched on the source."""
    frames, centres = moving_square(100, height, width)
    source = write_video(tmp_path / "video.mp4", frames, fps=Fraction(25), codec="libx264", pixel_format="yuv420p")
    model = Model(R3D_LIKE, BrightnessNet(), ("Bright thing", "dark/thing"), "by hand")
    result = explain_video(
        source,
        tmp_path / "out",
        model=model,
        methods=("neutral-gradcam", "gradcam++"),
        outputs=("data",),
    )
    assert result.explanation.geometry.view_box == pytest.approx(
        (8 * height / 128, 30 * width / 171, 120 * height / 128, 142 * width / 171)
    )
    inside = [i for i in range(100) if _is_inside(centres[i], result.explanation.geometry.view_box)]
    assert len(inside) > 20
    cell = np.array([8 * height / 128, 8 * width / 171])
    for method in ("neutral-gradcam", "gradcam++"):
        errors = np.array([_centre_of(result.explanation, method, i / 25) - centres[i] for i in inside])
        assert (np.abs(errors).max(axis=0) < cell).all(), f"{method}: {np.abs(errors).max(axis=0)} px"
        assert (np.abs(errors.mean(axis=0)) < cell / 4).all()


def _is_inside(centre: NDArray[np.float64], box: tuple[float, float, float, float], *, half: float = 12.0) -> bool:
    """Whether the whole square is in the model's view, with a margin of time."""
    top, left, bottom, right = box
    return bool(top < centre[0] - half and centre[0] + half < bottom and left < centre[1] - half) and bool(
        centre[1] + half < right
    )


@pytest.mark.parametrize("moment", [5, 30, 60, 90])
def test_the_colours_of_the_overlay_lie_on_the_square(moment: int, tmp_path: Path) -> None:
    """The decoded overlay differs from its source around the square, which does not move here."""
    frames, _ = moving_square(100, 96, 128)
    frames = frames[moment : moment + 1].repeat(40, axis=0) // 3  # colour changes such grey about as much as the ground
    source = write_video(tmp_path / "video.mp4", frames, fps=Fraction(25), codec="libx264", pixel_format="yuv420p")
    options = ExplainOptions(methods=("gradcam",), outputs=("overlay",))
    result = Explainer(brightness_model(), options).explain(source, tmp_path / "out")
    with open_video(result.paths[0]) as reader:
        shown = list(reader.frames())
    with open_video(source) as reader:
        plain = list(reader.frames())
    assert [second for second, _ in shown] == [second for second, _ in plain]
    for (_, overlay), (_, frame) in zip(shown, plain, strict=True):
        changed = np.abs(overlay.astype(int) - frame.astype(int)).sum(axis=2)
        changed[:9], changed[-9:], changed[:, :26], changed[:, -26:] = 0, 0, 0, 0  # the outline of the view
        weight = np.where(changed > 60, changed, 0).astype(float)
        y, x = np.indices(weight.shape) + 0.5
        centre = np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()
        assert np.abs(centre - _square_in(frame)).max() < CELL_PX / 2


def test_the_moving_square_is_not_an_artifact(tmp_path: Path) -> None:
    frames, _ = moving_square(100, 96, 128)
    source = write_video(tmp_path / "video.mp4", frames, fps=Fraction(25))
    result = explain_video(
        source,
        tmp_path / "out",
        model=brightness_model(),
        methods=("neutral-gradcam", "gradcam++"),
        outputs=("data",),
    )
    assert not any(sentence.startswith("Artifact") for sentence in result.audit)
