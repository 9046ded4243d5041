from __future__ import annotations

import numpy as np
import pytest

from vidcam.metrics.area import area


def test_by_hand() -> None:
    assert area(np.array([[[0.0, 1.0]], [[0.5, 0.5]]])) == 0.5
    assert area(np.ones((2, 3, 4), np.float32)) == 1.0


def test_a_large_map_keeps_its_digits() -> None:
    assert area(np.full((16, 224, 224), 0.1, np.float32)) == pytest.approx(0.1, abs=1e-8)
