"""A clip as raters see it: without the names of its file, of its model and of its methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vidcam.pipelines.report.clip import Shown, page_clip
from vidcam.pipelines.report.content import PageClip
from vidcam.pipelines.report.packing import PackedBlock
from vidcam.results.verdict import NOT_CHECKED
from vidcam.results.video import VideoExplanation


def said_class(video: VideoExplanation) -> str:
    """Return the class that the model says: the one with the highest mean probability over the windows."""
    return video.class_label(int(video.explanations[0].ranking().mean(axis=0).argmax()))


def target_of(video: VideoExplanation) -> int | None:
    """Return the target that explains what the model says; None if it was not explained."""
    says = said_class(video)
    targets = zip(video.labels, video.explanations, strict=True)
    return next((index for index, (label, each) in enumerate(targets) if label == says and each.contrast is None), None)


def blind_clip(
    shown: Shown, methods: Sequence[str], block: PackedBlock, *, shuffled: Sequence[int], random: np.random.Generator
) -> PageClip:
    """Describe a clip for the page of a study.

    Args:
        shown: the clip; its target must have all methods.
        methods: the methods, in the order of their numbers.
        block: takes the numbers.
        shuffled: numbers of the methods whose map is there a second time, with its cells in random order. These maps
            come after those of the methods.
        random: source of that order; its state advances.
    """
    video, target = shown.explanation, target_of(shown.explanation)
    assert target is not None
    explanation, bounds = video.explanations[target], dict(video.bounds)
    volumes = {str(number): explanation.volumes[name] for number, name in enumerate(methods)}
    sources = [*methods, *(methods[number] for number in shuffled)]
    for number in shuffled:
        maps = explanation.volumes[methods[number]]
        flat = random.permuted(maps.reshape(len(maps), -1), axis=1)
        volumes[str(len(volumes))] = flat.reshape(maps.shape)
    factors = {
        str(number): explanation.factors[name] for number, name in enumerate(sources) if name in explanation.factors
    }
    named = replace(explanation, volumes=volumes, factors=factors, signed={}, completeness={}, noise={}, guided={})
    one = replace(
        video,
        source="",
        model="",
        labels=(said_class(video),),
        explanations=(replace(named, alpha={}, clamped={}, artifact=None, notes=()),),
        bounds={str(number): bounds[name] for number, name in enumerate(sources)},
        origin=None if video.origin is None else replace(video.origin, path="", content_hash=""),
        verdicts=(),
        video_verdict=None,
    )
    clip = page_clip(replace(shown, explanation=one, facts=None, settings="", note=""), block)
    videos = tuple(each for each in clip.videos if each.embedded)
    targets = tuple(
        replace(each, mean=None, probability=None, maps=tuple(replace(m, verdict=NOT_CHECKED) for m in each.maps))
        for each in clip.targets
    )
    return replace(
        clip,
        key="",
        targets=targets,
        classes=(),
        videos=videos,
        predicted=(),
        remarks=(),
        facts=(),
        provenance=(),
        can_open=False,
    )
