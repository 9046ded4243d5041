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
    one = _unnamed(shown.explanation, [*methods, *(methods[number] for number in shuffled)], len(methods), random)
    clip = page_clip(replace(shown, explanation=one, facts=None, settings="", note=""), block)
    targets = tuple(
        replace(each, mean=None, probability=None, maps=tuple(replace(m, verdict=NOT_CHECKED) for m in each.maps))
        for each in clip.targets
    )
    return replace(
        clip,
        key="",
        targets=targets,
        classes=(),
        videos=tuple(each for each in clip.videos if each.embedded),
        predicted=(),
        remarks=(),
        facts=(),
        provenance=(),
        can_open=False,
    )


def _unnamed(video: VideoExplanation, maps: Sequence[str], whole: int, random: np.random.Generator) -> VideoExplanation:
    """Keep the maps of some methods for what the model says, under their numbers; from `whole` on they are shuffled."""
    target = target_of(video)
    assert target is not None
    explanation = video.explanations[target]
    volumes, own = {}, explanation.factors
    for number, name in enumerate(maps):
        volume = explanation.volumes[name]
        flat = volume.reshape(len(volume), -1)
        volumes[str(number)] = volume if number < whole else random.permuted(flat, axis=1).reshape(volume.shape)
    kept = replace(
        explanation,
        volumes=volumes,
        factors={str(number): own[name] for number, name in enumerate(maps) if name in own},
        alpha={},
        clamped={},
        guided={},
        signed={},
        completeness={},
        noise={},
        artifact=None,
        notes=(),
    )
    return replace(
        video,
        source="",
        model="",
        labels=(said_class(video),),
        explanations=(kept,),
        bounds={str(number): video.bounds[name] for number, name in enumerate(maps)},
        origin=None if video.origin is None else replace(video.origin, path="", content_hash=""),
        verdicts=(),
        video_verdict=None,
    )
