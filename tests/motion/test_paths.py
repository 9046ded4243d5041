from __future__ import annotations

import numpy as np
import pytest

from vidcam.motion.draws import Draws
from vidcam.motion.paths import (
    FRAMES,
    LABELS,
    LONGEST,
    NEARNESS,
    REACH_PX,
    SHORTEST,
    Values,
    acting_path,
    distracting_path,
    reverse_of,
)


def turns(first: Values, second: Values, interval: tuple[int, int]) -> float:
    """Signed turns from `first` towards `second` within an interval, by summing small angles."""
    angles = np.unwrap(np.arctan2(second, first)[slice(*interval)])
    return float((angles[-1] - angles[0]) / (2 * np.pi))


def test_labels_come_in_pairs() -> None:
    assert len(set(LABELS)) == 8
    for label, name in enumerate(LABELS):
        assert reverse_of(reverse_of(label)) == label
        assert LABELS[reverse_of(label)].split()[0] == name.split()[0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pair", range(4))
def test_one_whole_turn_the_way_that_the_label_says(pair: int, seed: int) -> None:
    path, interval = acting_path(Draws(seed), pair, (30.0, 34.0))
    length = interval[1] - interval[0]
    assert SHORTEST <= length <= LONGEST
    down, right = (path.y_px - 30.0) / REACH_PX, (path.x_px - 34.0) / REACH_PX
    near = np.log(path.scale) / NEARNESS
    found = {
        0: lambda: turns(np.cos(path.angle), np.sin(path.angle), interval),  # x to y (down) is clockwise
        1: lambda: turns(right, down, interval),  # right, then down: clockwise
        2: lambda: turns(-near, -right, interval) * -1.0,  # from near to the right: it goes right when near
        3: lambda: turns(-near, -down, interval) * -1.0,
    }[pair]()
    sign = 1.0 if pair < 2 else np.sign(found)
    assert sign * found == pytest.approx((length - 1) / length)
    if pair >= 2:
        nearest = int(np.argmax(near[slice(*interval)])) + interval[0]
        beside = [frame for frame in (nearest - 1, nearest + 1) if interval[0] <= frame < interval[1]]
        moved = (right if pair == 2 else down)[[min([nearest, *beside]), max([nearest, *beside])]]
        assert moved[1] > moved[0]


def test_a_frame_tells_no_class() -> None:
    """Where, how large and which way round an actor is has one distribution in all classes, at every frame."""
    frames = np.array([0, 5, 8, 15])
    means, spreads = [], []
    for pair in range(4):
        paths = [acting_path(Draws(seed, 99), pair, (0.0, 0.0))[0] for seed in range(600)]
        values = np.array([[p.y_px, p.x_px, np.cos(p.angle), np.sin(p.angle), np.log(p.scale)] for p in paths])
        means.append(values[..., frames].mean(axis=0))
        spreads.append(values[..., frames].std(axis=0))
    scale = np.array([REACH_PX, REACH_PX, 1.0, 1.0, NEARNESS])[:, None] / np.sqrt(2)
    np.testing.assert_allclose(np.array(means) / scale, 0.0, atol=0.16)
    np.testing.assert_allclose(np.array(spreads) / scale, 1.0, atol=0.1)


def test_distractors_move_along_one_line() -> None:
    moved = set()
    for seed in range(30):
        path = distracting_path(Draws(seed), (20.0, 30.0))
        assert path.y_px.shape == (FRAMES,)
        changing = [bool(np.ptp(values) > 1e-6) for values in (path.y_px + path.x_px, path.angle, path.scale)]
        assert sum(changing) == 1
        place = np.stack([path.y_px, path.x_px], axis=1)
        assert np.linalg.matrix_rank(place - place.mean(axis=0), tol=1e-6) <= 1
        moved.add(changing.index(True))
    assert moved == {0, 1, 2}
