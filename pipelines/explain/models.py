"""Explain one video with several models: the results of each, one sheet, and the agreement of their maps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidcam.media import Seconds
from vidcam.pipelines.explain.compare import MapAgreement, compare, shown_method
from vidcam.pipelines.explain.document import ClassEntry
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
from vidcam.pipelines.explain.models_sheet import models_sheet
from vidcam.pipelines.explain.outputs import source_of, staging, stated_path, stem_of
from vidcam.pipelines.render.videos import drawn_seconds
from vidcam.results.video import VideoExplanation
from vidcam.system.atomic import disk_errors
from vidcam.system.json_files import write_json
from vidcam.video.content import content_sha256
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.source import Source

SUFFIX = "-models"
"""Follows the stem of the video in the names of the files that compare its models."""


@dataclass(frozen=True, slots=True)
class ComparedSource:
    """The video: its path and the hash of its content."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TargetClass:
    """The explained class and its mean probability; no index with `per-window`."""

    label: str
    index: int | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One model: its top class, the target and method whose map is compared, and the JSON of its result."""

    name: str
    layer: str
    top: ClassEntry
    target: TargetClass
    method: str
    result: str


@dataclass(frozen=True, slots=True)
class ModelsDocument:
    """The content of `<stem>-models.json`."""

    schema: int
    source: ComparedSource
    models: tuple[ComparedModel, ...]
    agreement: tuple[MapAgreement, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ComparedVideo:
    """The results of each model, and what compares them.

    Attributes:
        results: folder of the model → its result.
        document: the content of the JSON.
        paths: the sheet and the JSON.
    """

    results: Mapping[str, ExplainedVideo] = field(repr=False)
    document: ModelsDocument
    paths: tuple[Path, ...]


def model_folder(model: str) -> str:
    """Return the name of the folder for the results of a model: 'torchvision:r3d_18' → 'torchvision-r3d_18'."""
    return re.sub(r"[^\w.+]+", "-", model).strip("-.") or "model"


def explain_with_models(explainers: Mapping[str, Explainer], source: Source, out: Path) -> ComparedVideo:
    """Explain one video with several models.

    Args:
        explainers: folder inside `out` → a model that is ready.
        source: the video.
        out: folder; the sheet and the JSON of the comparison lie in it.

    Raises:
        InputError: the video cannot be explained by one of the models.
        RunError: something failed; the complete results of other models stay.
    """
    results = {folder: explainer.explain(source, out / folder) for folder, explainer in explainers.items()}
    request = next(iter(explainers.values())).request
    explanations = [result.explanation for result in results.values()]
    with open_video(source, fps=request.fps, decoder=request.decoder, fetch=True) as reader:
        stem = stem_of(reader.info, out, overwrite=request.overwrite, suffix=SUFFIX)
        pts = _common_frames(explanations, reader)
        agreements = compare(explanations, pts)
        form = request.sheet_format if "sheet" in request.outputs else None
        names = (*([f"{stem}{SUFFIX}.{form}"] if form else []), f"{stem}{SUFFIX}.json")
        document = ModelsDocument(
            schema=1,
            source=ComparedSource(stated_path(source_of(reader.info), out), content_sha256(reader.info)),
            models=tuple(_entry(folder, result) for folder, result in results.items()),
            agreement=agreements,
            files=names,
        )
        with staging(out, f"{stem}{SUFFIX}", overwrite=request.overwrite) as stage:
            if form:
                sheet = models_sheet(explanations, agreements, reader, pts, form=form)
                with disk_errors(stage / names[0]):
                    (stage / names[0]).write_bytes(sheet)
            write_json(stage / names[-1], document)
    return ComparedVideo(results, document, tuple(out / name for name in names))


def _common_frames(explanations: Sequence[VideoExplanation], reader: VideoReader) -> Seconds:
    """Return the time stamps of the frames in the part that all models explained."""
    spans = [each.origin.span_seconds for each in explanations if each.origin is not None]
    return drawn_seconds(reader.info, max(start for start, _ in spans), min(end for _, end in spans))


def _entry(folder: str, result: ExplainedVideo) -> ComparedModel:
    document, explanation = result.document, result.explanation
    target = document.targets[0]
    return ComparedModel(
        name=document.model.name,
        layer=document.model.layer,
        top=document.top5[0],
        target=TargetClass(target.label, target.index, target.probability),
        method=shown_method(explanation),
        result=f"{folder}/{document.files[-1]}",
    )
