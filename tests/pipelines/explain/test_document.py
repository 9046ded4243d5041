"""The entries of the JSON, against numbers by hand that differ in each window."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from torch import nn

from tests.helpers.nets import TINY_SPEC
from vidcam import __version__
from vidcam.geometry import Geometry
from vidcam.media import VideoInfo
from vidcam.models.model import Model
from vidcam.pipelines.explain import document as report
from vidcam.pipelines.explain.analyse import WindowResults
from vidcam.pipelines.explain.curves import curves_of
from vidcam.pipelines.explain.request import OUTPUTS, ExplainRequest
from vidcam.results.explanation import AlphaAudit, Artifact, Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.verdict import Verdict
from vidcam.results.video import VideoExplanation
from vidcam.system.json_files import as_plain
from vidcam.video.reader import VideoReader

PROBABILITIES = np.array(
    [
        [0.02, 0.05, 0.40, 0.10, 0.03, 0.30, 0.10],
        [0.02, 0.55, 0.10, 0.10, 0.03, 0.06, 0.14],
        [0.02, 0.06, 0.25, 0.10, 0.03, 0.30, 0.24],
    ]
)
MEANS = {2: 0.25, 1: 0.22, 5: 0.22, 6: 0.16, 3: 0.10, 4: 0.03, 0: 0.02}
TARGET, OTHER = 2, 5
NAMES = tuple(f"class {index}" for index in range(7))

SPEC = replace(TINY_SPEC, name="seven", classes=7)


def _model() -> Model:
    return Model(SPEC, nn.Identity(), NAMES, "by hand")


def _audit() -> AlphaAudit:
    """Three windows with different numbers; the last has no positive gradient."""
    numbers = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [11.0, 12.0, 13.0, 14.0, 15.0], [0.5, 22.0, 23.0, 24.0, 2.5]])
    positive = numbers.copy()
    positive[2] = np.nan
    nonzero = -numbers
    nonzero[0, 4] = np.inf
    return AlphaAudit(
        positive=positive,
        nonzero=nonzero,
        product=numbers * 10,
        clamped=np.array([0.0, 0.3, 0.03]),
        agreement=np.array([0.7, np.nan, 0.9]),
        uniform=np.zeros(3, dtype=bool),
    )


def _explanation(target: int, seed: int = 0) -> Explanation:
    volumes = np.random.default_rng(seed).random((3, 1, 2, 2)).astype(np.float32) / 2
    partly = volumes.copy()
    partly[1] = 0.0
    volumes[:2, 0, 1, 0] = partly[[0, 2], 0, 0, 1] = 1.0
    volumes[2, 0, 0, 0] = 1.0
    return Explanation(
        volumes={"gradcam": partly, "gradcam+": np.zeros_like(volumes), "gradcam++": volumes},
        logits=np.log(PROBABILITIES) + np.array([[3.0], [-40.0], [800.0]]),
        target=np.full(3, target),
        contrast=None,
        layer="relu",
        input_size=(4, 16, 16),
        alpha={"gradcam++": _audit()},
        alpha_exact=False,
    )


def _results(target: int, seed: int = 0) -> WindowResults:
    return WindowResults(
        explanation=_explanation(target, seed),
        log_original=np.log(PROBABILITIES[:, target]),
    )


def _video(*targets: int) -> VideoExplanation:
    return VideoExplanation(
        source="clip.mp4",
        model="seven",
        geometry=Geometry((16, 16), (16, 16), (16, 16), 0, 0),
        timeline=Timeline(np.array([0.0, 0.1, 0.2]), np.array([0.25, 0.35, 0.45]), np.zeros((3, 4))),
        labels=tuple(NAMES[target] for target in targets),
        explanations=tuple(_explanation(target) for target in targets),
        bounds={"gradcam": (0.0, 1.0), "gradcam+": (0.0, 0.0), "gradcam++": (0.25, 2.0)},
    )


def _target(video: VideoExplanation, results: WindowResults, *, number: int = 0, **options: Any) -> Any:
    """An entry as written to the JSON."""
    methods = options.pop("methods", tuple(results.explanation.methods))
    curves = curves_of(video, methods, np.array([0.0, 0.1, 0.2, 0.3]))
    defaults: dict[str, Any] = {"contrast": None, "files": {}, "curves": curves}
    return as_plain(report.target_entry(video, results, number=number, **(defaults | options)))


def _entry(*, artifact: Artifact | None = None, **options: Any) -> Any:
    results = _results(TARGET)
    results = replace(results, explanation=replace(results.explanation, artifact=artifact))
    return _target(_video(TARGET, OTHER), results, **options)


def test_the_five_best_of_seven_classes_by_mean_probability() -> None:
    rows = as_plain(report.top5(_model(), PROBABILITIES))
    assert [row["index"] for row in rows] == [2, 1, 5, 6, 3]  # of equals the first
    assert [row["label"] for row in rows] == ["class 2", "class 1", "class 5", "class 6", "class 3"]
    assert [row["probability"] for row in rows] == pytest.approx([MEANS[index] for index in (2, 1, 5, 6, 3)])
    assert all(type(row["index"]) is int and type(row["probability"]) is float for row in rows)


@pytest.mark.parametrize("classes", [1, 3, 5])
def test_with_fewer_than_five_classes_all_are_listed(classes: int) -> None:
    model = Model(replace(SPEC, classes=classes), nn.Identity(), NAMES[:classes], "by hand")
    rows = as_plain(report.top5(model, PROBABILITIES[:, :classes]))
    assert sorted(row["index"] for row in rows) == list(range(classes))


def test_each_window_has_its_own_class_and_the_targets_probability() -> None:
    entries = as_plain(report.window_entries(_model(), _video(OTHER).timeline, _results(OTHER)))
    assert [entry["label"] for entry in entries] == ["class 2", "class 1", "class 5"]
    assert [entry["probability"] for entry in entries] == pytest.approx([0.40, 0.55, 0.30])
    assert [entry["target_probability"] for entry in entries] == pytest.approx([0.30, 0.06, 0.30])
    assert [(entry["start_seconds"], entry["end_seconds"]) for entry in entries] == [
        (0.0, 0.25),
        (0.1, 0.35),
        (0.2, 0.45),
    ]


def test_a_target_says_in_how_many_windows_its_probability_is_saturated() -> None:
    answer = _results(TARGET)
    logits = answer.explanation.logits.copy()
    logits[1, TARGET] = logits[1].max() + 50
    sure = replace(answer, explanation=replace(answer.explanation, logits=logits))
    entries = [_target(_video(TARGET), a) for a in (answer, sure)]
    assert [entry["saturated"] for entry in entries] == pytest.approx([0, 1 / 3])


def test_a_target_has_its_mean_probability() -> None:
    entry = _entry(contrast="class 6")
    assert (entry["label"], entry["index"], entry["contrast"]) == ("class 2", TARGET, "class 6")
    assert entry["probability"] == pytest.approx(0.25)
    assert _entry()["contrast"] is None


def test_empty_means_empty_in_all_windows() -> None:
    methods = _entry()["methods"]
    assert {name: figures["empty"] for name, figures in methods.items()} == {
        "gradcam": False,  # its second window alone is
        "gradcam+": True,
        "gradcam++": False,
    }


def test_each_method_has_its_verdict() -> None:
    good, bad = Verdict("reliable", "keeps 80 %", 0.9, {"kept": 0.8}), Verdict("unreliable", "keeps 3 %", 0.1)
    video = replace(_video(TARGET, OTHER), verdicts=({"gradcam": bad}, {"gradcam": good}))
    entries = _target(video, _results(OTHER), number=1)["methods"]
    assert entries["gradcam"]["verdict"] == as_plain(good)
    assert entries["gradcam++"]["verdict"]["word"] == "not checked"


def test_all_targets_have_one_scale() -> None:
    assert _entry()["methods"]["gradcam++"]["scale"] == [0.25, 2.0]
    other = _target(_video(TARGET, OTHER), _results(OTHER), number=1)
    assert other["methods"]["gradcam++"]["scale"] == [0.25, 2.0]
    assert other["methods"]["gradcam"]["scale"] == [0.0, 1.0]
    assert (other["label"], other["probability"]) == ("class 5", pytest.approx(0.22))


def test_alpha_is_the_minimum_the_medians_and_the_maximum() -> None:
    alpha = _entry()["methods"]["gradcam++"]["alpha"]
    assert alpha["positive"] == {"min": 1.0, "q1": 7.0, "median": 8.0, "q3": 9.0, "max": 15.0}
    assert alpha["product"] == {"min": 5.0, "q1": 120.0, "median": 130.0, "q3": 140.0, "max": 150.0}
    assert alpha["nonzero"] == {"min": -11.0, "q1": -12.0, "median": -13.0, "q3": -14.0, "max": -2.5}
    assert alpha["clamped"] == pytest.approx(0.11)
    assert alpha["correlation_with_gradcam_plus"] == pytest.approx(0.8)


def test_alpha_without_numbers_is_null() -> None:
    audit = replace(_audit(), positive=np.full((3, 5), np.nan), agreement=np.full(3, np.nan))
    answer = _results(TARGET)
    answer = replace(answer, explanation=replace(answer.explanation, alpha={"gradcam++": audit}))
    entry = _target(_video(TARGET), answer)
    alpha = entry["methods"]["gradcam++"]["alpha"]
    assert set(alpha["positive"].values()) == {None}
    assert alpha["correlation_with_gradcam_plus"] is None


def test_only_gradcam_plus_plus_has_alpha() -> None:
    methods = _entry()["methods"]
    assert methods["gradcam++"]["alpha_exact"] is False
    for name in ("gradcam", "gradcam+"):
        assert methods[name]["alpha"] is None
        assert methods[name]["alpha_exact"] is None


def test_share_of_the_artifact() -> None:
    artifact = Artifact(((0, 1, 0),), 9.0, 1.0)
    assert {name: m["artifact_share"] for name, m in _entry(artifact=artifact)["methods"].items()} == {
        "gradcam": 0.0,
        "gradcam+": 0.0,
        "gradcam++": pytest.approx(2 / 3),
    }
    assert {m["artifact_share"] for m in _entry()["methods"].values()} == {None}


def test_names_of_the_videos() -> None:
    files = {"gradcam": {"overlay": "a.mp4", "map": "b.mp4"}, "gradcam++": {"map": "c.mp4"}}
    video = _video(TARGET)
    curves = curves_of(video, ("gradcam", "gradcam+", "gradcam++"), np.array([0.0]))
    target = report.target_entry(video, _results(TARGET), number=0, contrast=None, files=files, curves=curves)
    entry = as_plain(target)
    found = {name: (m["overlay"], m["map"]) for name, m in entry["methods"].items()}
    assert found == {"gradcam": ("a.mp4", "b.mp4"), "gradcam+": (None, None), "gradcam++": (None, "c.mp4")}
    request = ExplainRequest(outputs=("overlay",))
    assert report.all_files("s", [target], request) == ("a.mp4", "b.mp4", "c.mp4", "s.json")
    whole = replace(request, outputs=OUTPUTS, settings={"model": "i3d"})
    assert report.all_files("s", [target, target], whole)[6:] == (
        "s.png",
        "s.html",
        "s.npz",
        "s_evidence.csv",
        "s.toml",
        "s.json",
    )
    assert report.all_files("s", [], replace(request, outputs=("sheet",))) == ("s.png", "s.json")


def test_the_source_and_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(bytes(range(256)) * 999)
    (tmp_path / "more").write_bytes(b"more")
    info = VideoInfo(
        path=str(path),
        size=(480, 640),
        rotation_degrees=90,
        fps=Fraction(30_000, 1001),
        pts_seconds=np.array([0.0, 0.04, 0.09]),
        duration_seconds=0.125,
        time_base=Fraction(1, 1000),
        codec="h264",
        pixel_format="yuv420p",
        has_audio=True,
        pixel_aspect=Fraction(4, 3),
        files=(path, tmp_path / "more"),
    )
    reader = SimpleNamespace(info=info, notes=("it is torn",), readable_seconds=((0.0, 0.04), (0.09, 0.125)))
    assert as_plain(report.source_entry(cast("VideoReader", reader), "../video.mp4")) == {
        "path": "../video.mp4",
        "sha256": hashlib.sha256(path.read_bytes() + b"more").hexdigest(),
        "size": [480, 640],
        "rotation_degrees": 90,
        "pixel_aspect": pytest.approx(4 / 3),
        "fps": pytest.approx(29.97, abs=1e-3),
        "frames": 3,
        "duration_seconds": 0.125,
        "codec": "h264",
        "has_audio": True,
        "readable_seconds": [[0.0, 0.04], [0.09, 0.125]],
        "warnings": ["it is torn"],
    }


def test_versions_of_all_packages_that_compute() -> None:
    assert report.versions() == {
        "vidcam": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("av", "numpy", "torch", "torchvision")},
    }
