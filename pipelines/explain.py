"""`explain`: from a video file to overlay videos, a sheet, the data and a JSON.

The film is gone through twice, because its one colour scale is known only at the end: decode + model (windows in
batches, raw maps kept, a few KB each), then decode + blend + encode. Memory is flat in the length of the film.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidcam.cam.audit import Sink
from vidcam.cam.layers import default_layer, dotted_name, list_layers
from vidcam.cam.methods import DEFAULT_METHODS, canonical_methods
from vidcam.errors import InputError
from vidcam.fill import FILLS, Fill
from vidcam.film import SCHEMA, Film, film_bounds
from vidcam.models.fetch import Progress
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines import report
from vidcam.pipelines.analyse import Answer, Footage, Question, analyse, grey_sink
from vidcam.pipelines.contact import contact_sheet
from vidcam.pipelines.draw import Drawing, Stills, Video, draw_videos, video_list
from vidcam.pipelines.outputs import choose_stem, relative_path, slug, staging
from vidcam.pipelines.sentences import audit_sentences
from vidcam.pipelines.stages import Clock, silent
from vidcam.pipelines.windows import timeline
from vidcam.preprocess import grey_input, mean_rgb
from vidcam.sampling import ROUNDING_SECONDS, plan_windows
from vidcam.video.reader import VideoReader, open_video

OUTPUTS = ("overlay", "map", "sheet", "data")
DEFAULT_OUTPUTS = ("overlay", "sheet", "data")

DEFAULT_BATCH = {"cpu": 4, "cuda": 16}
"""Windows that the model is shown at once, by device; 'auto' is this number, so that results do not depend on luck."""


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """How films are explained; the defaults of the command line and of `explain_video`.

    Attributes:
        methods: names or aliases.
        targets: labels or class indices; empty: the class of the highest mean probability over the film.
        foil: label or index of a class to contrast the targets with.
        layer: dotted name; None: the model's own default.
        clip_start_seconds: explain only the one window that starts here.
        overlap: share of a window that the next one covers again.
        outputs: of `overlay`, `map`, `sheet`, `data`; the JSON is always written.
        fill: what hidden pixels become, in `map` and in the measures.
        batch_size: windows at once; None: by device.
        overwrite: replace existing results of the same source.
    """

    methods: Sequence[str] = DEFAULT_METHODS
    targets: Sequence[str | int] = ()
    foil: str | int | None = None
    layer: str | None = None
    clip_start_seconds: float | None = None
    overlap: float = 0.5
    outputs: Sequence[str] = DEFAULT_OUTPUTS
    fill: Fill = "black"
    batch_size: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown or not self.outputs:
            raise InputError(f"outputs are {', '.join(self.outputs) or 'none'}, expected some of {', '.join(OUTPUTS)}")
        if self.fill not in FILLS:
            raise InputError(f"fill is {self.fill!r}, expected one of {', '.join(FILLS)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size is {self.batch_size}, expected at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedVideo:
    """What `explain_video` made.

    Attributes:
        document: what stands in the JSON.
        film: the maps of all windows; `film.heat(method, seconds)` is (S, H, W) in [0, 1].
        paths: the files, the JSON last.
        stage_seconds: time spent in each stage; stages overlap.
    """

    document: dict[str, Any]
    film: Film
    paths: tuple[Path, ...]
    stage_seconds: dict[str, float] = field(repr=False)

    @property
    def top5(self) -> list[tuple[str, float]]:
        """Labels and mean probabilities over the windows, highest first."""
        return [(entry["label"], entry["probability"]) for entry in self.document["top5"]]

    @property
    def audit(self) -> list[str]:
        """What one should know before trusting the maps."""
        return list(self.document["audit"])


class Explainer:
    """A model with its question settled, ready for any number of films; what is the same for all is done once."""

    def __init__(self, model: Model, options: ExplainOptions, *, progress: Progress = silent) -> None:
        layer = options.layer or model.spec.layer
        if layer is None:
            layer = default_layer(list_layers(model.module, grey_input(model.spec).to(model.device)))
        self.model = model
        self.options = options
        self.progress = progress
        self.question = Question(
            methods=canonical_methods(options.methods),
            targets=tuple(dict.fromkeys(model.label_index(target) for target in options.targets)),
            foil=None if options.foil is None else model.label_index(options.foil),
            layer=dotted_name(layer),
            fill=options.fill,
            batch_size=options.batch_size or DEFAULT_BATCH.get(model.device.type, DEFAULT_BATCH["cpu"]),
        )
        self.sink: Sink | None = grey_sink(model, layer)

    @classmethod
    def load(
        cls, model: str | Model, options: ExplainOptions, *, device: str = "auto", progress: Progress = silent
    ) -> Explainer:
        """With a model by name, or one that is loaded already."""
        loaded = model if isinstance(model, Model) else load_model(model, device=device, progress=progress)
        return cls(loaded, options, progress=progress)

    def explain(self, path: str | Path, out: str | Path) -> ExplainedVideo:
        """Explain one film into a folder; nothing is left there if it fails."""
        source, folder, clock = Path(path), Path(out), Clock()
        with clock.stage("probe"):
            reader = open_video(source)
        with reader:
            stem = choose_stem(folder, source, overwrite=self.options.overwrite)
            with staging(folder, stem, overwrite=self.options.overwrite) as stage:
                footage = self._footage(reader)
                answers = analyse(self.model, footage, self.question, clock=clock, progress=self.progress)
                result = _Result(self, footage, answers, clock)
                document = result.write(stage, folder, stem)
        return ExplainedVideo(document, result.film, tuple(folder / name for name in document["files"]), clock.seconds)

    def _footage(self, reader: VideoReader) -> Footage:
        spec = self.model.spec
        windows = plan_windows(
            reader.info,
            frames=spec.frames,
            fps=spec.fps,
            overlap=self.options.overlap,
            clip_start_seconds=self.options.clip_start_seconds,
        )
        return Footage(reader, windows, spec.geometry(reader.info.size))


class _Result:
    """All that follows from the answers about one film: scale, sentences, files, document."""

    def __init__(self, explainer: Explainer, footage: Footage, answers: tuple[Answer, ...], clock: Clock) -> None:
        self._explainer, self._answers, self._clock = explainer, answers, clock
        self._footage = footage
        first, last = footage.windows[0], footage.windows[-1]
        pts = footage.reader.info.pts_seconds
        begin = np.searchsorted(pts, first.start_seconds + ROUNDING_SECONDS, side="right") - 1
        self._pts = pts[max(0, int(begin)) : int(np.searchsorted(pts, last.end_seconds - ROUNDING_SECONDS))]
        self._seen = np.maximum(self._pts, first.start_seconds)  # a clip may start while a frame is on display
        with clock.stage("scale"):
            self.film = self._film()

    def _film(self) -> Film:
        model, footage, line = self._explainer.model, self._footage, timeline(self._footage.windows)
        explanations = tuple(answer.explanation for answer in self._answers)
        return Film(
            source=Path(footage.reader.info.path).name,
            model=model.spec.name,
            geometry=footage.geometry,
            timeline=line,
            labels=tuple(model.label(int(explanation.target[0])) for explanation in explanations),
            explanations=explanations,
            bounds=tuple(film_bounds(explanation, line, self._seen) for explanation in explanations),
        )

    def write(self, stage: Path, folder: Path, stem: str) -> dict[str, Any]:
        """Write every file into the stage; returns the document."""
        outputs = self._explainer.options.outputs
        kinds = [kind for kind in ("overlay", "map") if kind in outputs]
        videos, files = video_list(stem, self._slugs(), self.film, kinds)
        stills = Stills(self._rows()) if "sheet" in outputs else None
        if videos or stills is not None:
            self._draw(videos, stage, stills)
        document = self._document(folder, stem, files)
        if stills is not None:
            with self._clock.stage("sheet"):
                (stage / f"{stem}.png").write_bytes(contact_sheet(self.film, stills, document, self._seen))
        if "data" in outputs:
            self.film.save(stage / f"{stem}.npz")
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        (stage / f"{stem}.json").write_text(text + "\n", "utf-8")
        return document

    def _slugs(self) -> list[str]:
        indices = [int(explanation.target[0]) for explanation in self.film.explanations]
        names = [slug(label, index) for label, index in zip(self.film.labels, indices, strict=True)]
        return [
            f"{name}-{index}" if names.count(name) > 1 else name for name, index in zip(names, indices, strict=True)
        ]

    def _rows(self) -> dict[str, tuple[int, str]]:
        film = self.film
        return {
            method if len(film.labels) == 1 else f"{method}, {label}": (target, method)
            for target, label in enumerate(film.labels)
            for method in film.explanations[target].methods
        }

    def _draw(self, videos: Sequence[Video], stage: Path, stills: Stills | None) -> None:
        drawing = Drawing(
            film=self.film,
            info=self._footage.reader.info,
            pts_seconds=self._pts,
            end_seconds=self._footage.windows[-1].end_seconds,
            fill=self._explainer.options.fill,
            mean_rgb=mean_rgb(self._explainer.model.spec.scaling),
        )
        progress = self._explainer.progress
        draw_videos(drawing, self._footage.reader, videos, stage, clock=self._clock, progress=progress, stills=stills)

    def _document(self, folder: Path, stem: str, files: Sequence[Mapping[str, Mapping[str, str]]]) -> dict[str, Any]:
        explainer, model, info = self._explainer, self._explainer.model, self._footage.reader.info
        sink, first = explainer.sink, self._answers[0]
        foil = None if explainer.question.foil is None else model.label(explainer.question.foil)
        targets = [
            report.target_entry(self.film, answer, number=number, foil=foil, sink=sink, files=files[number])
            for number, answer in enumerate(self._answers)
        ]
        outputs = explainer.options.outputs
        return {
            "schema": SCHEMA,
            "source": report.source_entry(info, relative_path(Path(info.path), folder)),
            "model": report.model_entry(model, first.explanation.layer),
            "top5": report.top5(model, first.explanation.probabilities()),
            "targets": targets,
            "windows": report.window_entries(model, self.film, first),
            "sink": report.sink_entry(sink),
            "audit": [
                sentence
                for label, answer in zip(self.film.labels, self._answers, strict=True)
                for sentence in audit_sentences(label, answer.explanation, sink)
            ],
            "fill": explainer.options.fill,
            "runtime": {"device": str(model.device), "batch_size": explainer.question.batch_size},
            "versions": report.versions(),
            "files": report.all_files(stem, targets, sheet="sheet" in outputs, data="data" in outputs),
        }


def explain_video(
    path: str | Path,
    out: str | Path,
    *,
    model: str | Model = "i3d",
    device: str = "auto",
    progress: Progress = silent,
    options: ExplainOptions | None = None,
) -> ExplainedVideo:
    """Explain a film: overlay videos, a sheet, the data and a JSON in a folder.

    Args:
        path: any video file that PyAV reads.
        out: folder; made if it is not there.
        model: name of a model, 'package.module:factory', or one that is loaded already.
        device: 'auto', 'cpu' or 'cuda:N'; of a model that is loaded by name.
        progress: called as work goes on.
        options: what is asked and what is written.

    Raises:
        InputError: the file, a name or an option cannot be used; nothing is written.
        RunError: something failed while running; nothing is left behind.
    """
    return Explainer.load(model, options or ExplainOptions(), device=device, progress=progress).explain(path, out)
