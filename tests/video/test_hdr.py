"""Tone mapping against the recommendations' own numbers, and as files show it."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame

from vidcam.video.hdr import REFERENCE_WHITE, ToneMapper, hlg_scene_light, pq_light, rolled_off
from vidcam.video.pixels import Orientation, RgbDecoder


def grey(signal: float) -> np.ndarray:
    return np.full((1, 1, 3), round(signal * 65535), np.uint16)


def test_pq_gives_the_light_of_the_standard() -> None:
    """BT.2408, table 1: 58 % is 203 cd/m², 75 % is 983, 38 % is 26."""
    found = pq_light(np.array([0.0, 0.38, 0.58, 0.75, 1.0])) * REFERENCE_WHITE
    np.testing.assert_allclose(found, [0.0, 26.0, 203.0, 983.0, 10_000.0], rtol=0.02)


def test_hlg_gives_the_light_of_the_standard() -> None:
    """BT.2100: half the signal is a twelfth of the light; three quarters, on 1000 cd/m², are reference white."""
    np.testing.assert_allclose(hlg_scene_light(np.array([0.0, 0.5, 1.0])), [0.0, 1 / 12, 1.0], atol=1e-6)
    shown = 1000 * hlg_scene_light(np.array([0.75])) ** 1.2
    np.testing.assert_allclose(shown, [REFERENCE_WHITE], rtol=0.01)


def test_the_roll_off_is_smooth_and_never_reaches_white() -> None:
    light = np.linspace(0, 5, 5001, dtype=np.float32)
    found = rolled_off(light)
    np.testing.assert_array_equal(found[light <= 0.6], light[light <= 0.6])
    assert np.all(np.diff(found) >= 0)
    assert np.abs(np.diff(found, 2)).max() < 1e-4
    assert found[-1] < 1


@pytest.mark.parametrize(("transfer", "white"), [("pq", 0.5807), ("hlg", 0.75)])
def test_greys_are_grey_and_light_as_stated(transfer: str, white: float) -> None:
    mapper = ToneMapper("pq" if transfer == "pq" else "hlg", is_wide=True)
    black, at_white, peak = (mapper(grey(signal))[0, 0].astype(int) for signal in (0.0, white, 1.0))
    assert black.tolist() == [0, 0, 0]
    np.testing.assert_allclose(at_white, 255 * (0.6 + 0.4 * (1 - np.exp(-1))) ** (1 / 2.4), atol=2)
    assert peak.min() >= 253
    assert np.ptp(at_white) <= 1


def test_wide_red_is_red_and_what_bt709_cannot_show_is_cut() -> None:
    red = np.array([[[round(0.45 * 65535), 0, 0]]], np.uint16)
    wide, narrow = (ToneMapper("pq", is_wide=is_wide)(red)[0, 0].tolist() for is_wide in (True, False))
    assert wide[1:] == [0, 0] == narrow[1:]
    assert wide[0] > narrow[0] > 0


@pytest.mark.parametrize(("transfer", "signal"), [(16, 0.5807), (18, 0.75)])
def test_a_tagged_frame_is_mapped(transfer: int, signal: float) -> None:
    """White paper in a 10-bit BT.2020 frame, limited range: bright, not the mid grey that its numbers are in SDR."""
    frame = VideoFrame(32, 16, "yuv420p10le")
    for plane, value in zip(frame.planes, (round(64 + 876 * signal), 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, 9
    found = RgbDecoder(size=(16, 32), orientation=Orientation())(frame)
    np.testing.assert_allclose(found, 255 * 0.8528 ** (1 / 2.4), atol=4)
    frame.color_trc = 14
    plain = RgbDecoder(size=(16, 32), orientation=Orientation())(frame)
    np.testing.assert_allclose(plain, 255 * signal, atol=2)
