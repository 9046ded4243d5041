from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import InputError, ShapeError
from vidcam.maps import upsample_volume
from vidcam.metrics.grid import draw_pairs, half_share, right_side


def share(volume: list[list[list[float]]], size: tuple[int, int, int], axis: int, half: int) -> float:
    return float(half_share(np.array([volume]), size, axis=axis, half=half)[0])


def test_shares_that_can_be_worked_out_in_the_head() -> None:
    volume = [[[3.0, 1.0, 0.0, 4.0]], [[0.0, 0.0, 2.0, 0.0]]]  # two frames of one row
    assert share(volume, (2, 1, 4), -1, 0) == pytest.approx(0.4)
    assert share(volume, (2, 1, 4), -1, 1) == pytest.approx(0.6)
    assert share(volume, (2, 1, 4), -3, 0) == pytest.approx(0.8)
    assert share(volume, (2, 1, 4), -3, 1) == pytest.approx(0.2)


def test_the_map_is_upsampled_first() -> None:
    # cells 4 and 0 of two columns become 4, 3, 1, 0: their sum is 8, 7 of it on the left
    assert share([[[4.0, 0.0]]], (1, 1, 4), -1, 0) == pytest.approx(7 / 8)


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_it_equals_the_share_of_the_upsampled_map(axis: int) -> None:
    volumes = np.random.default_rng(0).random((3, 3, 2, 5)).astype(np.float32)
    size = (10, 6, 14)
    heat = upsample_volume(volumes.astype(np.float64), size)
    first = np.take(heat, np.arange(size[axis] // 2), axis=axis)
    expected = first.reshape(3, -1).sum(axis=1) / heat.reshape(3, -1).sum(axis=1)
    np.testing.assert_allclose(half_share(volumes, size, axis=axis, half=0), expected, rtol=1e-12)
    np.testing.assert_allclose(half_share(volumes, size, axis=axis, half=1), 1.0 - expected, rtol=1e-12)


def test_the_minimum_is_not_subtracted() -> None:
    assert share([[[5.0, 6.0]]], (1, 1, 2), -1, 1) == pytest.approx(6 / 11)  # min-max would make it 1


def test_a_negative_value_counts_as_none() -> None:
    assert share([[[-9.0, 1.0]]], (1, 1, 2), -1, 0) == 0.0
    assert share([[[-9.0, 1.0]]], (1, 1, 2), -1, 1) == 1.0


def test_an_empty_map_and_a_flat_map_know_nothing() -> None:
    assert share([[[0.0, 0.0]]], (1, 1, 2), -1, 1) == 0.5
    assert share([[[-1.0, -2.0]]], (1, 1, 2), -1, 0) == 0.5
    assert share([[[2.0]]], (4, 6, 8), -1, 0) == pytest.approx(0.5)


def test_the_middle_of_an_odd_length_counts_half() -> None:
    assert share([[[1.0, 2.0, 5.0]]], (1, 1, 3), -1, 0) == pytest.approx(2 / 8)
    assert share([[[1.0, 2.0, 5.0]]], (1, 1, 3), -1, 1) == pytest.approx(6 / 8)


def test_a_share_of_one_half_is_on_neither_side() -> None:
    assert right_side(np.array([0.9, 0.51, 0.5, 0.5 + 1e-12, 0.49, 0.0])).tolist() == [1, 1, 0.5, 0.5, 0, 0]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ShapeError, match="volumes are"):
        half_share(np.ones((1, 2, 2)), (4, 4, 4), axis=-1, half=0)
    with pytest.raises(ShapeError, match="axis -3"):
        half_share(np.ones((1, 2, 2)), (4, 4), axis=-3, half=0)
    with pytest.raises(InputError, match="half is 2"):
        half_share(np.ones((1, 2, 2)), (4, 4), axis=-1, half=2)


def test_pairs_have_different_classes_and_use_no_clip_twice() -> None:
    classes = ["a", "b", "a", "c", "a", "b", "a", "c"]
    pairs = draw_pairs(classes, np.random.default_rng(0))
    assert len(pairs) == 4
    assert all(classes[first] != classes[second] for first, second in pairs)
    assert sorted(clip for pair in pairs for clip in pair) == list(range(8))
    assert pairs == draw_pairs(classes, np.random.default_rng(0))
    assert pairs != draw_pairs(classes, np.random.default_rng(1))


def test_clips_without_a_partner_are_left() -> None:
    assert len(draw_pairs([0, 0, 0, 0, 1], np.random.default_rng(0))) == 1
    assert draw_pairs([0, 0, 0], np.random.default_rng(0)) == ()
    assert draw_pairs([], np.random.default_rng(0)) == ()


def test_of_each_group_one_clip_is_drawn() -> None:
    groups = ["one", "one", "one", "two"]
    for seed in range(5):
        (pair,) = draw_pairs([0, 1, 2, 3], np.random.default_rng(seed), groups=groups)
        assert {groups[clip] for clip in pair} == {"one", "two"}
