"""Agreement of the maps of several models of one video."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.results.test_video import IDENTITY, PTS, video
from vidcam.errors import InputError
from vidcam.geometry import Geometry
from vidcam.pipelines.explain.compare import MapAgreement, compare
from vidcam.pipelines.explain.models_sheet import agreement_sentence
from vidcam.results.video import VideoExplanation

LEFT, RIGHT = Geometry((24, 32), (24, 32), (24, 20), 0, 0), Geometry((24, 32), (24, 32), (24, 20), 0, 12)


def lit(cell: int, geometry: Geometry = IDENTITY, model: str = "i3d") -> VideoExplanation:
    """Return an explanation in which one column of cells is hot, all the time."""
    made = video(geometry=geometry)
    volume = np.zeros((11, 2, 3, 4), np.float32)
    volume[..., cell] = 1.0
    first = replace(made.explanations[0], volumes={"gradcam": volume}, alpha={})
    return replace(made, explanations=(first,), bounds={"gradcam": (0.0, 1.0)}, model=model)


def test_equal_maps_agree_fully() -> None:
    (found,) = compare([lit(1), lit(1, model="other")], PTS)
    assert (found.models, found.methods, found.frames) == (("i3d", "other"), ("gradcam", "gradcam"), 192)
    assert found.view == (0, 0, 24, 32)
    assert found.correlation == pytest.approx(1.0, abs=1e-6)
    assert found.overlap == pytest.approx(1.0, abs=1e-6)


def test_maps_in_different_places_do_not_overlap() -> None:
    """Interpolation reaches half a cell: columns 0 and 3 of four do not touch."""
    (found,) = compare([lit(0), lit(3)], PTS)
    assert found.overlap == 0.0
    assert found.correlation is not None
    assert found.correlation < 0


def test_only_what_both_models_see_is_compared() -> None:
    """The first model sees columns 0 to 20, the second 12 to 32. Its cells are 5 wide: 15 to 20 and 12 to 17."""
    (found,) = compare([lit(3, LEFT), lit(0, RIGHT)], PTS)
    assert found.view == (0, 12, 24, 20)
    a = lit(3, LEFT).source_heat("gradcam", 1.0)[:, 12:]
    b = lit(0, RIGHT).source_heat("gradcam", 1.0)[:, :8]
    assert found.overlap == pytest.approx(float(np.minimum(a / a.sum(), b / b.sum()).sum()), abs=1e-5)


def test_models_that_see_nothing_in_common() -> None:
    edge = Geometry((24, 32), (24, 32), (24, 10), 0, 0)
    (found,) = compare([lit(0, edge), lit(0, RIGHT)], PTS)
    assert (found.view, found.correlation, found.overlap) == (None, None, None)


def test_three_models_make_three_pairs() -> None:
    found = compare([lit(0, model="a"), lit(1, model="b"), lit(2, model="c")], PTS)
    assert [pair.models for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[1].overlap == 0.0


def test_frames_outside_the_windows_are_left_out() -> None:
    seconds = np.array([-1.0, 0.5, 1.0, 100.0])
    assert compare([lit(0), lit(0)], seconds)[0].frames == 2


def test_one_explanation_or_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="explanations of one video"):
        compare([lit(0)], PTS)
    other = replace(lit(0), geometry=Geometry((48, 64), (24, 32), (24, 32), 0, 0))
    with pytest.raises(InputError, match="explanations of one video"):
        compare([lit(0), other], PTS)


def test_the_sentence_names_classes_that_differ() -> None:
    same = MapAgreement(("a", "b"), ("run", "run"), ("gradcam", "cam"), 3, (0, 0, 4, 4), 0.5, 0.25)
    assert agreement_sentence(same) == "Maps of a and b: correlation 0.50, overlap 25 %."
    other = replace(same, targets=("run", "jump"))
    assert agreement_sentence(other) == "Maps of a and b, of 'run' and 'jump': correlation 0.50, overlap 25 %."
    assert agreement_sentence(replace(same, view=None)) == "a and b see no common part of the frame."
