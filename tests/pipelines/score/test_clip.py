"""The rows of one clip, against plain loops over pixels."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers import scoring
from tests.helpers.faithfulness import area_by_trapezes
from tests.helpers.nets import brightness_model, hidden_model
from vidcam.cam.explain import explain
from vidcam.errors import NonFiniteError
from vidcam.maps import normalise_per_clip
from vidcam.metrics.localization import energy
from vidcam.metrics.order import tie_field
from vidcam.models.model import Model
from vidcam.pipelines.score.clip import ClipScorer
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.options import CONTROLS, ScoreOptions
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.rows import localization_row
from vidcam.pipelines.score.samples import Sample
from vidcam.preprocess import scale_pixels
from vidcam.spec import MeanCube, Scaling

METHODS = ("gradcam", "gradcam++")
SIZE = (4, 16, 16)


def scorer_of(options: ScoreOptions, model: Model | None = None, batch_size: int = 4) -> ClipScorer:
    model = model or hidden_model()
    return ClipScorer(model, resolve(model, replace(options, batch_size=batch_size))[0], None)


def sample(index: int = 3, *, label: str = "", inside: Any = None, size: tuple[int, int, int] = SIZE) -> Sample:
    clip = torch.rand(3, *size, generator=torch.Generator().manual_seed(index))
    entry = Entry(index, f"{index}.mp4", f"{index}.mp4", None, label, f"{index}.mp4")
    return Sample(entry, clip, 0.5, inside, ("odd",))


def rows(options: ScoreOptions, clip: Sample, model: Model | None = None, batch_size: int = 4) -> list[dict[str, Any]]:
    return scorer_of(options, model, batch_size).score((clip,))


@cache
def everything() -> list[dict[str, Any]]:
    inside = np.zeros(SIZE, np.bool_)
    inside[1:3, 2:9, 3:12] = True
    return rows(ScoreOptions(methods=METHODS, measures="all"), sample(inside=inside, label="green"))


def test_one_row_for_each_method_and_control() -> None:
    assert [row["method"] for row in everything()] == [*METHODS, *CONTROLS]
    assert {row["status"] for row in everything()} == {"scored"}
    assert {row["warnings"] for row in everything()} == {"odd"}
    assert {(row["clip"], row["start"], row["label"]) for row in everything()} == {(3, 0.5, "green")}


@pytest.mark.parametrize("place", range(2))
def test_every_measure_equals_plain_loops(place: int) -> None:
    model, clip, row = hidden_model(), sample().tensor, everything()[place]
    target, heat = scoring.heat_of(model, clip, METHODS[place])
    ties = tie_field(SIZE, SIZE, np.random.default_rng([0, 3, 0])).astype(np.float64)
    original = scoring.log_probability(model, clip, target)
    masked = scoring.log_probability(model, scoring.hidden(model, clip, heat), target)
    post_softmax = scoring.heat_of(model, clip, METHODS[place], "probability")[1]
    curves = scoring.curves(model, clip, heat, ties, target)
    expected = {
        "class": model.labels[target],
        "log_probability": original,
        "probability": math.exp(original),
        "log_masked_probability": masked,
        "drop": max(0.0, 1 - math.exp(masked - original)),
        "increase": masked > original,
        "log_masked_post_softmax": scoring.log_probability(model, scoring.hidden(model, clip, post_softmax), target),
        "area": heat.mean(),
        **{f"retention_{theta:g}": curves["retention"][step] for step, theta in enumerate(scoring.STEPS) if step},
        **{name: curves[name] for name in ("insertion", "deletion", "frame_insertion", "frame_deletion")},
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=2e-6)
    area = area_by_trapezes(scoring.STEPS, curves["retention"])
    assert row["retention_auc"] == pytest.approx(area, abs=2e-6)


def test_the_time_audit_equals_running_the_changed_clips() -> None:
    model, clip, row = hidden_model(), sample().tensor, everything()[0]
    target = model.labels.index(row["class"])
    for change, frames in (("frozen", [2, 2, 2, 2]), ("reversed", [3, 2, 1, 0])):
        changed = scoring.log_probability(model, clip[:, frames], target)
        assert row[f"probability_{change}"] == pytest.approx(math.exp(changed), abs=1e-7)
    heat = scoring.heat_of(model, clip, "gradcam")[1]
    assert [float(part) for part in row["evidence"].split()] == pytest.approx(heat.mean(axis=(1, 2)).tolist(), rel=1e-5)


def test_the_centre_and_the_shuffled_cells_are_controls() -> None:
    gradcam, _, random, centre, *_ = everything()
    assert centre["area"] == pytest.approx(0.36, abs=0.04)
    assert random["area"] == pytest.approx(gradcam["area"], abs=1e-6)  # a cell a voxel: the same values elsewhere
    assert random["log_masked_probability"] != gradcam["log_masked_probability"]
    assert "log_masked_post_softmax" not in centre or centre["log_masked_post_softmax"] is None


def test_a_uniform_map_hides_nothing_and_keeps_random_voxels() -> None:
    """Its order is that of the ties; `everything` has boxes of 2 · 7 · 9 of the 4 · 16 · 16 pixels."""
    clip, uniform = sample().tensor, everything()[-1]
    assert (uniform["area"], uniform["increase"], uniform["empty"]) == (1.0, False, False)
    assert uniform["drop"] == pytest.approx(0.0, abs=1e-6)
    assert uniform["tied_0.5"] == 1.0
    model, target = hidden_model(), hidden_model().labels.index(uniform["class"])
    ties = tie_field(SIZE, SIZE, np.random.default_rng([0, 3, 0]))
    kept = scoring.log_probability(model, scoring.hidden(model, clip, ties >= np.sort(ties.ravel())[512]), target)
    assert uniform["retention_0.5"] == pytest.approx(math.exp(kept - uniform["log_probability"]), abs=2e-6)
    assert uniform["pointing"] == pytest.approx(126 / 1024)
    assert uniform["energy"] == pytest.approx(126 / 1024)


def test_the_frame_difference_is_taken_in_pixels_before_scaling() -> None:
    """Red counts as much as green although the model divides it by 50; a mean that differs by frame does not show."""
    options, pixels = ScoreOptions(methods=METHODS, measures="drop"), torch.zeros(1, 3, *SIZE)
    pixels[0, 0, 1, 4, 4] = 100.0
    pixels[0, 1, 1, 9, 9] = 50.0
    mean = MeanCube(np.random.default_rng(0).normal(100, 20, (3, *SIZE)).astype(np.float32))
    for scaling in (Scaling(mean=(1, 2, 3), std=(50, 1, 1)), Scaling(mean=mean, std=(50, 1, 1))):
        plain = hidden_model()
        model = replace(plain, spec=replace(plain.spec, scaling=scaling))
        clip = replace(sample(), tensor=scale_pixels(pixels, scaling)[0])
        found = {row["method"]: row for row in rows(options, clip, model)}
        steps = 1 + (1 + 1) / 2 + (1 + 0) / 2 + 0  # frame by frame; the first has one neighbour
        assert found["frame-difference"]["area"] == pytest.approx((1 + 0.5) * steps / 1024, rel=1e-6)
        still = replace(clip, tensor=scale_pixels(pixels[:, :, 1:2].expand(-1, -1, 4, -1, -1), scaling)[0])
        found = {row["method"]: row for row in rows(options, still, model)}
        assert found["frame-difference"]["empty"]


def test_localization_uses_the_label_and_temporal_iou_needs_an_interval() -> None:
    for row in everything():
        assert 0 <= row["pointing"] <= 1
        assert 0 < row["energy"] < 1
        assert 0 <= row["temporal_iou"] <= 1
    whole = np.ones(SIZE, np.bool_)
    options = ScoreOptions(methods=METHODS, measures=("localization",))
    row = rows(options, sample(inside=whole))[0]
    assert row["energy"] == row["pointing"] == 1.0
    assert "temporal_iou" not in row
    assert "pointing" not in rows(options, sample())[0]


def test_a_map_of_two_cells_in_time_has_no_temporal_iou() -> None:
    """With two cells the frame with the most evidence is always the first or the last one."""
    heat, inside = np.zeros((8, 4, 4), np.float32), np.zeros((8, 4, 4), np.bool_)
    heat[2:5, :2], inside[2:4] = 1.0, True
    assert localization_row(heat, inside, time_cells=3)["temporal_iou"] == pytest.approx(2 / 3)
    assert "temporal_iou" not in localization_row(heat, inside, time_cells=2)
    assert localization_row(heat, inside, time_cells=2)["energy"] == pytest.approx(2 / 3)


def test_another_label_changes_only_localization() -> None:
    inside = np.zeros(SIZE, np.bool_)
    inside[:2, :8] = True
    options = ScoreOptions(methods=METHODS, measures=("localization",), controls=False)
    by_label = {label: rows(options, sample(inside=inside, label=label))[0] for label in ("red", "green", "blue", "")}
    predicted = by_label[""]["class"]
    assert by_label[predicted]["energy"] == by_label[""]["energy"]
    assert len({row["energy"] for row in by_label.values()}) == 3
    assert len({row["log_masked_probability"] for row in by_label.values()}) == 1
    assert by_label[""]["correct"] is None
    assert "localization uses the predicted class: the clip has no label" in by_label[""]["warnings"]
    assert {label: row["correct"] for label, row in by_label.items() if label} == {
        label: label == predicted for label in ("red", "green", "blue")
    }
    assert by_label["red"]["warnings"] == "odd"


def test_an_unknown_label_has_no_localization() -> None:
    inside = np.zeros(SIZE, np.bool_)
    inside[:2, :8] = True
    row = rows(ScoreOptions(methods=METHODS, measures=("localization",)), sample(inside=inside, label="mauve"))[0]
    assert "energy" not in row
    assert "pointing" not in row
    assert row["warnings"] == "odd; no localization: the model has no label 'mauve'"
    assert rows(ScoreOptions(methods=METHODS), sample(inside=inside, label="mauve"))[0]["warnings"] == "odd"


def test_for_localization_the_map_of_the_label_is_shuffled() -> None:
    """With a grid of the clip's size, the shuffled map has the same values as its map."""
    inside = np.zeros(SIZE, np.bool_)
    inside[:2, :8] = True
    options = ScoreOptions(methods=("gradcam",), measures=("localization",))
    model = hidden_model()
    clip = sample(inside=inside)
    predicted = rows(options, clip, model)[0]["class"]
    other = next(label for label in model.labels if label != predicted)
    random = rows(options, sample(inside=inside, label=other), model)[1]
    of_label = explain(
        model.module, clip.tensor[None], layer=model.spec.layer, methods=["gradcam"], target=model.labels.index(other)
    )
    generator = np.random.default_rng([0, 3, 1])
    shuffled = normalise_per_clip(generator.permutation(of_label.volumes["gradcam"].ravel()).reshape(1, *SIZE))
    assert random["energy"] == pytest.approx(float(energy(shuffled, inside[None])[0]), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_last_digits_only(batch_size: int) -> None:
    options = ScoreOptions(methods=METHODS, measures=("retention", "insertion-deletion"))
    for one, other in zip(rows(options, sample()), rows(options, sample(), batch_size=batch_size), strict=True):
        for name in ("log_masked_probability", "retention_0.25", "insertion", "frame_deletion"):
            assert one[name] == pytest.approx(other[name], abs=1e-5)


def test_a_row_does_not_depend_on_what_was_scored_before() -> None:
    options = ScoreOptions(methods=METHODS)
    scorer = scorer_of(options)
    first = scorer.score((sample(7),))
    scorer.score((sample(8),))
    assert scorer.score((sample(7),)) == first
    assert rows(options, sample(7)) == first
    assert rows(replace(options, seed=1), sample(7))[2]["log_masked_probability"] != first[2]["log_masked_probability"]


def test_only_the_needed_forward_passes_are_run() -> None:
    options = ScoreOptions(methods=METHODS)
    scorer = scorer_of(options)
    scorer.score((sample(),))
    assert scorer.originals == 1
    assert scorer.forwards.forwards == 2 * (1 + 1 + 3) + 4 * (1 + 3)


def test_clips_are_left_out_before_they_are_masked() -> None:
    for options, label, reason in (
        (ScoreOptions(methods=METHODS, min_confidence=0.99), "", "the probability is below --min-confidence 0.99"),
        (ScoreOptions(methods=METHODS, correct_only=True), "nothing", "the top class is not the label"),
        (ScoreOptions(methods=METHODS, correct_only=True), "", "the clip has no label"),
    ):
        scorer = scorer_of(options)
        (row,) = scorer.score((sample(label=label),))
        assert (row["status"], row["reason"]) == ("left out", reason)
        assert scorer.forwards.forwards == 0


def test_the_measures_by_hand_for_a_network_that_sums_brightness() -> None:
    """One lit cell of 4 × 8 × 8 pixels: its map is itself, so hiding the rest changes nothing."""
    model = brightness_model()
    clip = torch.zeros(3, 16, 56, 56)
    clip[:, 4:8, 8:16, 8:16] = 1.0
    entry = Entry(0, "a.mp4", "a.mp4", group="a.mp4")
    options = ScoreOptions(methods=("gradcam",), measures=("drop", "retention"))
    gradcam, random, *_ = rows(options, Sample(entry, clip, 0.0, None), model)
    assert gradcam["probability"] == pytest.approx(1 / (1 + math.exp(-2)))
    assert gradcam["retention_0.25"] == gradcam["retention_0.75"] == pytest.approx(1.0)
    assert 0 < gradcam["drop"] < random["drop"]
    assert not gradcam["empty"]


def test_a_map_without_evidence_is_flagged_and_shows_nothing() -> None:
    model, options = brightness_model(), ScoreOptions(methods=("gradcam",), controls=False)
    row = rows(options, Sample(Entry(0, "a", "a"), torch.zeros(3, 16, 56, 56), 0.0, None), model)[0]
    assert row["empty"]
    assert row["empty_post_softmax"]
    assert row["area"] == 0.0
    assert row["tied_0.5"] == 1.0


def test_shuffled_cells_of_a_map_without_evidence_are_flagged_too() -> None:
    clip = Sample(Entry(0, "a", "a"), torch.zeros(3, 16, 56, 56), 0.0, None)
    found = rows(ScoreOptions(methods=("gradcam",)), clip, brightness_model())
    empty = ["gradcam", "random", "frame-difference"]
    assert [row["method"] for row in found if row["empty"]] == empty


def test_nonfinite_numbers_are_an_error() -> None:
    model, options = hidden_model(), ScoreOptions(methods=METHODS)
    clip = sample()
    with pytest.raises(NonFiniteError, match="contain NaN or infinity"):
        rows(options, replace(clip, tensor=clip.tensor * float("nan")), model)
