"""`explain`: from a video file to overlay videos, a sheet, the data and a JSON.

The film is gone through twice, because its one colour scale is known only at the end: decode + model (windows in
batches, raw maps kept in a file, a few KB each), then decode + blend + encode. Memory is flat in the film's length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vidcam.models.model import Model
from vidcam.models.registry import labels_of, load_model
from vidcam.pipelines.explain.analyse import VideoJob, analyse
from vidcam.pipelines.explain.disk_arrays import DiskArrays
from vidcam.pipelines.explain.document import Document
from vidcam.pipelines.explain.outputs import check_paths, choose_stem, source_of, staging
from vidcam.pipelines.explain.request import ExplainOptions, ExplainRequest, named_classes, resolve
from vidcam.pipelines.explain.result import Result
from vidcam.pipelines.forward import Prepared
from vidcam.results.video import Film
from vidcam.sampling import plan_windows
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress, StageTimer, silent
from vidcam.video.images import IMAGES
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.source import Source


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedVideo:
    """What `explain_video` made.

    Attributes:
        document: what stands in the JSON; `vidcam.system.json_files.as_plain` makes mappings and lists of it.
        film: the maps of all windows; `film.heat(method, seconds)` is (S, H, W) in [0, 1].
        paths: the files, the JSON last.
        stage_seconds: time spent in each stage; stages overlap.
    """

    document: Document = field(repr=False)
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
        return [(entry.label, entry.probability) for entry in self.document.top5]

    @property
    def warnings(self) -> list[str]:
        """What one should know about the source: damage, choices made."""
        return list(self.document.source.warnings)

    @property
    def audit(self) -> list[str]:
        """What one should know before trusting the maps."""
        return list(self.document.audit)


class Explainer:
    """A model with its question settled, ready for any number of videos; what is the same for all is done once."""

    def __init__(self, model: Model, options: ExplainOptions, *, progress: Progress = silent) -> None:
        self._request, self._ready = resolve(model, options)
        self._progress = progress

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
        """With a model by name, made as `load_model` makes it, or one that is loaded already.

        Raises:
            InputError: a class that the model does not have, said before it is loaded; else as `load_model`.
        """
        if not isinstance(model, Model):
            known = labels_of(model, weights=weights, labels=labels)
            if known is not None:
                named_classes(options, known, model=model)
            model = load_model(
                model, device=device, weights=weights, labels=labels, mean_cube=mean_cube, progress=progress
            )
        return cls(model, options, progress=progress)

    def explain(self, source: Source, out: str | Path) -> ExplainedVideo:
        """Explain one video into a folder; nothing is left there if it fails."""
        return explain_prepared(source, Path(out), self._ready, self._request, progress=self._progress)


def explain_prepared(
    source: Source, folder: Path, ready: Prepared, request: ExplainRequest, *, progress: Progress = silent
) -> ExplainedVideo:
    """Explain one video with a model that is ready for the request; nothing is left in the folder if it fails."""
    clock = StageTimer()
    with clock.stage("probe"):
        reader = open_video(source, fps=request.fps, decoder=request.decoder)
    with reader:
        job = video_job(reader, ready.model.spec, request)
        stem = choose_stem(folder, source_of(reader.info), overwrite=request.overwrite)
        with staging(folder, stem, overwrite=request.overwrite) as stage:
            disk = DiskArrays(stage)
            results = analyse(ready.model, job, request, clock=clock, progress=progress, disk=disk)
            result = Result(ready, request, job, results, clock=clock, forget=disk.forget)
            document = result.write(stage, folder, stem, progress=progress)
    film = disk.handed_out(result.film)
    return ExplainedVideo(document, film, tuple(folder / name for name in document.files), clock.seconds)


def video_job(reader: VideoReader, spec: ModelSpec, request: ExplainRequest) -> VideoJob:
    """Plan which windows of a video the model is shown.

    Raises:
        InputError: nothing of the video lies in the part that was asked for.
    """
    is_each_a_clip = spec.frames == 1 and reader.info.decoder == IMAGES
    start, end = request.start_seconds, request.end_seconds
    windows = plan_windows(
        reader.info,
        frames=spec.frames,
        fps=None if is_each_a_clip else spec.fps,
        overlap=request.overlap,
        clip_start_seconds=request.clip_start_seconds,
        start_seconds=start,
        end_seconds=end,
    )
    span = (
        max(windows[0].start_seconds, 0.0 if start is None else start),
        min(windows[-1].end_seconds, float("inf") if end is None else end),
    )
    return VideoJob(reader, windows, spec.geometry(reader.info.size), span)


def explain_video(
    source: Source,
    out: str | Path,
    *,
    model: str | Model = "i3d",
    device: str = "auto",
    progress: Progress = silent,
    options: ExplainOptions | None = None,
) -> ExplainedVideo:
    """Explain a video: overlay videos, a sheet, the data and a JSON in a folder.

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
    options = options or ExplainOptions()
    check_paths(
        source, Path(out), overwrite=options.overwrite, fps=options.fps, decoder=options.decoder
    )  # before a model is loaded
    return Explainer.load(model, options, device=device, progress=progress).explain(source, out)
