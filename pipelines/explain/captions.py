"""Captions as targets of a video: the whole caption is a class, and each of its words is a function of the output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from torch import Tensor

from vidcam.arguments import as_tuple
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.request import ScoreFunction
from vidcam.errors import InputError
from vidcam.models.captioner import Captioner, CaptionScores, captioned, said
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import video_job
from vidcam.pipelines.explain.request import ExplainOptions, ExplainRequest, resolve
from vidcam.pipelines.forward import Prepared, torch_errors
from vidcam.pipelines.windows import batches
from vidcam.preprocess import grey_input
from vidcam.video.reader import open_video
from vidcam.video.source import Source

GENERATED = "generated"
"""The caption that the model says of a video."""


@dataclass(frozen=True, slots=True)
class WordScore:
    """Target: the log probability of one word of a caption, given those before it."""

    caption: int
    word: int

    def __call__(self, output: CaptionScores) -> Tensor:
        """Return the score of each clip, (N,)."""
        return output.words[self.caption][:, self.word]


def is_generated(model: Model, options: ExplainOptions) -> bool:
    """Whether the model says the caption of each video itself."""
    return isinstance(model.module, Captioner) and as_tuple(options.caption) in ((), (GENERATED,))


def caption_model(model: Model, options: ExplainOptions) -> Model:
    """Return a model whose classes are the captions of the options; the model itself if it is no captioner.

    In the place of a caption that is not known yet stands that of a grey clip.

    Raises:
        InputError: captions for another model, or with other targets or another score.
    """
    captions = as_tuple(options.caption)
    if not captions and not isinstance(model.module, Captioner):
        return model
    if options.targets or options.contrast is not None or options.score != "logit":
        raise InputError("--caption cannot be combined with --target, --contrast or --score")
    if GENERATED in captions and len(captions) > 1:
        raise InputError("--caption generated cannot be combined with other captions; run it by itself")
    if is_generated(model, options):
        captions = said(model, model.input_of(grey_input(model.spec)).to(model.device))
        captions = captions if any(captions) else model.labels[-1:]
    return captioned(model, captions)


def resolve_with_captions(model: Model, options: ExplainOptions) -> tuple[ExplainRequest, Prepared]:
    """Resolve the options as `resolve` does; the captions of a captioner and their words become the targets."""
    asked = caption_model(model, options)
    request, ready = resolve(asked, options)
    if asked is not model:
        request = replace(request, targets=caption_targets(asked.labels), caption=asked.labels)
    return request, ready


def caption_targets(captions: Sequence[str]) -> tuple[int | ScoreFunction, ...]:
    """Return the targets of captions: each as a class, followed by its words."""
    return tuple(
        target
        for number, caption in enumerate(captions)
        for target in (number, *(WordScore(number, word) for word in range(len(caption.split()))))
    )


def caption_labels(captions: Sequence[str]) -> tuple[str, ...]:
    """Return the names of `caption_targets`: the caption itself, then '1 a', '2 red', or '2.1 a' of the second one."""
    labels = list[str]()
    for number, caption in enumerate(captions, start=1):
        prefix = f"{number}." if len(captions) > 1 else ""
        labels += [caption, *(f"{prefix}{place} {word}" for place, word in enumerate(caption.split(), start=1))]
    return tuple(labels)


def said_of_video(model: Model, source: Source, request: ExplainRequest) -> str:
    """Return the caption that a captioner says of most windows of a video; of several the first.

    Raises:
        InputError: the model says nothing.
    """
    captions, size = list[str](), request.batch_size
    with open_video(source, fps=request.fps, decoder=request.decoder, fetch=True) as reader, Undo() as undo, undo:
        job = video_job(reader, model.spec, request)
        crops = job.crops.parts
        preserve_model(model.module, undo)
        ready = batches(reader, job.windows, model.spec, job.geometry, crops=crops, size=size, device=model.device)
        with torch_errors(model, size), closing(ready):
            for _, clips in ready:
                captions.extend(said(model, model.input_of(clips)))
    caption, _ = Counter(captions).most_common(1)[0]
    if not caption:
        raise InputError(f"model {model.spec.name!r} says nothing of this video; pass --caption with words")
    return caption
