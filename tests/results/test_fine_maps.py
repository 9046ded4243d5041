"""Fine maps in results: float16 with a unit for each clip, saved, blended with the units, on a scale of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.results.test_video import PTS, explanation, line, video
from vidcam.errors import NameNotFoundError
from vidcam.results.clip_arrays import with_half_maps
from vidcam.results.explanation import Artifact, Explanation
from vidcam.results.io import load
from vidcam.results.notes import completeness_notes
from vidcam.results.video import VideoExplanation, video_bounds, window_factors

IG = "integrated-gradients"
SCALES = np.array([1e-12, 1.0, 1e9, 0.0])
"""Far outside of float16's range, and an empty map."""


def fine(clips: int = 4, scales: np.ndarray = SCALES) -> Explanation:
    """Coarse maps, and a map of the input on another grid."""
    values = np.random.default_rng(5).normal(size=(clips, 8, 6, 8)) * scales[:, None, None, None]
    plain, signed = explanation(clips), values.astype(np.float32)
    return replace(
        plain,
        volumes={**plain.volumes, IG: signed.clip(min=0)},
        signed={IG: signed},
        completeness={IG: np.array([0.001, -0.03, 0.0, 0.02])[:clips]},
    )


def fine_video(made: Explanation) -> VideoExplanation:
    plain = video(len(made))
    return replace(plain, explanations=(made,), bounds=video_bounds((made,), line(len(made)), PTS))


def test_half_maps_keep_their_values() -> None:
    made = fine()
    half = with_half_maps(made)
    assert half.volumes[IG].dtype == half.signed[IG].dtype == np.float16
    assert half.volumes["gradcam"] is made.volumes["gradcam"]
    for n in range(4):
        peak = max(float(made.volumes[IG][n].max()), 1e-30)
        np.testing.assert_allclose(half.volume(IG)[n] / peak, made.volumes[IG][n] / peak, rtol=0, atol=5e-4)
    assert (half.volumes[IG] != 0).sum() == (made.volumes[IG] != 0).sum()
    assert half.volume(IG).dtype == np.float32
    np.testing.assert_array_equal(half.heat("gradcam"), made.heat("gradcam"))
    np.testing.assert_allclose(half.heat(IG), made.heat(IG), atol=1e-3)
    assert with_half_maps(half).factors[IG] is half.factors[IG]


def test_the_unit_is_a_power_of_two_below_the_end_of_float16() -> None:
    factors = with_half_maps(fine()).factors[IG]
    assert np.frexp(factors)[0].tolist() == [0.5] * 4
    assert factors[3] == 1.0
    assert (
        2**14 <= np.abs(with_half_maps(fine()).signed[IG][:3].astype(float)).reshape(3, -1).max(axis=1).min() <= 2**15
    )


def test_saved_and_loaded(tmp_path: Path) -> None:
    whole = fine_video(with_half_maps(fine()))
    whole.save(tmp_path / "a.npz")
    read = load(tmp_path / "a.npz")
    assert isinstance(read, VideoExplanation)
    (first,), (second,) = whole.explanations, read.explanations
    for group in ("volumes", "signed", "completeness", "factors"):
        ours, theirs = getattr(first, group), getattr(second, group)
        assert list(ours) == list(theirs)
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], strict=True)
    np.testing.assert_array_equal(whole.heat(IG, PTS[:3]), read.heat(IG, PTS[:3]))
    with pytest.raises(NameNotFoundError, match="expected"):
        read.raw("expected-gradients", PTS[:1])


@pytest.mark.parametrize("scale", ["video", "window"])
def test_windows_are_blended_in_their_own_units(scale: str) -> None:
    made = fine(scales=np.array([1e-3, 1.0, 10.0, 4.0]))
    full, half = (fine_video(each).rescaled(scale, PTS) for each in (made, with_half_maps(made)))  # type: ignore[arg-type]
    assert half.bounds[IG] == pytest.approx(full.bounds[IG], rel=1e-3)
    np.testing.assert_allclose(half.heat(IG, PTS[::9]), full.heat(IG, PTS[::9]), atol=2e-3)
    np.testing.assert_allclose(half.evidence(IG, PTS[::9]), full.evidence(IG, PTS[::9]), atol=2e-3)
    np.testing.assert_allclose(half.raw(IG, PTS[::9]), full.raw(IG, PTS[::9]), atol=1e-2)
    np.testing.assert_allclose(window_factors(half.explanations, IG), window_factors(full.explanations, IG), rtol=1e-3)


def bounds(volume: np.ndarray) -> tuple[float, float, float]:
    """Bounds of a map of the input, and the upper one of the same map as one of a layer."""
    made = replace(explanation(4), volumes={IG: volume, "gradcam": volume})
    found = fine_video(made).bounds
    return (*found[IG], found["gradcam"][1])


def test_one_cell_does_not_darken_a_fine_map() -> None:
    bright = np.random.default_rng(5).random((4, 4, 20, 20)).astype(np.float32)
    bright[1, 2, 10, 10] = 5.0
    _, fine_high, high = bounds(bright)
    assert high > 2
    assert fine_high < 1.1
    lonely = np.zeros_like(bright)
    lonely[1, 2, 10, 10] = 5.0
    low, fine_high, high = bounds(lonely)
    assert low == 0.0
    assert fine_high == pytest.approx(high / 10)


def test_the_error_is_told_if_it_is_above_a_hundredth() -> None:
    (sentence,) = completeness_notes(fine())
    assert "3.0%" in sentence
    assert completeness_notes(replace(fine(), completeness={IG: np.full(4, 0.01)})) == ()
    assert completeness_notes(replace(fine(), completeness={"gradcam-ig": np.full(4, 4.0)})) == ()
    assert completeness_notes(explanation(2)) == ()


def test_a_map_of_the_input_has_no_cell_of_the_layer() -> None:
    made = replace(fine(), artifact=Artifact(((1, 2, 3),), 9.0, 1.0))
    assert list(made.layer_volumes) == ["gradcam", "gradcam++"]
    assert IG not in made.audit().rpartition("eq. 19")[2]
