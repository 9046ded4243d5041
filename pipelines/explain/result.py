"""From the answers about a film to its files: scale, sentences, videos, sheet, data and the document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.models.model import Model
from vidcam.models.optimise import Forward
from vidcam.pipelines.audit import audit_sentences, weights_sentence
from vidcam.pipelines.explain import document as report
from vidcam.pipelines.explain.analyse import Answer, Footage
from vidcam.pipelines.explain.options import ExplainOptions
from vidcam.pipelines.explain.outputs import saving, slug, source_of, stated_path
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.explain.saliency import GuidedFilm
from vidcam.pipelines.render.frames import FrameRenderer, Kind, RenderStyle, ShownMap
from vidcam.pipelines.render.sheet import SheetFrames, contact_sheet
from vidcam.pipelines.render.stream import drawn_seconds
from vidcam.pipelines.render.videos import Video, draw_videos, video_list
from vidcam.pipelines.windows import timeline
from vidcam.preprocess import mean_rgb
from vidcam.results.explanation import OF_FUNCTION, Sink
from vidcam.results.origin import Origin
from vidcam.results.video import PER_WINDOW, SCHEMA, Film, film_bounds
from vidcam.system.filenames import as_text
from vidcam.system.fingerprint import sampled_sha256
from vidcam.system.progress import Progress, StageTimer
from vidcam.video.images import IMAGES

LEADERS = 3
"""Classes of each window whose labels are saved with the maps."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Who was asked what: the same for all films of a run.

    Attributes:
        model: that answers.
        options: as given.
        request: the options with names resolved.
        sink: the layer's cells that are loud on a grey clip.
        note: a sentence where the layer was chosen and not given.
        progress: told how far things are.
        forward: which paths the model's forward pass takes.
        exact: the model without any of these, for guided backpropagation; None where the model is that, or not needed.
    """

    model: Model
    options: ExplainOptions
    request: ExplainRequest
    sink: Sink | None
    note: str
    progress: Progress
    forward: Forward = field(default_factory=Forward)
    exact: Model | None = None


class Result:
    """All that follows from the answers about one film.

    Args:
        asked: who was asked what.
        footage: the film.
        answers: one for each target.
        clock: takes the stages' times.
        forget: as that of a film.

    Attributes:
        film: the maps of all windows on one time line and one scale.
    """

    def __init__(
        self,
        asked: Asked,
        footage: Footage,
        answers: tuple[Answer, ...],
        *,
        clock: StageTimer,
        forget: Callable[[], None] | None = None,
    ) -> None:
        self._asked, self._footage, self._answers, self._clock = asked, footage, answers, clock
        self._pts = drawn_seconds(footage.reader.info, *footage.span_seconds)
        self._seen = np.maximum(self._pts, footage.span_seconds[0])  # a clip may start while a frame is on display
        with clock.stage("scale"):
            self.film = self._film(forget)

    def _film(self, forget: Callable[[], None] | None) -> Film:
        model, footage, line = self._asked.model, self._footage, timeline(self._footage.windows)
        explanations = tuple(answer.explanation for answer in self._answers)
        return Film(
            source=as_text(Path(footage.reader.info.path).name),
            model=model.spec.name,
            geometry=footage.geometry,
            timeline=line,
            labels=tuple(
                PER_WINDOW if asked is None else model.label(int(explanation.target[0]))
                for asked, explanation in zip(self._asked.request.targets or (OF_FUNCTION,), explanations, strict=True)
            ),
            explanations=explanations,
            bounds=tuple(film_bounds(explanation, line, self._seen, forget=forget) for explanation in explanations),
            class_labels=self._class_labels(),
            forget=forget,
        )

    def _origin(self, folder: Path) -> Origin:
        info = self._footage.reader.info
        return Origin(
            path=stated_path(source_of(info), folder),
            content_hash=sampled_sha256(info.files),
            span_seconds=self._footage.span_seconds,
            fps=str(info.fps) if info.decoder == IMAGES else None,
            mean_rgb=mean_rgb(self._asked.model.spec.scaling),
        )

    def _class_labels(self) -> dict[int, str]:
        """Of the classes that lead in some window, of the targets and of the foil."""
        explanations = [answer.explanation for answer in self._answers]
        asked: list[NDArray[Any]] = [explanation.target for explanation in explanations]
        asked += [explanation.foil for explanation in explanations if explanation.foil is not None]
        best = np.argsort(-explanations[0].logits, axis=1, kind="stable")[:, :LEADERS]
        return {int(k): self._asked.model.label(int(k)) for k in np.unique(np.concatenate([best.ravel(), *asked]))}

    def write(self, stage: Path, folder: Path, stem: str) -> dict[str, Any]:
        """Write every file into the stage; returns the document."""
        outputs = self._asked.options.outputs
        kinds: list[Kind] = [kind for kind in ("overlay", "map") if kind in outputs]
        videos, files = video_list(stem, self._slugs(), self._asked.request.methods, kinds)
        sheet = SheetFrames(self._maps()) if "sheet" in outputs else None
        if videos or sheet is not None:
            self._draw(videos, stage, sheet)
        document = self._document(folder, stem, files)
        if sheet is not None:
            with self._clock.stage("sheet"), saving(stage / f"{stem}.png") as path:
                path.write_bytes(contact_sheet(self.film, sheet, self._seen, audit=document["audit"]))
        if "data" in outputs:
            with saving(stage / f"{stem}.npz") as path:
                replace(self.film, origin=self._origin(folder)).save(path)
        with saving(stage / f"{stem}.json") as path:
            path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
        return document

    def _slugs(self) -> list[str]:
        indices = [int(explanation.target[0]) for explanation in self.film.explanations]
        names = [slug(label, index) for label, index in zip(self.film.labels, indices, strict=True)]
        return [
            f"{name}-{index}" if names.count(name) > 1 else name for name, index in zip(names, indices, strict=True)
        ]

    def _maps(self) -> list[ShownMap]:
        methods, targets = self._asked.request.methods, range(len(self.film.labels))
        return [ShownMap(target, method) for target in targets for method in methods]

    def _draw(self, videos: Sequence[Video], stage: Path, sheet: SheetFrames | None) -> None:
        reader, asked = self._footage.reader, self._asked
        style = RenderStyle(fill=asked.options.fill, mean_rgb=mean_rgb(asked.model.spec.scaling))
        guided = GuidedFilm(asked.exact or asked.model, self._footage, asked.request, self.film, self._clock)
        with closing(guided):
            draw_videos(
                FrameRenderer(self.film, style, guided),
                reader,
                videos,
                stage,
                pts_seconds=self._pts,
                end_seconds=self._footage.span_seconds[1],
                clock=self._clock,
                progress=asked.progress,
                sheet=sheet,
            )

    def _document(self, folder: Path, stem: str, files: Sequence[Mapping[str, Mapping[str, str]]]) -> dict[str, Any]:
        asked, model, info = self._asked, self._asked.model, self._footage.reader.info
        sink, first = asked.sink, self._answers[0]
        foil = None if asked.request.foil is None else model.label(asked.request.foil)
        targets = [
            report.target_entry(
                self.film,
                answer,
                number=number,
                foil=foil,
                sink=sink,
                files=files[number],
                methods=asked.request.methods,
            )
            for number, answer in enumerate(self._answers)
        ]
        outputs = asked.options.outputs
        return {
            "schema": SCHEMA,
            "source": report.source_entry(self._footage.reader, stated_path(source_of(info), folder)),
            "model": report.model_entry(model, first.explanation.layer),
            "top5": report.top5(model, first.explanation.probabilities()),
            "targets": targets,
            "windows": report.window_entries(model, self.film, first),
            "sink": report.sink_entry(sink),
            "audit": [sentence for sentence in (asked.note, weights_sentence(model.weights)) if sentence]
            + [
                sentence
                for label, answer in zip(self.film.labels, self._answers, strict=True)
                for sentence in audit_sentences(label, answer.explanation, sink)
            ],
            "fill": asked.options.fill,
            "score": asked.options.score,
            "lambda": asked.options.lam,
            "fusion": asked.options.fusion if len(asked.request.layers) > 1 else None,
            "runtime": {
                "device": str(model.device),
                "batch_size": asked.request.batch_size,
                "decoder": info.decoder,
                "forward": asked.forward.entry(),
            },
            "versions": report.versions(),
            "files": report.all_files(stem, targets, sheet="sheet" in outputs, data="data" in outputs),
        }
