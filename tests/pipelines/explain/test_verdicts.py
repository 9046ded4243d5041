"""The verdicts on the maps of a video: why there is none, means over windows, and what is said of the whole video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.nets import brightness_model
from tests.helpers.videos import noise_frames
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.measure import Measured
from vidcam.pipelines.explain.verdicts import measured_checks, motion_sentence, video_sentence
from vidcam.results.explanation import Explanation
from vidcam.results.io import load
from vidcam.results.verdict import Verdict
from vidcam.results.video import VideoExplanation

GOOD, BAD = Verdict("reliable", "keeps 80 %", 0.9), Verdict("unreliable", "keeps 3 %", 0.1)


def _measured(share: float, mirror: float | None) -> Measured:
    logs = {("cam", "half"): np.log(0.5 * share), ("random", "half"): np.log(0.1), ("frozen", "frames"): np.log(0.4)}
    return Measured(log_original=np.log(0.5), logs=logs, mirror={"cam": mirror}, class_change={})


def _explanation(volume: list[float]) -> Explanation:
    return Explanation(
        volumes={"cam": np.array(volume, np.float32).reshape(1, 1, 1, -1)},
        logits=np.zeros((1, 3), np.float32),
        target=np.zeros(1, np.int64),
        contrast=None,
        layer="relu",
        input_size=(4, 8, 8),
    )


def test_checks_are_means_over_the_windows() -> None:
    measured = [_measured(0.9, 0.5), _measured(0.4, None), _measured(0.6, 0.1)]
    checks = measured_checks(measured, _explanation([1.0, 0.25, 0.5]), "cam")
    assert checks["kept"] == pytest.approx((0.9 * 0.4 * 0.6) ** (1 / 3))
    assert checks["kept_random"] == pytest.approx(0.2)
    assert checks["mirror"] == pytest.approx(0.3)
    assert checks["range"] == pytest.approx(0.75)
    assert (checks["kept_centre"], checks["class_change"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([BAD, BAD], "No map is reliable here."),
        ([GOOD, GOOD], "Checked: nothing found."),
        ([GOOD, BAD], ""),
    ],
)
def test_the_video_says_if_no_map_is_reliable_or_nothing_was_found(words: list[Verdict], found: str) -> None:
    first, second = words
    assert video_sentence([{"cam": first}, {"cam": second}], {}) == found
    sentence = video_sentence([{"cam": first, "gradcam": second}], {"frozen": 0.3})
    assert sentence.startswith(found)
    assert sentence.endswith("motion counts.")


def test_nothing_was_found_only_if_no_other_sentence_found_something() -> None:
    maps = [{"cam": GOOD}]
    assert "nothing found" in video_sentence(maps, {"frozen": 0.3})
    assert "nothing found" not in video_sentence(maps, {"frozen": 0.9})
    assert "nothing found" not in video_sentence(maps, {"frozen": 0.3}, has_findings=True)


@pytest.mark.parametrize(
    ("frozen", "meaning"),
    [
        (4.94, "is 494 % of what it was (reversed 99 %): motion speaks against the class."),
        (1.2, "is 120 % of what it was (reversed 99 %): the model reads single frames."),
        (0.6, "is 60 % of what it was (reversed 99 %): motion counts a little."),
        (0.31, "is 31 % of what it was (reversed 99 %): motion counts."),
    ],
)
def test_frozen_frames_tell_whether_motion_counts(frozen: float, meaning: str) -> None:
    assert motion_sentence({"frozen": frozen, "reversed": 0.99}).endswith(meaning)
    assert motion_sentence({}) == ""


@pytest.mark.parametrize(("frames", "word"), [(14, "too short to tell"), (20, None)])
def test_a_video_that_fills_less_than_half_a_window_is_too_short_to_tell(
    frames: int, word: str | None, tmp_path: Path
) -> None:
    """A window is 1.28 s long."""
    result = explain_video(
        noise_frames(frames, 64, 64),
        tmp_path / "out",
        model=brightness_model(),
        targets=(0,),
        outputs=("data",),
        fps=25,
    )
    verdict = result.explanation.verdict("gradcam")
    if word is None:
        assert verdict.word in {"reliable", "doubtful", "unreliable"}
        assert verdict.checks["kept"] is not None
        assert result.document.verdict is not None
        assert set(result.document.verdict.motion) == {"frozen", "shuffled", "reversed"}
    else:
        assert verdict.word == word
        assert result.document.verdict is None
    assert result.verdicts[0].startswith(f"gradcam: {verdict.word}")
    saved = load(tmp_path / "out" / result.paths[0].name)
    assert isinstance(saved, VideoExplanation)
    assert (saved.verdicts, saved.video_verdict) == (result.explanation.verdicts, result.document.verdict)


@pytest.mark.parametrize(
    ("forwards", "overlap", "said"),
    [
        (16, 0.0, "The maps were checked on 1 of 3 windows that do not overlap."),
        (16, 0.5, "The maps were checked on 1 of 3 windows that do not overlap."),
        (60, 0.5, ""),
    ],
)
def test_it_is_said_if_the_maps_were_not_checked_everywhere(
    forwards: int, overlap: float, said: str, tmp_path: Path
) -> None:
    result = explain_video(
        noise_frames(96, 64, 64),
        tmp_path / "out",
        model=brightness_model(),
        targets=(0,),
        outputs=("data",),
        fps=25,
        overlap=overlap,
        verdict_forwards=forwards,
    )
    assert result.document.verdict is not None
    assert ("were checked" in result.document.verdict.sentence) == bool(said)
    assert result.document.verdict.sentence.endswith(said)
    assert result.verdicts[-1] == result.document.verdict.sentence


def test_a_sentence_may_stand_alone() -> None:
    maps = [{"cam": GOOD, "gradcam": BAD}]
    assert video_sentence(maps, {}, "The maps were checked.") == "The maps were checked."
