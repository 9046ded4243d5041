from __future__ import annotations

import numpy as np
import pytest

from vidcam.motion.draws import Draws
from vidcam.motion.paths import (
    FRAMES,
    LABELS,
    LOG_DEPTH_SCALE,
    MAX_TURN_FRAMES,
    MIN_TURN_FRAMES,
    RADIUS_PX,
    Values,
    action_path,
    distractor_path,
    reversed_label,
)


def turns(first: Values, second: Values, interval: tuple[int, int]) -> float:
    """Signed turns from `first` towards `second` within an interval, by summing small angles."""
    angles = np.unwrap(np.arctan2(second, first)[slice(*interval)])
    return float((angles[-1] - angles[0]) / (2 * np.pi))


def test_labels_come_in_pairs() -> None:
    assert len(set(LABELS)) == 8
    for label, name in enumerate(LABELS):
        assert reversed_label(reversed_label(label)) == label
        assert LABELS[reversed_label(label)].split()[0] == name.split()[0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pair", range(4))
def test_an_action_is_one_full_turn_in_the_direction_of_its_label(pair: int, seed: int) -> None:
    path, interval = action_path(Draws(seed), pair, (30.0, 34.0))
    length = interval[1] - interval[0]
    assert MIN_TURN_FRAMES <= length <= MAX_TURN_FRAMES
    down, right = (path.y_px - 30.0) / RADIUS_PX, (path.x_px - 34.0) / RADIUS_PX
    near = np.log(path.scale) / LOG_DEPTH_SCALE
    turned = {
        0: lambda: turns(np.cos(path.angle), np.sin(path.angle), interval),  # x to y (down) is clockwise
        1: lambda: turns(right, down, interval),  # right, then down: clockwise
        2: lambda: turns(-near, -right, interval) * -1.0,  # from near to the right: it goes right when near
        3: lambda: turns(-near, -down, interval) * -1.0,
    }[pair]()
    sign = 1.0 if pair < 2 else np.sign(turned)
    assert sign * turned == pytest.approx((length - 1) / length)
    if pair >= 2:
        nearest = int(np.argmax(near[slice(*interval)])) + interval[0]
        beside = [frame for frame in (nearest - 1, nearest + 1) if interval[0] <= frame < interval[1]]
        moved = (right if pair == 2 else down)[[min([nearest, *beside]), max([nearest, *beside])]]
        assert moved[1] > moved[0]


def test_single_frames_have_one_distribution_in_all_classes() -> None:
    """Position, angle and size of an actor have the same distribution in all classes, at every frame."""
    frames = np.array([0, 5, 8, 15])
    means, spreads = [], []
    for pair in range(4):
        paths = [action_path(Draws(seed, 99), pair, (0.0, 0.0))[0] for seed in range(600)]
        values = np.array([[p.y_px, p.x_px, np.cos(p.angle), np.sin(p.angle), np.log(p.scale)] for p in paths])
        means.append(values[..., frames].mean(axis=0))
        spreads.append(values[..., frames].std(axis=0))
    scale = np.array([RADIUS_PX, RADIUS_PX, 1.0, 1.0, LOG_DEPTH_SCALE])[:, None] / np.sqrt(2)
    np.testing.assert_allclose(np.array(means) / scale, 0.0, atol=0.16)
    np.testing.assert_allclose(np.array(spreads) / scale, 1.0, atol=0.1)


def test_distractors_move_along_a_line() -> None:
    moved = set()
    for seed in range(30):
        path = distractor_path(Draws(seed), (20.0, 30.0))
        assert path.y_px.shape == (FRAMES,)
        changing = [bool(np.ptp(values) > 1e-6) for values in (path.y_px + path.x_px, path.angle, path.scale)]
        assert sum(changing) == 1
        place = np.stack([path.y_px, path.x_px], axis=1)
        assert np.linalg.matrix_rank(place - place.mean(axis=0), tol=1e-6) <= 1
        moved.add(changing.index(True))
    assert moved == {0, 1, 2}
