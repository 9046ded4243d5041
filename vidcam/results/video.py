"""The explanation of a video: windows on one time line, in the source's pixels, on one colour scale.

`Timeline` blends the raw maps of the windows. For each method one pair of bounds turns blended maps into heat. It is
taken over the whole video and all targets, after upsampling to the model's input: no frame is normalised by itself, and
targets can be compared. With the scale `window`, each window's map is divided by its own maximum before it is blended.
`Geometry` draws maps on the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.geometry import Geometry
from vidcam.maps import (
    Floats,
    normalise,
    resample_nearest,
    resample_plane,
    resample_smooth,
    resize_matrix,
    to_unit,
    upsample_volume,
)
from vidcam.media import Seconds
from vidcam.results.caption import CaptionTarget
from vidcam.results.explanation import INPUT_METHODS, Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.verdict import NOT_CHECKED, Verdict, VideoVerdict
from vidcam.system.filenames import as_text, relative_path

PER_WINDOW = "per-window"
"""Label of the target that is each window's own predicted class."""

CHUNK = 64
"""Moments that are upsampled together."""

FINE_QUANTILE, FINE_RANGE = 0.99, 10.0
"""Upper bound of a map of the input: this quantile of a frame, and at least its largest value divided by FINE_RANGE."""

Bounds = Mapping[str, tuple[float, float]]

Scale = Literal["video", "window"]
"""`video`: evidence is relative to the strongest of the video; `window`: first to the strongest of its window."""

SCALES: tuple[Scale, ...] = get_args(Scale)

Interpolation = Literal["linear", "smooth", "cells"]
"""How a map is drawn between the centres of its cells."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of an explanation, as needed to draw it again.

    Attributes:
        path: absolute path of the file or folder of images; a name if the source is not a local file. In a saved
            explanation it is relative to the explanation's folder, so that both can be moved together.
        content_hash: `system.fingerprint.sampled_sha256` of its files.
        span_seconds: the explained part of the video, [start, end).
        fps: frame rate of a folder of images, as a fraction in text; None for a video.
        mean_rgb: the dataset's mean colour, in [0, 255], for the fill of hidden pixels.
        is_local: whether `path` is a file or folder of this machine.
    """

    path: str
    content_hash: str
    span_seconds: tuple[float, float]
    fps: str | None = None
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    is_local: bool = True

    def relative_to(self, folder: Path) -> Origin:
        """Return a copy with an absolute path made relative to a folder; `resolved_from` is the inverse."""
        path = Path(self.path)
        is_absolute = self.is_local and path.is_absolute()
        return replace(self, path=as_text(relative_path(path, folder) if is_absolute else self.path))

    def resolved_from(self, folder: Path) -> Origin:
        """Return a copy with the absolute path of a path that is relative to a folder."""
        return replace(self, path=str((folder / self.path).resolve())) if self.is_local else self


