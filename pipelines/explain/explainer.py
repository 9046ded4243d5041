"""`explain`: from a video file to overlay videos, a sheet, the data and a JSON.

The film is gone through twice, because its one colour scale is known only at the end: decode + model (windows in
batches, raw maps kept in a file, a few KB each), then decode + blend + encode. Memory is flat in the film's length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidcam.cam.ask import Ask
from vidcam.cam.methods import canonical_methods, volume_methods
from vidcam.errors import InputError
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.analyse import EXPLAINING, Footage, Question, analyse, target_layers
from vidcam.pipelines.explain.options import DEFAULT_BATCH, ExplainOptions, rate
from vidcam.pipelines.explain.outputs import choose_stem, source_of, staging
from vidcam.pipelines.explain.result import Asked, Result
from vidcam.pipelines.explain.spill import Spill
from vidcam.pipelines.grey import default_methods
from vidcam.pipelines.prepare import prepare
from vidcam.pipelines.render.stream import DRAWING, PIXEL_SECONDS, drawn_seconds
from vidcam.results.video import PER_WINDOW, Film
from vidcam.sampling import plan_windows
from vidcam.system.progress import Progress, expect, silent
from vidcam.system.threads import Clock
from vidcam.video.images import IMAGES
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.source import Source

WINDOW_SECONDS = 0.5
"""What a window of the model is thought to take, until it is seen, on two ordinary cores."""


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedVideo:
    """What `explain_video` made.

    Attributes:
        document: what stands in the JSON.
        film: the maps of all windows; `film.heat(method, seconds)` is (S, H, W) in [0, 1].
        paths: the files, the JSON last.
        stage_seconds: time spent in each stage; stages overlap.
    """

    document: dict[str, Any] = field(repr=False)
    film: Film
    paths: tuple[Path, ...]
    stage_seconds: dict[str, float] = field(repr=False)

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the overlay video, or the sheet where that is too large."""
        from vidcam.render.notebook import html_of

        shown = [path for ending in (".mp4", ".png") for path in self.paths if path.suffix == ending]
        return next((html for path in shown if (html := html_of(path)) is not None), None)

    @property
    def top5(self) -> list[tuple[str, float]]:
        """Labels and mean probabilities over the windows, highest first."""
        return [(entry["label"], entry["probability"]) for entry in self.document["top5"]]

    @property
    def warnings(self) -> list[str]:
        """What one should know about the source: damage, choices made."""
        return list(self.document["source"]["warnings"])

    @property
    def audit(self) -> list[str]:
        """What one should know before trusting the maps."""
        return list(self.document["audit"])


