from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import upsample_volume
from vidcam.results.timeline import EDGE_WEIGHT, Timeline

FRAMES = 16
STEP = 0.08


def windows(*starts: float, frames: int = FRAMES, step: float = STEP) -> Timeline:
    """Return windows with evenly sampled frames."""
    begin = np.array(starts)
    return Timeline(begin, begin + frames * step, begin[:, None] + step * np.arange(frames))


def noise(count: int, t: int = 2, h: int = 3, w: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(11).random((count, t, h, w)).astype(np.float32)


def levels(*values: float) -> NDArray[np.float64]:
    """Return one constant volume for each window."""
    return np.array(values)[:, None, None, None] * np.ones((1, 2, 1, 1))


def at(line: Timeline, volumes: NDArray[np.float64], *seconds: float) -> list[float]:
    return [float(value) for value in line.blend(volumes, np.array(seconds))[:, 0, 0]]


def test_blend_of_two_windows() -> None:
    line = Timeline(np.array([0.0, 1.0]), np.array([2.0, 3.0]), np.array([[0.0, 1.0], [1.0, 2.0]]))
    values = at(line, levels(1, 3), -0.1, 0.0, 0.5, 1.0, 1.25, 1.5, 1.75, 2.0, 2.9, 3.0, 9.0)
    # weights at 1.25: 3/4 and 1/4, at 1.5: 1/2 and 1/2
    assert values == pytest.approx([0, 1, 1, 1, 1.5, 2, 2.5, 3, 3, 0, 0], abs=1e-5)


def test_blend_of_three_windows() -> None:
    line = Timeline(np.array([0.0, 1.0, 2.0]), np.array([4.0, 5.0, 6.0]), np.zeros((3, 1)))
    (value,) = at(line, levels(1, 10, 100), 2.5)  # weights 3/4, 3/4, 1/4
    assert value == pytest.approx((0.75 * 1 + 0.75 * 10 + 0.25 * 100) / 1.75)


def test_one_window_shows_its_own_upsampled_map_at_its_frames() -> None:
    line, volumes = windows(2.0), noise(1)
    blended = line.blend(volumes, line.frame_seconds[0])
    np.testing.assert_allclose(blended, upsample_volume(volumes, (FRAMES, 3, 4))[0], rtol=0, atol=1e-6)


def test_between_two_frames_the_map_is_linear() -> None:
    line, volumes = windows(0.0), noise(1, t=5)
    at_frames = line.blend(volumes, line.frame_seconds[0])
    third = line.blend(volumes, line.frame_seconds[0, :-1] + STEP / 4)
    np.testing.assert_allclose(third, 0.75 * at_frames[:-1] + 0.25 * at_frames[1:], rtol=0, atol=1e-6)


def test_held_frames_share_their_moment() -> None:
    line = Timeline(np.array([0.0]), np.array([1.0]), np.array([[0.0, 0.5, 0.5, 0.5]]))
    volumes = np.array([1.0, 2, 4, 9]).reshape(1, 4, 1, 1)
    assert at(line, volumes, 0.0, 0.25, 0.5, 0.9) == pytest.approx([1, 3, 5, 5])  # (2 + 4 + 9) / 3 = 5


def test_looped_frames_are_averaged_over_the_rounds() -> None:
    line = Timeline(np.array([0.0]), np.array([1.0]), np.array([[0.0, 0.5, 0.0, 0.5]]))
    volumes = np.array([1.0, 2, 5, 10]).reshape(1, 4, 1, 1)
    assert at(line, volumes, 0.0, 0.5) == pytest.approx([3, 6])


starts_of_windows = st.lists(st.integers(0, 20), min_size=1, max_size=5, unique=True).map(sorted)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(starts_of_windows, st.floats(1e-3, 1e3))
def test_equal_windows_blend_to_themselves(starts: list[int], level: float) -> None:
    line = windows(*(start / 4 for start in starts))
    seconds = np.linspace(-0.5, 7, 301)
    inside = ((line.starts[:, None] <= seconds) & (seconds < line.ends[:, None])).any(axis=0)
    blended = line.blend(levels(*[level] * len(starts)), seconds)[:, 0, 0]
    np.testing.assert_allclose(blended[inside], level, rtol=1e-6)
    assert not blended[~inside].any()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(starts_of_windows)
def test_a_blend_lies_between_the_blended_values(starts: list[int]) -> None:
    line, volumes = windows(*(start / 4 for start in starts)), noise(len(starts)) + 1
    blended = line.blend(volumes, np.linspace(-0.5, 7, 97))
    seen = blended[blended.max(axis=(1, 2)) > 0]
    assert seen.min() >= volumes.min() - 1e-6
    assert seen.max() <= volumes.max() + 1e-6


@pytest.mark.parametrize("hop", [0.64, 0.32, 0.96, 0.08])
def test_maps_do_not_jump_at_window_borders(hop: float) -> None:
    """A step dt changes the map by at most its slope in a window plus the slope of the weights."""
    line = windows(*(np.arange(5) * hop))
    volumes = noise(5)
    dt = 1e-4
    seconds = np.arange(0.0, line.ends[-1] - dt, dt)
    jumps = np.abs(np.diff(line.blend(volumes, seconds), axis=0)).max()
    spread = float(volumes.max() - volumes.min())
    half = FRAMES * STEP / 2
    within = spread / (FRAMES / 2 * STEP)  # t = 2 cells of 8 frames
    lowest = min(hop, 2 * half - hop) / half / 2  # the smallest sum of weights
    across = 5 * spread / half / lowest
    assert jumps <= (within + across) * dt + 10 * EDGE_WEIGHT
    assert jumps < 0.02 * spread


def test_time_reversed_video_has_the_reversed_blend() -> None:
    line, volumes = windows(0.0, 0.64, 1.0), noise(3)
    seconds = np.linspace(0.011, 2.2, 83)
    end = 2.3
    mirrored = Timeline(
        (end - line.ends)[::-1], (end - line.starts)[::-1], (end - line.frame_seconds)[::-1, ::-1].copy()
    )
    forwards = line.blend(volumes, seconds)
    backwards = mirrored.blend(volumes[::-1, ::-1].copy(), (end - seconds)[::-1].copy())
    np.testing.assert_allclose(backwards[::-1], forwards, rtol=0, atol=1e-6)


def test_order_of_windows_does_not_matter() -> None:
    line, volumes = windows(0.0, 0.64, 1.28), noise(3)
    order = np.array([2, 0, 1])
    shuffled = Timeline(line.starts[order], line.ends[order], line.frame_seconds[order])
    seconds = np.linspace(0, 2.5, 50)
    np.testing.assert_allclose(shuffled.blend(volumes[order], seconds), line.blend(volumes, seconds), atol=1e-6)


def test_moments_together_equal_single_moments() -> None:
    line, volumes = windows(0.0, 0.64, 1.28, 3.0), noise(4)
    seconds = np.linspace(-0.2, 5, 60)
    alone = np.concatenate([line.blend(volumes, seconds[i : i + 1]) for i in range(60)])
    np.testing.assert_allclose(line.blend(volumes, seconds), alone, rtol=0, atol=1e-7)


def test_moments_may_come_in_any_order() -> None:
    line, volumes = windows(0.0, 2.0), noise(2)
    seconds = np.array([2.5, 0.5])
    np.testing.assert_allclose(line.blend(volumes, seconds)[::-1], line.blend(volumes, np.sort(seconds)), atol=1e-7)


def test_zeros_between_windows() -> None:
    blended = windows(0.0, 3.0).blend(noise(2), np.array([1.27, 1.28, 2.0, 2.999, 3.0]))
    assert [bool(plane.any()) for plane in blended] == [True, False, False, False, True]
    assert blended.dtype == np.float32


def test_volumes_stay_unchanged() -> None:
    line, volumes = windows(0.0, 0.64), noise(2)
    before = volumes.copy()
    line.blend(volumes, np.linspace(0, 1, 9))
    np.testing.assert_array_equal(volumes, before)


@pytest.mark.parametrize(
    ("starts", "ends", "frames"),
    [((2,), (3,), (2, 4)), ((2,), (2,), (3, 4)), ((2,), (2,), (2,)), ((2, 1), (2, 1), (2, 4))],
)
def test_shapes_must_agree(starts: tuple[int, ...], ends: tuple[int, ...], frames: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"starts and ends must be \(N,\), frame_seconds \(N, T\), got starts"):
        Timeline(np.zeros(starts), np.ones(ends), np.zeros(frames))


def test_length_is_the_number_of_windows() -> None:
    assert len(windows(0.0, 0.5, 1.0)) == 3
