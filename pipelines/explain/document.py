"""The JSON document of an explained video; `docs/json.md` describes each key.

None stands for an undefined value. Paths are relative to the JSON.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidcam import __version__
from vidcam.cam.fusion import Fusion
from vidcam.cam.request import ScoreName
from vidcam.fill import Fill
from vidcam.geometry import View
from vidcam.models.model import Forward, Model
from vidcam.pipelines.audit import artifact_shares
from vidcam.pipelines.explain.alpha_entry import AlphaEntry, alpha_entry
from vidcam.pipelines.explain.analyse import WindowResults
from vidcam.pipelines.explain.curves import Curves
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.results.caption import CaptionTarget
from vidcam.results.explanation import GUIDED, OF_FUNCTION, Artifact
from vidcam.results.timeline import Timeline
from vidcam.results.verdict import Verdict, VideoVerdict
from vidcam.results.video import PER_WINDOW, Scale, VideoExplanation
from vidcam.video.content import content_sha256
from vidcam.video.reader import VideoReader

SCHEMA = 1
PACKAGES = ("av", "numpy", "torch", "torchvision")

Figure = TypeVar("Figure")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """The explained video: its path, hash and properties, and warnings from reading and drawing it."""

    path: str
    sha256: str
    size: tuple[int, int]
    rotation_degrees: int
    pixel_aspect: float
    fps: float
    frames: int
    duration_seconds: float
    codec: str
    has_audio: bool
    readable_seconds: tuple[tuple[float, float], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplainedModel:
    """Names of the model, its layer and its weights."""

    name: str
    layer: str
    weights: str


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """A class and its mean probability over the windows; None if the model returns values."""

    label: str
    index: int
    probability: float | None


@dataclass(frozen=True, slots=True)
class PredictedWindow:
    """A window and its top class."""

    start_seconds: float
    end_seconds: float
    label: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class WindowEntry(PredictedWindow):
    """A window: its top class, and the probability of the first target."""

    target_probability: float | None


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """Verdict, files and evidence over time of one method; `evidence` is at the document's `evidence_seconds`."""

    verdict: Verdict
    overlay: str | None
    map: str | None
    empty: bool
    scale: tuple[float, float]
    grid: tuple[int, ...]
    completeness: float | None
    noise: float | None
    artifact_share: float | None
    alpha: AlphaEntry | None
    alpha_by_layer: dict[str, AlphaEntry] | None
    alpha_exact: bool | None
    clamped: float | None
    best_seconds: float | None
    evidence: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """One target: its probability, and the results of its methods. A word of a caption has no index."""

    label: str
    index: int | None
    probability: float | None
    saturated: float | None
    contrast: str | None
    methods: dict[str, MethodEntry]


@dataclass(frozen=True, slots=True)
class RuntimeEntry:
    """Device, batch size, decoder and forward pass of the run."""

    device: str
    batch_size: int
    decoder: str
    forward: Forward


@dataclass(frozen=True, slots=True)
class Document:
    """The content of the JSON."""

    schema: int
    source: SourceEntry
    model: ExplainedModel
    top5: tuple[ClassEntry, ...]
    verdict: VideoVerdict | None
    targets: tuple[TargetEntry, ...]
    captions: tuple[CaptionTarget, ...]
    windows: tuple[WindowEntry, ...]
    evidence_seconds: tuple[float, ...]
    artifact: Artifact | None
    audit: tuple[str, ...]
    view: View
    fill: Fill
    score: ScoreName
    score_scale: float
    fusion: Fusion | None
    scale: Scale
    runtime: RuntimeEntry
    versions: dict[str, str]
    files: tuple[str, ...]


def runtime_entry(job: VideoJob) -> RuntimeEntry:
    """Describe how a video was run."""
    return RuntimeEntry(str(job.model.device), job.request.batch_size, job.reader.info.decoder, job.ready.forward)


def source_entry(reader: VideoReader, path: str, *, notes: Sequence[str] = ()) -> SourceEntry:
    """Describe the explained video.

    Args:
        reader: the reader, after the video was read.
        path: path to write in the JSON.
        notes: sentences from drawing the video, which follow the warnings from reading it.
    """
    info = reader.info
    return SourceEntry(
        path=path,
        sha256=content_sha256(info),
        size=info.size,
        rotation_degrees=info.rotation_degrees,
        pixel_aspect=float(info.pixel_aspect),
        fps=float(info.fps),
        frames=info.frame_count,
        duration_seconds=info.duration_seconds,
        codec=info.codec,
        has_audio=info.has_audio,
        readable_seconds=tuple(reader.readable_seconds),
        warnings=(*reader.notes, *notes),
    )


def top5(model: Model, ranking: NDArray[np.float64]) -> tuple[ClassEntry, ...]:
    """Return the classes with the highest mean probability, or value, over the windows, at most five.

    Args:
        model: the model, for its labels.
        ranking: (N, K), probabilities or values.
    """
    return class_entries(model, np.argsort(-ranking.mean(axis=0), kind="stable")[:5].tolist(), ranking)