class Explainer:
    """A model with its question settled, ready for any number of films; what is the same for all is done once."""

    def __init__(self, model: Model, options: ExplainOptions, *, progress: Progress = silent) -> None:
        layers, note = target_layers(model, options.layers)
        given = None if options.methods is None else canonical_methods(options.methods)
        foil = None if options.foil is None else model.label_index(options.foil)
        targets = tuple(dict.fromkeys(_target(model, target) for target in options.targets))
        if foil is not None and foil in targets:
            label = model.label(foil)
            raise InputError(f"the foil {label!r} is a target too, expected another class; leave one of the two out")
        if foil is not None and None in targets:
            raise InputError(
                f"a foil was given with the target {PER_WINDOW!r}, which is another class in each window; leave one out"
            )
        ready = prepare(model, layers, precision=options.precision)
        methods = given or default_methods(model, layers)
        question = Question(
            methods=methods,
            targets=targets,
            ask=Ask(volume_methods(methods), foil, options.score, options.lam),
            layers=layers,
            fusion=options.fusion,
            fill=options.fill,
            batch_size=options.batch_size or DEFAULT_BATCH.get(model.device.type, DEFAULT_BATCH["cpu"]),
            references=ready.neutral.activations,
        )
        exact = model if question.guided else None  # a ReLU's gate at 0 may turn with the last bit of what it is given
        self._asked = Asked(ready.model, options, question, ready.neutral.sink, note, progress, ready.forward, exact)

    @classmethod
    def load(
        cls,
        model: str | Model,
        options: ExplainOptions,
        *,
        device: str = "auto",
        weights: str | Path = "pretrained",
        labels: str | Path | None = None,
        mean_cube: str | Path | None = None,
        progress: Progress = silent,
    ) -> Explainer:
        """With a model by name, made as `load_model` makes it, or one that is loaded already."""
        if not isinstance(model, Model):
            model = load_model(
                model, device=device, weights=weights, labels=labels, mean_cube=mean_cube, progress=progress
            )
        return cls(model, options, progress=progress)

    def explain(self, source: Source, out: str | Path) -> ExplainedVideo:
        """Explain one film into a folder; nothing is left there if it fails."""
        folder, clock, asked = Path(out), Clock(), self._asked
        with clock.stage("probe"):
            reader = open_video(source, fps=rate(asked.options.fps), decoder=asked.options.decoder)
        with reader:
            footage = self._footage(reader)
            stem = choose_stem(folder, source_of(reader.info), overwrite=asked.options.overwrite)
            with staging(folder, stem, overwrite=asked.options.overwrite) as stage:
                self._announce(footage)
                spill = Spill(stage)
                answers = analyse(
                    asked.model, footage, asked.question, clock=clock, progress=asked.progress, spill=spill
                )
                result = Result(asked, footage, answers, clock=clock, forget=spill.forget)
                document = result.write(stage, folder, stem)
        film = spill.handed_out(result.film)
        return ExplainedVideo(document, film, tuple(folder / name for name in document["files"]), clock.seconds)

    def _announce(self, footage: Footage) -> None:
        """Tell of both passes before the first; replaced by their own speed as they run."""
        asked, info = self._asked, footage.reader.info
        frames = drawn_seconds(info, *footage.span_seconds).size
        videos = len(asked.question.methods) * max(1, len(asked.question.targets))
        expect(asked.progress, EXPLAINING, len(footage.windows), WINDOW_SECONDS)
        if set(asked.options.outputs) & {"overlay", "map", "sheet"}:
            pixels = info.size[0] * info.size[1]
            expect(asked.progress, DRAWING, frames, (1 + videos) * pixels * PIXEL_SECONDS)

    def _footage(self, reader: VideoReader) -> Footage:
        spec, options = self._asked.model.spec, self._asked.options
        is_each_a_clip = spec.frames == 1 and reader.info.decoder == IMAGES
        windows = plan_windows(
            reader.info,
            frames=spec.frames,
            fps=None if is_each_a_clip else spec.fps,
            overlap=options.overlap,
            clip_start_seconds=options.clip_start_seconds,
            start_seconds=options.start_seconds,
            end_seconds=options.end_seconds,
        )
        return Footage(
            reader,
            windows,
            spec.geometry(reader.info.size),
            start_seconds=0.0 if options.start_seconds is None else options.start_seconds,
            end_seconds=float("inf") if options.end_seconds is None else options.end_seconds,
        )


def _target(model: Model, target: str | int) -> int | None:
    """A class's index; None for each window's own top class."""
    return None if target == PER_WINDOW else model.label_index(target)


def explain_video(
    source: Source,
    out: str | Path,
    *,
    model: str | Model = "i3d",
    device: str = "auto",
    progress: Progress = silent,
    options: ExplainOptions | None = None,
) -> ExplainedVideo:
    """Explain a film: overlay videos, a sheet, the data and a JSON in a folder.

    Args:
        source: any video file that FFmpeg reads, a folder of images, an open binary file, or an address for fsspec.
        out: folder; made if it is not there.
        model: name of a model, 'package.module:factory', or one that is loaded already.
        device: 'auto', 'cpu' or 'cuda:N'; of a model that is loaded by name.
        progress: called as work goes on.
        options: what is asked and what is written.

    Raises:
        InputError: the file, a name or an option cannot be used; nothing is written.
        RunError: something failed while running; nothing is left behind.
    """
    return Explainer.load(model, options or ExplainOptions(), device=device, progress=progress).explain(source, out)
