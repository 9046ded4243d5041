"""`explain`: from a video file to overlay videos, a sheet, the data and a JSON.

The video is gone through twice, because its one colour scale is known only at the end: decode + model (windows in
batches, raw maps kept in a file, a few KB each), then decode + blend + encode. Memory is flat in the video's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import nn

from vidcam.cam.fusion import Fusion
from vidcam.cam.request import DEFAULT_BUDGET, Fine, ScoreName
from vidcam.fill import Fill
from vidcam.geometry import View
from vidcam.models.model import Model, Precision
from vidcam.models.registry import as_model, labels_of, load_model
from vidcam.pipelines.audit import verdict_sentences
from vidcam.pipelines.explain.analyse import analyse
from vidcam.pipelines.explain.captions import generated_caption, is_generated, resolve_with_captions
from vidcam.pipelines.explain.disk_arrays import DiskArrays
from vidcam.pipelines.explain.document import Document, probability_of
from vidcam.pipelines.explain.job import opened_job
from vidcam.pipelines.explain.outputs import check_paths, staging, stem_of
from vidcam.pipelines.explain.probabilities import window_probabilities, with_probable_classes
from vidcam.pipelines.explain.request import (
    DEFAULT_OUTPUTS,
    ExplainOptions,
    ExplainRequest,
    named_classes,
)
from vidcam.pipelines.explain.result import Result
from vidcam.pipelines.explain.verdicts import verdicts_of
from vidcam.pipelines.forward import Prepared
from vidcam.pipelines.run_file import NamedModel, named_model, run_settings
from vidcam.render.caption_text import CaptionPlace
from vidcam.render.sheet import SheetFormat
from vidcam.results.video import Scale, VideoExplanation
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress, progress_or_default, silent
from vidcam.video.reader import Decoder
from vidcam.video.source import Source


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedVideo:
    """What `explain_video` made.

    Attributes:
        document: what stands in the JSON; `vidcam.system.json_files.as_plain` makes mappings and lists of it.
        explanation: the maps of all windows; `explanation.heat(method, seconds)` is (S, H, W) in [0, 1].
        paths: the files, the JSON last.
        stage_seconds: time spent in each stage; stages overlap.
    """

    document: Document = field(repr=False)
    explanation: VideoExplanation
    paths: tuple[Path, ...]
    stage_seconds: dict[str, float] = field(repr=False)

    def __repr__(self) -> str:
        label, p = self.top5[0]
        top = repr(label) if p is None else f"{label!r} {p:.2f}"
        counts = f"{len(self.document.windows)} windows, {len(self.paths)} files"
        return f"ExplainedVideo({Path(self.document.source.path).name!r}, {top}, {counts})"

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the verdicts, and the overlay video, or the sheet where that is too large."""
        from vidcam.pipelines.render.page import with_verdicts
        from vidcam.render.notebook import html_of

        shown = [path for ending in (".mp4", ".png", ".svg") for path in self.paths if path.suffix == ending]
        html = next((html for path in shown if (html := html_of(path)) is not None), None)
        return with_verdicts(self.explanation, html)

    @property
    def top5(self) -> list[tuple[str, float | None]]:
        """Labels and mean probabilities over the windows, highest first; None if the model returns values."""
        return [(entry.label, entry.probability) for entry in self.document.top5]

    @property
    def warnings(self) -> list[str]:
        """What one should know about the source: damage, choices made."""
        return list(self.document.source.warnings)

    @property
    def verdicts(self) -> list[str]:
        """How far each map can be trusted, and whether motion counts; the verdicts are in `explanation.verdicts`."""
        return verdict_sentences(self.explanation)

    @property
    def audit(self) -> list[str]:
        """What one should know besides: choices, the place of the maps, the numbers of the methods."""
        return list(self.document.audit)


