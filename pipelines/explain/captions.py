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
from vidcam.models.captioner import Captioner, CaptionScores, generate_captions, with_captions
from vidcam.models.model import Model
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.explain.request import ExplainOptions, ExplainRequest, resolve
from vidcam.pipelines.forward import Prepared, torch_errors
from vidcam.preprocess import grey_input

GENERATED = "generated"
"""Stands for the caption that the model generates for a video."""


@dataclass(frozen=True, slots=True)
class WordScore:
    """Target: the log probability of one word of a caption, given those before it."""

    caption: int
    word: int

    def __call__(self, output: CaptionScores) -> Tensor:
        """Return the score of each clip, (N,)."""
        return output.words[self.caption][:, self.word]


def is_generated(model: Model, options: ExplainOptions) -> bool:
    """Whether the model generates the caption of each video itself."""
    return isinstance(model.module, Captioner) and as_tuple(options.caption) in ((), (GENERATED,))


def caption_model(model: Model, options: ExplainOptions) -> Model:
    """Return a model whose classes are the captions of the options; the model itself if it is no captioner.

    A caption that is not generated yet is replaced by that of a grey clip.

    Raises:
        InputError: captions for another model, or with other targets or another score.
    """
    captions = tuple(map(str, as_tuple(options.caption)))
    if not captions and not isinstance(model.module, Captioner):
        return model
    if options.targets or options.contrast is not None or options.score != "logit":
        raise InputError("--caption cannot be combined with --target, --contrast or --score")
    if GENERATED in captions and len(captions) > 1:
        raise InputError("--caption generated cannot be combined with other captions; run it by itself")
    if is_generated(model, options):
        with Undo() as undo, undo:
            preserve_model(model.module, undo)
            captions = generate_captions(model, model.input_of(grey_input(model.spec)).to(model.device))
        captions = captions if any(captions) else model.labels[-1:]
    return with_captions(model, captions)


def resolve_with_captions(model: Model, options: ExplainOptions) -> tuple[ExplainRequest, Prepared]:
    """Resolve the options as `resolve` does; the captions of a captioner and their words become the targets."""
    of_captions = caption_model(model, options)
    request, ready = resolve(of_captions, options)
    if of_captions is not model:
        captions = of_captions.labels
        request = replace(request, targets=caption_targets(captions), caption=captions)
    return request, ready


def caption_targets(captions: Sequence[str]) -> tuple[int | ScoreFunction, ...]:
    """Return the targets of captions: each as a class, followed by its words."""
    targets = list[int | ScoreFunction]()
    for number, caption in enumerate(captions):
        targets += [number, *(WordScore(number, word) for word in range(len(caption.split())))]
    return tuple(targets)


def caption_labels(captions: Sequence[str]) -> tuple[str, ...]:
    """Return the names of `caption_targets`: the caption itself, then '1 a', '2 red', or '2.1 a' of the second one."""
    labels = list[str]()
    for number, caption in enumerate(captions, start=1):
        prefix = f"{number}." if len(captions) > 1 else ""
        labels += [caption, *(f"{prefix}{place} {word}" for place, word in enumerate(caption.split(), start=1))]
    return tuple(labels)


def generated_caption(model: Model, job: VideoJob) -> str:
    """Return the caption that a captioner generates for most windows of a video; of several the first.

    Raises:
        InputError: the caption is empty.
    """
    captions = list[str]()
    with torch_errors(model, job.request.batch_size), Undo() as undo, undo:
        preserve_model(model.module, undo)
        with closing(job.batches(job.windows)) as ready:
            for _, clips in ready:
                captions.extend(generate_captions(model, model.input_of(clips)))
    caption, _ = Counter(captions).most_common(1)[0]
    if not caption:
        raise InputError(f"model {model.spec.name!r} generates no words here; pass --caption with words")
    return caption
