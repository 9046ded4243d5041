"""Time stamps beyond the limit count as missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from vidcam.video.packets import decoded_frames, read_table


class FakePacket:
    """The attributes of a packet that are used, for a packet of one frame."""

    def __init__(self, pts: int | None, duration: int = 1) -> None:
        self.pts, self.duration = pts, duration
        self.size, self.is_keyframe, self.is_discard, self.is_corrupt = 1, True, False, False

    def has_sidedata(self, _kind: str) -> bool:
        return False

    def decode(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(pts=self.pts, dts=None)]


@pytest.mark.parametrize("far", [2**61, -(2**61), 2**63 - 1, -(2**63)])
def test_time_stamps_beyond_the_limit(far: int) -> None:
    packets = [FakePacket(0), FakePacket(40), FakePacket(far, far), FakePacket(120)]
    frames = decoded_frames(cast("Any", packets), 40)
    assert [tick for tick, _ in frames] == [0, 40, 80, 120]
    container = SimpleNamespace(demux=lambda _: iter(packets))
    table = read_table(cast("Any", container), cast("Any", None))
    assert table.displayed().tolist() == [0, 40, 120]
    assert not table.is_exact()
    assert np.abs(table.rows["duration"]).max() == 1