class Explainer:
    """A model with its question settled, ready for any number of videos; what is the same for all is done once.

    Attributes:
        request: holds for every video.
        ready: the model, made ready for the request.
        progress: called as work goes on.
    """

    def __init__(
        self, model: Model, options: ExplainOptions, *, named: NamedModel | None = None, progress: Progress = silent
    ) -> None:
        self._model, self._options, self._named, self.progress = model, options, named, progress
        self.request, self.ready = resolve_with_captions(model, options)
        if named is not None:  # else nobody could load the model again
            self.request = replace(self.request, settings=_settings(options, named, self.request, model))

    @classmethod
    def load(
        cls,
        model: str | Model,
        options: ExplainOptions,
        *,
        device: str = "auto",
        weights: str | Path = "pretrained",
        labels: str | Path | Sequence[str] | None = None,
        mean_cube: str | Path | None = None,
        progress: Progress = silent,
    ) -> Explainer:
        """With a model by name, made as `load_model` makes it, or one that is loaded already.

        Raises:
            InputError: a class that the model does not have, said before it is loaded; else as `load_model`.
        """
        named = None
        if not isinstance(model, Model):
            named = named_model(model, weights=weights, labels=labels, mean_cube=mean_cube)
            known = labels_of(model, weights=weights, labels=labels)
            if known is not None:
                named_classes(options, known, model=model)
            model = load_model(
                model, device=device, weights=weights, labels=labels, mean_cube=mean_cube, progress=progress
            )
        return cls(model, options, named=named, progress=progress)

    def predict(self, source: Source) -> tuple[int, float | None]:
        """Return the top class of one video and its mean probability over the windows; nothing is written."""
        with opened_job(source, self.ready, self.request, fetch=True, progress=self.progress) as job:
            mean = window_probabilities(job).mean(axis=0)
        return int(mean.argmax()), probability_of(job.model, mean.max())

    def explain(self, source: Source, out: str | Path) -> ExplainedVideo:
        """Explain one video into a folder; nothing is left there if it fails."""
        if is_generated(self._model, self._options):
            with opened_job(source, self.ready, self.request, fetch=True, progress=self.progress) as job:
                options = replace(self._options, caption=(generated_caption(self._model, job),))
            return Explainer(self._model, options, named=self._named, progress=self.progress).explain(source, out)
        return explain_prepared(source, Path(out), self.ready, self.request, fetch=True, progress=self.progress)


def _settings(options: ExplainOptions, named: NamedModel, request: ExplainRequest, model: Model) -> dict[str, object]:
    """Return the settings that repeat a run with `--config`: the options, and what was chosen for the user."""
    is_stated = bool(options.layers or model.spec.layer)  # else a note says that the layer was chosen
    resolved = {
        "device": str(model.device),
        "methods": request.methods,
        "layer": request.layers if is_stated else (),
        "batch_size": request.batch_size,
    }
    return run_settings(options, named, resolved=resolved)


def explain_prepared(
    source: Source,
    folder: Path,
    ready: Prepared,
    request: ExplainRequest,
    *,
    fetch: bool = False,
    progress: Progress = silent,
) -> ExplainedVideo:
    """Explain one video with a model that is ready for the request; nothing is left in the folder if it fails.

    Arguments and errors as in `opened_job`.
    """
    with opened_job(source, ready, request, fetch=fetch, progress=progress) as opened:
        stem = stem_of(opened.reader.info, folder, overwrite=request.overwrite)
        with staging(folder, stem, overwrite=request.overwrite) as stage:
            job, disk = with_probable_classes(opened), DiskArrays(stage)
            results = analyse(job, disk)
            result = Result(job, results, verdicts_of(job, results), forget=disk.release_memory)
            document = result.write(stage, folder, stem)
    explanation = disk.small_to_memory(result.explanation)
    return ExplainedVideo(document, explanation, tuple(folder / name for name in document.files), job.clock.seconds)


