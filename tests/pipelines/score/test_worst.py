from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.nets import brightness_model
from tests.helpers.score_results import scores
from tests.pipelines.conftest import VideoMaker
from vidcam.pipelines import forward
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.worst import worst_clips


def test_the_worst_clips_by_hand() -> None:
    (worst,) = worst_clips(scores(), 1)
    assert (worst.clip, worst.name, worst.start_seconds, worst.label) == (2, "c.mp4", 1.5, "archery")
    assert worst_clips(scores(), 0) == []


@pytest.mark.slow
def test_the_model_is_prepared_once_for_scores_and_overlays(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    look = forward.compute_grey_baseline

    def counted(*given: object, **named: object) -> object:
        looks.append(given)
        return look(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(forward, "compute_grey_baseline", counted)
    for name, count in (("without", 0), ("with", 2)):
        options = ScoreOptions(methods=("gradcam",), render_worst=count)
        result = score_set(
            [make_video("one"), make_video("two", count=60)], tmp_path / name, options, model=brightness_model()
        )
        assert len(result.summary.worst) == count
        looks.append("end")
    first = looks.index("end")
    assert first > 0
    assert len(looks) == 2 * (first + 1)
