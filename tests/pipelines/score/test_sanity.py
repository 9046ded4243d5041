from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import BRIGHTNESS_SPEC, brightness_model, hidden_model
from vidcam.cam.baseline import Baseline
from vidcam.models.model import Model
from vidcam.pipelines.forward import compute_grey_baseline
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.sanity import STAGES, _spread, sanity
from vidcam.pipelines.score.sanity_figures import Sanity
from vidcam.system.progress import silent

METHODS = ("gradcam", "gradcam++", "neutral-gradcam")


def checked(model: Model, folder: Path, seed: int = 0) -> Sanity:
    clips = read_clips(write_set(folder, 6, broken={0}), out=folder / "out")
    request, _ = resolve(model, ScoreOptions(methods=METHODS, sanity=3, seed=seed))
    return sanity(model, request, clips.entries, progress=silent)


def test_a_model_without_weights_has_no_sanity_figures(tmp_path: Path) -> None:
    found = checked(brightness_model(), tmp_path)
    assert found.layers == ()
    assert BRIGHTNESS_SPEC.layer == "relu"


def test_layers_start_at_the_last_and_unreadable_clips_are_skipped(tmp_path: Path) -> None:
    found = checked(hidden_model(), tmp_path)
    assert found.clips == ("video1.mkv", "video2.mkv", "video3.mkv")
    assert found.layers == ("out", "hidden", "conv")
    for scheme in (found.cascading, found.independent):
        for method in METHODS:
            figures = scheme[method]
            assert [len(values) for values in (figures.correlation, figures.ssim, figures.empty)] == [3, 3, 3]
            assert all(value is None or -1 <= value <= 1 for value in figures.correlation)


def test_the_baseline_is_computed_with_the_random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = hidden_model(), []

    def spied(model: Model, layers: Sequence[str], *, methods: Sequence[str]) -> Baseline:
        seen.append(float(model.module.get_parameter("conv.weight").detach().sum()))
        return compute_grey_baseline(model, layers, methods=methods)

    monkeypatch.setattr("vidcam.pipelines.score.sanity.compute_grey_baseline", spied)
    found = checked(model, tmp_path)
    assert any(value is not None for value in found.cascading["neutral-gradcam"].correlation)
    learned = float(model.module.get_parameter("conv.weight").detach().sum())
    assert [value == learned for value in seen] == [True, True, True, False, True, True, False]


def test_the_first_stage_of_both_schemes_is_the_same_and_the_last_ones_differ(tmp_path: Path) -> None:
    found = checked(hidden_model(), tmp_path)
    cascading, independent = (scheme["gradcam"].correlation for scheme in (found.cascading, found.independent))
    assert cascading[0] == independent[0]
    assert cascading[-1] != independent[-1]


def test_the_checks_can_be_repeated(tmp_path: Path) -> None:
    assert checked(hidden_model(), tmp_path / "a") == checked(hidden_model(), tmp_path / "b")
    assert checked(hidden_model(), tmp_path / "a") != checked(hidden_model(), tmp_path / "c", seed=1)


@pytest.mark.parametrize("layers", [1, 3, STAGES, 60])
def test_stages_are_spread_from_the_last_layer_to_the_first(layers: int) -> None:
    stages = _spread(layers)
    assert (stages[0], stages[-1]) == (layers - 1, 0)
    assert len(stages) == min(layers, STAGES)
    assert stages == sorted(set(stages), reverse=True)
