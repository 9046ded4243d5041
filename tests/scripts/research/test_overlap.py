"""The overlap table: its clips, measures and rows."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.research.long_clips import LENGTH, actor_frames, long_clip, there_and_back
from scripts.research.overlap import made_clips, truth_measures
from scripts.research.overlap_measures import at_joins, changes, correlation, jump
from vidcam.motion.box_tracks import filled_boxes


def test_change_and_jump_by_hand() -> None:
    heat = np.zeros((5, 2, 2))
    heat[:, 0, 0] = (1, 2, 6, 7, 4)  # mean over all voxels: 1
    steps = changes(heat)
    np.testing.assert_allclose(steps, [0.25, 1.0, 0.25, 0.75])
    is_join = at_joins(np.arange(5) / 10, np.array([0.2]))  # the frame at 0.2 s is the new window's
    assert is_join.tolist() == [False, True, False, False]
    assert jump(steps, is_join) == pytest.approx(1.0 / (1.25 / 3))


def test_a_join_between_two_frames_is_passed_by_the_step_between_them() -> None:
    seconds = np.array([0.0, 0.1, 0.2, 0.3])
    assert at_joins(seconds, np.array([0.15, 0.0, 0.9])).tolist() == [False, True, False]
    assert np.isnan(jump(np.ones(3), np.zeros(3, np.bool_)))
    assert np.isnan(jump(np.zeros(3), np.array([True, False, False])))


def test_an_empty_heat_does_not_change() -> None:
    assert changes(np.zeros((3, 2, 2))).tolist() == [0.0, 0.0]


def test_correlation_does_not_depend_on_the_scale() -> None:
    heat = np.arange(8.0).reshape(2, 2, 2)
    assert correlation(heat, 3 * heat + 1) == pytest.approx(1.0)
    assert correlation(heat, -heat) == pytest.approx(-1.0)
    assert np.isnan(correlation(heat, np.ones_like(heat)))


def test_an_actor_rests_before_and_after_its_turns() -> None:
    frames = actor_frames((3, 10), begin=20, turns=2)
    assert len(frames) == LENGTH
    assert frames[[0, 19, 34, 47]].tolist() == [2, 2, 2, 2]
    assert frames[20:34].tolist() == [*range(3, 10), *range(3, 10)]
    assert actor_frames((0, 7), begin=0, turns=1)[7:].tolist() == [7] * 41  # the only rest is after the turn
    assert there_and_back(14)[:5].tolist() == [14, 15, 15, 14, 13]


@pytest.mark.parametrize("turns", [1, 3])
def test_the_mask_moves_while_the_actor_acts_and_rests_otherwise(turns: int) -> None:
    for label in (2, 3):  # a circle, forwards and with time reversed
        clip = long_clip(5, label, turns=turns)
        (start, end), mask = clip.intervals[0], clip.masks[0]
        assert clip.label == label
        assert clip.frames.shape == (LENGTH, 64, 64, 3)
        assert 7 * turns <= end - start <= 11 * turns
        middle = np.array([np.argwhere(plane).mean(axis=0) for plane in mask])
        moved = np.linalg.norm(np.diff(middle, axis=0), axis=1)
        is_acting = (np.arange(LENGTH - 1) >= start) & (np.arange(LENGTH - 1) < end - 1)
        assert moved[is_acting].min() > 1.2  # it moves by 3.4 px or more; the camera shakes by 0.8 at most
        assert moved[~is_acting & (np.abs(np.arange(LENGTH - 1) - start + 1) > 0)].mean() < moved[is_acting].mean() / 2


def test_the_truth_itself_measures_best() -> None:
    (clip,) = made_clips(1, turns=1)
    answer = filled_boxes(clip).any(axis=0).astype(np.float32)
    assert truth_measures(np.asarray(answer), clip) == (1.0, 1.0, 1.0)
    assert truth_measures(np.ones_like(answer), clip)[1] == pytest.approx(answer.mean())