def class_entries(model: Model, indices: Sequence[int], ranking: NDArray[np.float64]) -> tuple[ClassEntry, ...]:
    """Describe classes; arguments as `top5`."""
    mean = ranking.mean(axis=0)
    return tuple(ClassEntry(model.label(k), k, probability_of(model, mean[k])) for k in indices)


def probability_of(model: Model, value: float) -> float | None:
    """The value if it is a probability of the model; None if the model returns values."""
    return None if model.spec.activation == "none" else float(value)


def target_entry(
    video_explanation: VideoExplanation,
    results: WindowResults,
    *,
    number: int,
    contrast: str | None,
    files: Mapping[str, Mapping[str, str]],
    curves: Curves,
) -> TargetEntry:
    """Describe the target with this number: its probability and, for each method, files and measures.

    The files are method → {'overlay': name, 'map': name}. The curves have the requested methods, also guided ones.
    """
    explanation = results.explanation
    label, index = video_explanation.labels[number], int(explanation.target[0])
    is_value = bool(np.isnan(results.log_original).all())
    return TargetEntry(
        label=label,
        index=None if label == PER_WINDOW or index == OF_FUNCTION else index,
        probability=None if is_value else float(np.exp(results.log_original).mean()),
        saturated=None if explanation.activation == "none" else float(explanation.saturated.mean()),
        contrast=contrast,
        methods={
            method: _method_entry(
                video_explanation, results, method, number=number, files=files.get(method, {}), curves=curves
            )
            for method in curves.evidence[number]
        },
    )


def _method_entry(
    video_explanation: VideoExplanation,
    results: WindowResults,
    method: str,
    *,
    number: int,
    files: Mapping[str, str],
    curves: Curves,
) -> MethodEntry:
    """Describe one method; a guided method has the numbers of its map, but a verdict of its own."""
    explanation, volume = results.explanation, GUIDED.get(method, method)
    clamped = [float(share.max()) for share in _by_layer(explanation.clamped, volume).values()]
    errors, noise = explanation.completeness.get(volume), explanation.noise.get(volume)
    audits = {layer: alpha_entry(audit) for layer, audit in _by_layer(explanation.alpha, volume).items()}
    return MethodEntry(
        verdict=video_explanation.verdict(method, target=number),
        overlay=files.get("overlay"),
        map=files.get("map"),
        empty=bool(explanation.empty[volume].all()),
        scale=video_explanation.bounds[volume],
        grid=explanation.volumes[volume].shape[1:],
        completeness=None if errors is None else float(np.abs(errors).max()),
        noise=None if noise is None else float(noise.max()),
        artifact_share=artifact_shares(explanation).get(volume),
        alpha=audits.get(""),
        alpha_by_layer={layer: entry for layer, entry in audits.items() if layer} or None,
        alpha_exact=explanation.alpha_exact if audits else None,
        clamped=max(clamped, default=None),
        best_seconds=curves.best_second(number, method),
        evidence=tuple(round(value, 6) for value in curves.thinned().evidence[number][method].tolist()),
    )


def _by_layer(figures: Mapping[str, Figure], method: str) -> dict[str, Figure]:
    """Return layer → figure of a method; with only one layer, its key is ''."""
    prefix = f"{method} at "
    by_layer = {key.removeprefix(prefix): figure for key, figure in figures.items() if key.startswith(prefix)}
    return {"": figures[method]} if method in figures else by_layer


def predicted_windows(model: Model, line: Timeline, ranking: NDArray[np.float64]) -> tuple[PredictedWindow, ...]:
    """Describe each window by its top class; the ranking is (N, K), probabilities or values."""
    best = ranking.argmax(axis=1)
    return tuple(
        PredictedWindow(
            start_seconds=float(line.starts[n]),
            end_seconds=float(line.ends[n]),
            label=model.label(int(best[n])),
            probability=probability_of(model, ranking[n, best[n]]),
        )
        for n in range(len(line))
    )


def window_entries(model: Model, line: Timeline, results: WindowResults) -> tuple[WindowEntry, ...]:
    """Describe each window: its top class, and the probability of the first target."""
    windows = predicted_windows(model, line, results.explanation.ranking())
    targets = [probability_of(model, probability) for probability in np.exp(results.log_original)]
    return tuple(
        WindowEntry(**asdict(window), target_probability=target)
        for window, target in zip(windows, targets, strict=True)
    )


def versions() -> dict[str, str]:
    """Return the versions of vidcam, Python and the packages that compute."""
    return {"vidcam": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def all_files(stem: str, targets: Sequence[TargetEntry], request: ExplainRequest) -> tuple[str, ...]:
    """Return the names of all files of a result, the JSON last."""
    videos = [name for target in targets for m in target.methods.values() for name in (m.overlay, m.map) if name]
    endings = {
        "sheet": (f".{request.sheet_format}",),
        "report": (".html",),
        "data": (".npz", "_evidence.csv"),
    }
    names = [ending for output, of_output in endings.items() if output in request.outputs for ending in of_output]
    names += [".toml"] if request.settings else []
    return (*videos, *(stem + ending for ending in (*names, ".json")))
