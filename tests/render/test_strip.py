"""The content of a time strip: ticks, labels, probabilities and invalid values."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.render.strip import TimeStrip, probability_steps

SECONDS = np.array([0.0, 1.0, 2.0])


def strip(**changes: object) -> TimeStrip:
    fields = {"span_seconds": (0.0, 4.0), "seconds": SECONDS, "evidence": {"gradcam": SECONDS / 2}} | changes
    return TimeStrip(**fields)  # type: ignore[arg-type]


def test_probability_is_the_mean_over_overlapping_windows() -> None:
    edges, values = probability_steps([(0.0, 2.0, 0.2), (1.0, 3.0, 0.6), (5.0, 6.0, 1.0)])
    assert edges.tolist() == [0.0, 1.0, 2.0, 3.0, 5.0, 6.0]
    assert values == pytest.approx([0.2, 0.4, 0.6, np.nan, 1.0], nan_ok=True)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0.0, 10.0), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ((0.0, 4.2), [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]),
        ((0.0, 754.0), [0, 120, 240, 360, 480, 600, 720]),
        ((31.9, 33.1), [32, 32.2, 32.4, 32.6, 32.8, 33]),
        ((0.0, 0.02), [0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.012, 0.014, 0.016, 0.018, 0.02]),
    ],
)
def test_ticks_are_round_and_inside(span: tuple[float, float], expected: list[float]) -> None:
    assert strip(span_seconds=span).ticks(max_steps=11) == pytest.approx(expected)


def test_a_very_long_video_has_few_ticks() -> None:
    assert 2 <= strip(span_seconds=(0.0, 86400.0 * 3)).ticks(max_steps=11).size <= 12


def test_time_labels() -> None:
    assert strip(span_seconds=(0.0, 10.0)).time_label(2.5) == "2.5 s"
    assert strip(span_seconds=(0.0, 10.0)).time_label(3.0, digits=2) == "3.00 s"
    assert strip(span_seconds=(0.0, 1.0)).time_label(0.1 + 0.2) == "0.3 s"
    assert strip(span_seconds=(0.0, 1.0)).time_label(-0.0) == "0 s"
    assert strip(span_seconds=(754.0, 756.0)).time_label(754.5) == "754.5 s"
    assert strip(span_seconds=(0.0, 754.0)).time_label(185.0) == "3:05"


def test_x_positions_are_clipped_to_the_strip() -> None:
    assert strip().x(np.array([-1.0, 0.0, 1.0, 4.0, 9.0]), 100.0, 500.0).tolist() == [100, 100, 200, 500, 500]