@dataclass(frozen=True, slots=True, eq=False)
class VideoExplanation:
    """Explanations of all windows of a video, for one or several targets.

    Attributes:
        source: name of the video file.
        model: name of the model.
        geometry: source frame → model input.
        timeline: times of the N windows.
        labels: name of each target.
        explanations: one for each target, N clips each.
        bounds: method → (low, high) of the upsampled, blended map over the video and all targets.
        origin: the source, to draw it again; None if unknown.
        class_labels: index → label of the targets, the contrast class and each window's top class.
        scale: `window`: each window's map is divided by its largest value over all targets before it is blended.
        verdicts: for each target method → how far its map can be trusted; empty if nothing was checked.
        video_verdict: whether motion counts in this video; None if nothing was checked.
        captions: the captions among the targets; empty if they are classes.
        forget: called after maps were read, to free the memory pages of a mapped file.
    """

    source: str
    model: str
    geometry: Geometry
    timeline: Timeline
    labels: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    bounds: Bounds
    origin: Origin | None = None
    class_labels: Mapping[int, str] = field(default_factory=dict, repr=False)
    scale: Scale = "video"
    verdicts: tuple[Mapping[str, Verdict], ...] = field(default=(), repr=False)
    video_verdict: VideoVerdict | None = field(default=None, repr=False)
    captions: tuple[CaptionTarget, ...] = field(default=(), repr=False)
    forget: Callable[[], None] | None = field(default=None, repr=False)
    _factors: dict[str, Floats | None] = field(default_factory=dict, init=False, repr=False)  # cache, by method

    def __post_init__(self) -> None:
        lengths = {len(explanation) for explanation in self.explanations}
        if lengths != {len(self.timeline)}:
            raise ShapeError(f"explanations must have the timeline's {len(self.timeline)} clips, got {lengths}")
        if len(self.labels) != len(self.explanations):
            raise ShapeError(
                f"each target needs a label and an explanation, got {len(self.labels)} and {len(self.explanations)}"
            )
        methods = {name for explanation in self.explanations for name in explanation.volumes}
        if set(self.bounds) != methods:
            raise ShapeError(f"each method needs bounds, got {sorted(self.bounds)} for {sorted(methods)}")
        if self.verdicts and len(self.verdicts) != len(self.explanations):
            raise ShapeError(f"each target needs verdicts, got {len(self.verdicts)} for {len(self.labels)} targets")
        for caption in self.captions:
            if not 0 <= caption.target <= caption.last < len(self.labels):
                raise ShapeError(f"caption {' '.join(caption.words)!r} is not among the {len(self.labels)} targets")

    def __repr__(self) -> str:
        return (
            f"VideoExplanation({self.source!r}, {len(self.timeline)} windows, targets={list(self.labels)}, "
            f"{self.explanations[0]})"
        )

    @property
    def main_targets(self) -> tuple[int, ...]:
        """Positions of the targets that have videos, rows and sentences of their own: all but the words of captions."""
        return tuple(caption.target for caption in self.captions) or tuple(range(len(self.labels)))

    def raw(self, method: str, seconds: Seconds, *, target: int = 0) -> Floats:
        """Return blended raw maps at given moments, (S, h, w) float32; zeros outside every window."""
        return self._blended(method, seconds, target, None)

    def scaled(self, method: str, seconds: Seconds, *, target: int = 0) -> Floats:
        """Return blended maps in the unit of the bounds, (S, h, w): as `raw`, or relative to each window's maximum."""
        self._explanation_of(target).stored(method)  # checks both names
        if method not in self._factors:
            self._factors[method] = window_factors(self.explanations, method) if self.scale == "window" else None
        return self._blended(method, seconds, target, self._factors[method])

    def _blended(self, method: str, seconds: Seconds, target: int, factors: Floats | None) -> Floats:
        explanation = self._explanation_of(target)
        volumes = explanation.stored(method)
        moments = np.asarray(seconds, dtype=np.float64)
        if moments.ndim != 1 or not np.isfinite(moments).all():
            raise ShapeError(f"seconds must be (S,) and finite, got {seconds!r}; pass [moment] for one moment")
        blended = self.timeline.blend(volumes, moments, factors=_product(factors, explanation.factors.get(method)))
        self._free_pages()
        return blended

    def _explanation_of(self, target: int) -> Explanation:
        if not 0 <= target < len(self.explanations):
            raise InputError(
                f"target is {target}, expected a position from 0 to {len(self.explanations) - 1}: "
                f"{', '.join(self.labels)}"
            )
        return self.explanations[target]

    def heat(self, method: str, seconds: Seconds, *, target: int = 0) -> Floats:
        """Return maps at the model's input size, (S, H, W) float32 in [0, 1]; 1 is the upper bound."""
        planes = self.scaled(method, seconds, target=target)
        return normalise(upsample_volume(planes, self.geometry.crop_size), *self.bounds[method])

    def source_heat(
        self, method: str, second: float, *, target: int = 0, interpolation: Interpolation = "linear"
    ) -> Floats:
        """Return one map on the source's pixels inside `geometry.view_slices()`, (H', W') float32 in [0, 1].

        Args:
            method: a method with a map.
            second: the moment.
            target: index of the target.
            interpolation: in space: `linear`; `smooth`: see `maps.resample_smooth`; `cells`: the value of the cell.
        """
        return self.on_source(method, self.scaled(method, np.array([second]), target=target)[0], interpolation)

    def on_source(self, method: str, plane: Floats, interpolation: Interpolation = "linear") -> Floats:
        """Return a map of `scaled` on the source's pixels, as `source_heat` does.

        Args:
            method: a method with a map.
            plane: (h, w).
            interpolation: in space.
        """
        cells = to_unit(plane, *self.bounds[method])  # before, because there are fewer cells than pixels
        grid = (plane.shape[0], plane.shape[1])
        if interpolation == "linear":
            heat = resample_plane(cells, *self.geometry.source_matrices(grid))
        else:
            resample = resample_smooth if interpolation == "smooth" else resample_nearest
            heat = resample(cells, *self.geometry.source_positions(grid))
        return np.clip(heat, 0.0, 1.0, out=heat)

    def evidence(self, method: str, seconds: Seconds, *, target: int = 0) -> NDArray[np.float64]:
        """Return the mean heat over the model's view at each moment, (S,) in [0, 1].

        Upsampling is linear: a weighted sum of the cells is the mean of all pixels.
        """
        grid = self._explanation_of(target).stored(method).shape[2:]
        lengths = zip(self.geometry.crop_size, grid, strict=True)
        rows, columns = (resize_matrix(length, cells).mean(axis=0) for length, cells in lengths)
        means = [rows @ self.scaled(method, chunk, target=target) @ columns for chunk in _chunks(seconds)]
        return normalise(np.concatenate(means or [np.zeros(0)]), *self.bounds[method]).astype(np.float64, copy=False)

    def verdict(self, method: str, *, target: int = 0) -> Verdict:
        """Return how far a map can be trusted; `not checked` if it was not measured, as in a file without verdicts."""
        return self.verdicts[target].get(method, NOT_CHECKED) if self.verdicts else NOT_CHECKED

    def class_label(self, index: int) -> str:
        """Return the label of a class; 'class 7' if it is not among `class_labels`."""
        return self.class_labels.get(index, f"class {index}")

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write an `.npz` that `vidcam.load` reads; for arguments and errors see `results.io.save`."""
        from vidcam.results.io import save

        save(self, path, overwrite=overwrite)

    def _repr_html_(self) -> str | None:
        """Show a few seconds of the clip with its heat in a notebook; None if the video is not at hand."""
        from vidcam.pipelines.render.page import html_of_explanation

        return html_of_explanation(self)

    def rescaled(self, scale: Scale, seconds: Seconds) -> VideoExplanation:
        """Return a copy on another scale.

        Args:
            scale: `video` or `window`.
            seconds: (S,) time stamps of the frames displayed in the explained part of the video, increasing.
        """
        bounds = video_bounds(self.explanations, self.timeline, seconds, scale=scale, forget=self.forget)
        return replace(self, scale=scale, bounds=bounds)

    def _free_pages(self) -> None:
        if self.forget is not None:
            self.forget()


def video_bounds(
    explanations: Sequence[Explanation],
    timeline: Timeline,
    seconds: Seconds,
    *,
    scale: Scale = "video",
    forget: Callable[[], None] | None = None,
    upsample: Callable[[Floats, tuple[int, ...]], Floats] = upsample_volume,
) -> dict[str, tuple[float, float]]:
    """Return for each method the smallest and largest value of the blended, upsampled map over a video and all targets.

    A few cells of a map of the input are far above all others, and would leave the rest dark. Its upper bound is the
    largest 99th percentile of a frame, but at least a tenth of the largest value.

    Args:
        explanations: explanations of all windows, one for each target.
        timeline: times of the windows.
        seconds: (S,) time stamps of the displayed frames, increasing.
        scale: as in `VideoExplanation`.
        forget: as in `VideoExplanation`.
        upsample: (planes, (H, W)) → pixels with the largest and the smallest value among them.
    """
    bounds: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(name for explanation in explanations for name in explanation.volumes):
        factors = window_factors(explanations, name) if scale == "window" else None
        low, high, percentile = np.inf, 0.0, 0.0
        for explanation in explanations:
            for chunk in _chunks(seconds) if name in explanation.volumes else ():
                own = _product(factors, explanation.factors.get(name))
                planes = timeline.blend(explanation.volumes[name], chunk, factors=own)
                heat = upsample(planes, explanation.input_size[1:])
                low, high = min(low, float(heat.min())), max(high, float(heat.max()))
                if name in INPUT_METHODS:
                    by_frame = np.quantile(planes.reshape(len(planes), -1), FINE_QUANTILE, axis=1)
                    percentile = max(percentile, float(by_frame.max()))
                if forget is not None:
                    forget()
        bounds[name] = (low, max(percentile, high / FINE_RANGE) if name in INPUT_METHODS else high)
    return bounds


def window_factors(explanations: Sequence[Explanation], method: str) -> Floats:
    """Return (N,) one over each window's largest value over all targets, 0 for a window without evidence."""
    peaks = np.max(
        [_peaks(explanation, method) for explanation in explanations if method in explanation.volumes], axis=0
    )
    factors: Floats = np.divide(1.0, peaks, out=np.zeros(peaks.shape), where=peaks > 0)
    return factors


def _peaks(explanation: Explanation, method: str) -> Floats:
    """Return the largest raw value of each window, (N,)."""
    peaks = np.array([float(volume.max()) for volume in explanation.volumes[method]])
    return peaks * explanation.factors.get(method, 1.0)


def _product(first: Floats | None, second: Floats | None) -> Floats | None:
    """Multiply factors, of which None is 1."""
    return second if first is None else first if second is None else first * second


def _chunks(seconds: Sequence[float] | Seconds) -> Iterator[Seconds]:
    moments = np.asarray(seconds, dtype=np.float64)
    for start in range(0, moments.size, CHUNK):
        yield moments[start : start + CHUNK]
