"""Heat on a grid over the whole frame, and numbers of frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.saved import GEOMETRY, save_hot
from vidcam.geometry import Geometry
from vidcam.pipelines.export.video import ExportedVideo, exported_video, frame_grid, plain_name
from vidcam.pipelines.render.saved import open_saved
from vidcam.system.progress import silent


def exported(folder: Path) -> ExportedVideo:
    return exported_video(*open_saved(save_hot(folder), None), progress=silent)


def test_a_view_of_the_whole_frame_keeps_its_cells() -> None:
    rows, columns = frame_grid(Geometry((128, 160), (64, 80), (64, 80), 0, 0), (4, 5))
    assert rows == pytest.approx(np.eye(4))
    assert columns == pytest.approx(np.eye(5))


def test_cells_outside_the_view_are_zero() -> None:
    rows, columns = frame_grid(GEOMETRY, (4, 4))
    assert (rows.shape, columns.shape) == ((5, 4), (6, 4))  # 4 cells on 112 of 128 and of 160 pixels
    inside = [24 <= (column + 0.5) * 160 / 6 < 136 for column in range(6)]
    assert columns.sum(axis=1) == pytest.approx(np.array(inside, float))


def test_heat_is_that_of_the_overlay(tmp_path: Path) -> None:
    video = exported(tmp_path)
    (seconds, heats), *_ = video.heats("gradcam++", 0)
    assert heats.shape[1:] == (5, 6)
    full = np.zeros((128, 160), np.float32)
    full[video.explanation.geometry.view_slices()] = video.explanation.source_heat("gradcam++", float(seconds[9]))
    for row, column in ((1, 3), (1, 2), (2, 3), (0, 3)):
        y, x = (row + 0.5) * 128 / 5, (column + 0.5) * 160 / 6
        assert heats[9, row, column] / 255 == pytest.approx(full[int(y), int(x)], abs=0.03)


def test_frames_are_counted_from_one_in_the_whole_video(tmp_path: Path) -> None:
    video = exported(tmp_path)
    numbers = [video.frame_number(float(second)) for second in video.stamps]
    assert numbers == list(range(1, 25))
    assert video.frame_number(-1.0) == 1
    assert video.explanation.origin is not None
    origin = replace(video.explanation.origin, span_seconds=(0.5, 0.9))
    part = exported_video(replace(video.explanation, origin=origin), video.path, progress=silent)
    shown = np.flatnonzero((video.info.pts_seconds > 0.46) & (video.info.pts_seconds < 0.9)) + 1
    assert [part.frame_number(float(second)) for second in part.stamps] == list(shown)


def test_names_have_letters_digits_and_underscores() -> None:
    assert plain_name("gradcam++ throwing (a ball)") == "gradcam_plus_plus_throwing_a_ball"
    assert plain_name("座る") == "座る"
    assert plain_name("?") == "_"
