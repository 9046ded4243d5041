"""Tone mapping, compared with numbers from the ITU recommendations, and for tagged frames."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame

from vidcam.video.hdr import REFERENCE_WHITE, ToneMapper, hlg_inverse_oetf, pq_eotf, roll_off_highlights
from vidcam.video.pixels import Orientation, RgbConverter


def grey(signal: float) -> np.ndarray:
    return np.full((1, 1, 3), round(signal * 65535), np.uint16)


def test_pq_gives_the_light_of_the_standard() -> None:
    """BT.2408, table 1: 38 % is 26 cd/m², 58 % is 203 cd/m², 75 % is 983 cd/m²."""
    light = pq_eotf(np.array([0.0, 0.38, 0.58, 0.75, 1.0])) * REFERENCE_WHITE
    np.testing.assert_allclose(light, [0.0, 26.0, 203.0, 983.0, 10_000.0], rtol=0.02)


def test_hlg_gives_the_light_of_the_standard() -> None:
    """BT.2100: signal 0.5 is 1/12 of the light; signal 0.75 is reference white on a display of 1000 cd/m²."""
    np.testing.assert_allclose(hlg_inverse_oetf(np.array([0.0, 0.5, 1.0])), [0.0, 1 / 12, 1.0], atol=1e-6)
    display_light = 1000 * hlg_inverse_oetf(np.array([0.75])) ** 1.2
    np.testing.assert_allclose(display_light, [REFERENCE_WHITE], rtol=0.01)


def test_the_roll_off_is_smooth_and_never_reaches_white() -> None:
    light = np.linspace(0, 5, 5001, dtype=np.float32)
    compressed = roll_off_highlights(light)
    np.testing.assert_array_equal(compressed[light <= 0.6], light[light <= 0.6])
    assert np.all(np.diff(compressed) >= 0)
    assert np.abs(np.diff(compressed, 2)).max() < 1e-4
    assert compressed[-1] < 1


@pytest.mark.parametrize(("transfer", "white"), [("pq", 0.5807), ("hlg", 0.75)])
def test_grey_stays_grey_at_the_stated_level(transfer: str, white: float) -> None:
    mapper = ToneMapper("pq" if transfer == "pq" else "hlg", is_wide=True)
    black, at_white, peak = (mapper(grey(signal))[0, 0].astype(int) for signal in (0.0, white, 1.0))
    assert black.tolist() == [0, 0, 0]
    np.testing.assert_allclose(at_white, 255 * (0.6 + 0.4 * (1 - np.exp(-1))) ** (1 / 2.4), atol=2)
    assert peak.min() >= 253
    assert np.ptp(at_white) <= 1


def test_bt2020_red_stays_red_and_is_clipped_to_bt709() -> None:
    red = np.array([[[round(0.45 * 65535), 0, 0]]], np.uint16)
    wide, narrow = (ToneMapper("pq", is_wide=is_wide)(red)[0, 0].tolist() for is_wide in (True, False))
    assert wide[1:] == [0, 0] == narrow[1:]
    assert wide[0] > narrow[0] > 0


@pytest.mark.parametrize(("transfer", "signal"), [(16, 0.5807), (18, 0.75)])
def test_a_tagged_frame_is_tone_mapped(transfer: int, signal: float) -> None:
    """Reference white in a 10-bit BT.2020 frame, limited range, is bright. Read as SDR, it would be a mid grey."""
    frame = VideoFrame(32, 16, "yuv420p10le")
    for plane, value in zip(frame.planes, (round(64 + 876 * signal), 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, 9
    mapped = RgbConverter(size=(16, 32), orientation=Orientation())(frame)
    np.testing.assert_allclose(mapped, 255 * 0.8528 ** (1 / 2.4), atol=4)
    frame.color_trc = 14
    sdr = RgbConverter(size=(16, 32), orientation=Orientation())(frame)
    np.testing.assert_allclose(sdr, 255 * signal, atol=2)