def explain_video(
    source: Source,
    out: str | Path,
    *,
    model: str | Model | nn.Module = "i3d",
    spec: ModelSpec | None = None,
    weights: str | Path = "pretrained",
    labels: str | Path | Sequence[str] | None = None,
    mean_cube: str | Path | None = None,
    device: str = "auto",
    methods: str | Sequence[str] | None = None,
    targets: str | int | Sequence[str | int] = (),
    contrast: str | int | None = None,
    caption: str | Sequence[str] = (),
    layer: str | Sequence[str] | None = None,
    axes: str | None = None,
    fusion: Fusion | None = None,
    score: ScoreName = "logit",
    score_scale: float = 1.0,
    steps: int | None = None,
    fine: Fine = "pooled",
    budget: int = DEFAULT_BUDGET,
    view: View = "centre",
    at: float | None = None,
    start: float | None = None,
    end: float | None = None,
    overlap: float = 0.5,
    verdict_forwards: int | None = None,
    outputs: str | Sequence[str] = DEFAULT_OUTPUTS,
    captions: CaptionPlace = "inside",
    sheet_format: SheetFormat = "png",
    fill: Fill = "black",
    scale: Scale = "video",
    batch_size: int | None = None,
    precision: Precision = "float32",
    fps: Fraction | float | None = None,
    decoder: Decoder = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExplainedVideo:
    """Explain a video: overlay videos, a sheet, the data and a JSON in a folder.

    Args:
        source: a video file, a folder of images, a pattern ('folder/img_%05d.png'), a list of images' paths, an open
            binary file, an address (https is fetched), or frames: (T, H, W, 3) uint8 RGB or floats in [0, 1], or
            (T, H, W) grey, as an array, a tensor, or a list of arrays or PIL images.
        out: folder; made if it is not there.
        model: name of a model, 'package.module:factory', a `Model`, or any module with its `spec`.
        spec: what a module expects and returns.
        weights: of a model named by `model`, as in `load_model`.
        labels: labels of a module or of a model named by `model`, or a file that lists them.
        mean_cube: of a model named by `model`, as in `load_model`.
        device: of a model named by `model`: 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'.
        methods: one name or several. None: token-lrp on a transformer, neutral-gradcam and gradcam behind a ReLU, else
            gradcam and hirescam. `best` is neutral-gradcam-ig.
        targets: labels or class indices, `above:0.2` for every class with a mean probability of 0.2 or more, or
            `per-window` for each window's own top class. Empty: the class of the highest mean probability.
        contrast: label or index of a class; the score is S_target - S_contrast.
        caption: for a captioner: captions, each word of which gets a map, or `generated` (the default): its own.
        layer: dotted name, or several names whose maps are fused. None: the model's default.
        axes: order of the axes in the clips that the model takes, such as `NTCHW`. None: that of its spec.
        fusion: `mean`, `max` or `sum` of several layers' maps; None: `sum` for parallel branches, else `mean`.
        score: `logit`, or `probability`, whose gradient vanishes where the model is sure.
        score_scale: λ of EQ 12 for gradcam++, at least 0; near 0 it weighs as gradcam+ does.
        steps: points of the path of fine maps, as in `vidcam.explain`; each costs a forward and a backward pass.
        fine: grid of fine maps of a window, as in `vidcam.explain`.
        budget: most forward passes of `occlusion`, and of `rise`, for each window and target.
        view: part of the frame that the model sees: `centre`, its own crop; `full`, the whole frame, if the network
            takes frames of any size; `three-crop`, three crops along the longer side, whose maps are merged.
        at: explain only the window that starts at this time, in seconds.
        start: where the explained part of the video begins, in seconds.
        end: where it ends, in seconds, not included.
        overlap: fraction by which neighbouring windows overlap, [0, 1).
        verdict_forwards: most clips that are run again to check the maps, in windows spread over the video. None: 16,
            and of a video over 30 s at most a tenth of its windows. With 0 no map is checked.
        outputs: of `overlay`, `map`, `sheet`, `report`, `data`. The JSON is always written, and the settings as TOML if
            the model has a name.
        captions: where the videos show label, probability, method, time and colour bar: `inside` the frame, in a
            `margin` below it, or `none`.
        sheet_format: `png`, `svg` or `pdf`.
        fill: what hidden pixels become in `map`: `black`, `mean`, `blur` or `frame-mean`.
        scale: 1 is the strongest evidence of the `video`. With `window` each window's map is first divided by its own
            maximum. All targets have one scale.
        batch_size: windows per forward pass, or crops with `three-crop`. None: chosen for the device.
        precision: of the network but its classifier: `float32` (exact), `bf16`, or `fp16` on CUDA.
        fps: frames per second of images and arrays. None: 25.
        decoder: `auto` (PyAV), `pyav` or `decord`, which is refused for a video that it reads differently.
        overwrite: replace existing results of the same source.
        progress: called as work goes on. None: a bar in notebooks.

    Raises:
        InputError: the file, a name or an option cannot be used; nothing is written.
        RunError: something failed while running; nothing is left behind.
    """
    options = ExplainOptions(
        methods=methods,
        targets=targets,
        contrast=contrast,
        caption=caption,
        layer=layer,
        axes=axes,
        fusion=fusion,
        score=score,
        score_scale=score_scale,
        steps=steps,
        fine=fine,
        budget=budget,
        view=view,
        at=at,
        start=start,
        end=end,
        overlap=overlap,
        verdict_forwards=verdict_forwards,
        outputs=outputs,
        captions=captions,
        sheet_format=sheet_format,
        fill=fill,
        scale=scale,
        batch_size=batch_size,
        precision=precision,
        fps=fps,
        decoder=decoder,
        overwrite=overwrite,
    )
    check_paths(source, Path(out), overwrite=overwrite, fps=fps, decoder=decoder)  # before a model is loaded
    files: dict[str, Any] = {"weights": weights, "labels": labels, "mean_cube": mean_cube}
    shown, named = progress_or_default(progress), as_model(model, spec, labels)
    return Explainer.load(named, options, device=device, progress=shown, **files).explain(source, out)
