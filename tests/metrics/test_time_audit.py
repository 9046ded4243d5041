from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vidcam.errors import InputError
from vidcam.metrics.time_audit import changed_frames


def changed(change: Any, frames: int, seed: int = 0) -> list[int]:
    return [int(index) for index in changed_frames(change, frames, np.random.default_rng(seed))]


def test_frames_of_each_change() -> None:
    assert changed("frozen", 5) == [2] * 5
    assert changed("reversed", 4) == [3, 2, 1, 0]
    assert sorted(changed("shuffled", 16)) == list(range(16))


def test_a_shuffle_is_seeded_and_never_the_original_order() -> None:
    assert changed("shuffled", 16, 1) == changed("shuffled", 16, 1)
    assert changed("shuffled", 16, 1) != changed("shuffled", 16, 2)
    assert all(changed("shuffled", 2, seed) == [1, 0] for seed in range(8))
    assert changed("shuffled", 1) == [0]


def test_unknown_change() -> None:
    with pytest.raises(InputError, match="change is 'faster', expected one of frozen, shuffled, reversed"):
        changed("faster", 4)
