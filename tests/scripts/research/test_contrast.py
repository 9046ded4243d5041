"""The measures of the overlay, on a frame by hand; the colours, beside published values."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.research.colour_vision import VISIONS, lab
from scripts.research.contrast import Candidate, Sample, candidates, faint_change, lightness_step, measure
from vidcam.render.colormap import colour_table


def test_lab_of_known_colours() -> None:
    assert lab([255, 255, 255]) == pytest.approx([100, 0, 0], abs=0.02)
    assert lab([0, 0, 0]) == pytest.approx([0, 0, 0], abs=1e-9)
    assert lab([255, 0, 0]) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


def test_greys_stay_grey_and_red_and_green_come_together() -> None:
    for vision in VISIONS:
        assert lab([128, 128, 128], vision) == pytest.approx(lab([128, 128, 128]), abs=0.1)
    red, green = [200, 60, 60], [90, 120, 50]
    apart = {vision: float(np.linalg.norm(lab(red, vision) - lab(green, vision))) for vision in VISIONS}
    assert apart["deuteranopia"] < apart["normal"] / 3


def made(peak: int) -> Sample:
    """Stripes under heat that is `peak` in one block of 16 × 16 and 3 elsewhere."""
    frames = np.broadcast_to((np.arange(64) // 8 % 2 * 40 + 100).astype(np.uint8)[None, None, :, None], (1, 48, 64, 3))
    steps = np.full((1, 48, 64), 3, np.uint8)
    steps[0, 16:32, 32:48] = peak
    return Sample("made", "stripes", "gradcam", frames, steps)


def test_measures_by_hand() -> None:
    """White with opacity 0.2: 100 becomes 131 and 140 becomes 163. Gradients stay proportional inside the block."""
    half = Candidate("white", np.full((256, 3), 255, np.uint8), np.where(np.arange(256) > 60, 0.2, 0.0))
    ((change, edges, contrast),) = measure(made(128), half)
    assert change == pytest.approx((31 + 23) / 2)
    assert 0.5 < edges < 1.0
    assert 0.7 < contrast < 1.3
    assert faint_change(half) == 0
    assert measure(made(63), half).shape == (0, 3)


def test_faint_heat_and_order() -> None:
    earlier, chosen = candidates()[:2]
    assert (faint_change(earlier), faint_change(chosen)) == (3, 0)
    assert lightness_step(colour_table("gray")) > 8
    assert lightness_step(colour_table("turbo")) < -10
