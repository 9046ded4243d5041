from __future__ import annotations

from tests.helpers.score_results import scores
from vidcam.pipelines.score.worst import worst_clips


def test_the_worst_clips_by_hand() -> None:
    (worst,) = worst_clips(scores(), 1)
    assert (worst.clip, worst.name, worst.start_seconds, worst.label) == (2, "c.mp4", 1.5, "archery")
    assert worst_clips(scores(), 0) == []
