from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.metrics.temporal_iou import frame_means, temporal_iou


def with_frame_means(*means: float) -> np.ndarray:
    """Return a map (1, T, 2, 2) with these frame means."""
    return np.repeat(np.repeat(np.array(means)[None, :, None, None], 2, axis=2), 2, axis=3)


def test_frames_above_half_of_the_peak() -> None:
    heat = with_frame_means(0.1, 0.5, 1.0, 0.6, 0.4)  # frames 1, 2, 3 reach half of the peak
    np.testing.assert_allclose(frame_means(heat), [[0.1, 0.5, 1.0, 0.6, 0.4]])
    for acting, expected in (([0, 1, 1, 1, 0], 1.0), ([1, 1, 1, 0, 0], 2 / 4), ([1, 0, 0, 0, 0], 0.0)):
        assert temporal_iou(heat, np.array([acting], np.bool_))[0] == pytest.approx(expected)


def test_an_empty_map_has_no_frames_and_a_flat_map_all() -> None:
    acting = np.array([[True, False, False, False]])
    assert temporal_iou(with_frame_means(0.0, 0.0, 0.0, 0.0), acting)[0] == 0.0
    assert temporal_iou(with_frame_means(0.3, 0.3, 0.3, 0.3), acting)[0] == 0.25


def test_equals_a_plain_loop_also_on_reversed_time() -> None:
    generator = np.random.default_rng(4)
    heat, acting = generator.random((12, 6, 2, 3)), generator.random((12, 6)) < 0.5
    acting[:, 0] = True
    got = temporal_iou(heat, acting)
    np.testing.assert_allclose(temporal_iou(heat[:, ::-1], acting[:, ::-1]), got)
    for clip, frames, value in zip(heat, acting, got, strict=True):
        means = [float(frame.mean()) for frame in clip]
        in_map = {index for index, mean in enumerate(means) if mean >= 0.5 * max(means)}
        of_action = {index for index, flag in enumerate(frames) if flag}
        assert value == pytest.approx(len(in_map & of_action) / len(in_map | of_action))


def test_invalid_arguments() -> None:
    with pytest.raises(ShapeError, match=r"acting \(N, T\) with an action in every clip, got heat.shape"):
        temporal_iou(with_frame_means(1.0, 0.0), np.zeros((1, 2), np.bool_))
    with pytest.raises(ShapeError, match=r"got heat.shape = \(1, 2, 2, 2\), acting.shape = \(1, 3\)"):
        temporal_iou(with_frame_means(1.0, 0.0), np.ones((1, 3), np.bool_))
