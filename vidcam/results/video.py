"""The explanation of a video: windows on one time line, on the source's pixels, on one colour scale.

`Timeline` blends the raw window maps. One pair of bounds, taken over the whole video after upsampling to the model's
input, turns raw into heat: no frame is normalised by itself. Maps go back to the source through `Geometry`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.geometry import Geometry
from vidcam.maps import Floats, normalise, resample_plane, upsample_volume
from vidcam.media import Seconds
from vidcam.results.explanation import Explanation
from vidcam.results.timeline import Timeline
from vidcam.system.filenames import as_text, relative_path

PER_WINDOW = "per-window"
"""The label of a target that is each window's own top class."""

CHUNK = 64
"""Moments that are upsampled at once where a whole video is gone through."""

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The video behind an explanation, as far as drawing it again needs it.

    Attributes:
        path: of the file or the folder of images, absolute; the name of what is no file of this machine. A saved
            explanation states it relative to its own folder, so that both may be moved together. A relative path is
            taken to be stated so already.
        content_hash: `system.fingerprint.sampled_sha256` of its files.
        span_seconds: the part of the video that was explained, [start, end).
        fps: images a second of a folder of images, as a fraction in text; None for a video.
        mean_rgb: the dataset's mean colour, in [0, 255], for what hides pixels.
        is_local: whether `path` leads to a file or a folder of this machine.
    """

    path: str
    content_hash: str
    span_seconds: tuple[float, float]
    fps: str | None = None
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    is_local: bool = True

    def stated_in(self, folder: Path) -> Origin:
        """With the path as an explanation in that folder states it; `found_from` is the way back."""
        path = Path(self.path)
        is_absolute = self.is_local and path.is_absolute()
        return replace(self, path=as_text(relative_path(path, folder) if is_absolute else self.path))

    def found_from(self, folder: Path) -> Origin:
        """With the absolute path that an explanation in that folder means."""
        return replace(self, path=str((folder / self.path).resolve())) if self.is_local else self


@dataclass(frozen=True, slots=True, eq=False)
class VideoExplanation:
    """Explanations of all windows of a video, for one target or several.

    Attributes:
        source: name of the video file.
        model: name of the model.
        geometry: source frame → model input.
        timeline: the N windows.
        labels: name of each target.
        explanations: one for each target, N clips each.
        bounds: for each target: method → (low, high) of the upsampled raw map over the video.
        origin: the video itself, to draw it again; None where that is not known.
        class_labels: index → label of the classes that lead in some window, the targets' and the contrast among them.
        forget: called after maps were read; lets go of memory where they lie in a file.
    """

    source: str
    model: str
    geometry: Geometry
    timeline: Timeline
    labels: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    bounds: tuple[Bounds, ...]
    origin: Origin | None = None
    class_labels: Mapping[int, str] = field(default_factory=dict, repr=False)
    forget: Callable[[], None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        lengths = {len(explanation) for explanation in self.explanations}
        if lengths != {len(self.timeline)}:
            raise ShapeError(f"explanations must have the {len(self.timeline)} clips of the timeline, got {lengths}")
        if not len(self.labels) == len(self.explanations) == len(self.bounds) > 0:
            raise ShapeError(
                f"each target needs a label, an explanation and bounds, got {len(self.labels)}, "
                f"{len(self.explanations)} and {len(self.bounds)}"
            )

    def __repr__(self) -> str:
        return (
            f"Video({self.source!r}, {len(self.timeline)} windows, targets={list(self.labels)}, {self.explanations[0]})"
        )

    def raw(self, method: str, seconds: Seconds, *, target: int = 0) -> Floats:
        """Blended raw maps at given moments, (S, h, w) float32; zeros where no window looks."""
        volumes = self._explained(target).volume(method)
        moments = np.asarray(seconds, dtype=np.float64)
        if moments.ndim != 1 or not np.isfinite(moments).all():
            raise ShapeError(f"seconds must be (S,) and finite, got {seconds!r}; of one moment pass [moment]")
        blended = self.timeline.blend(volumes, moments)
        self._let_go()
        return blended

    def _explained(self, target: int) -> Explanation:
        if not 0 <= target < len(self.explanations):
            raise InputError(
                f"target is {target}, expected 0 to {len(self.explanations) - 1}, the position of one of "
                f"{', '.join(self.labels)}"
            )
        return self.explanations[target]

    def heat(self, method: str, seconds: Seconds, *, target: int = 0) -> Floats:
        """Maps at given moments at the model's input size, (S, H, W) float32 in [0, 1], on the video's one scale."""
        raw = self.raw(method, seconds, target=target)  # first, as it refuses what there is not
        low, high = self.bounds[target][method]
        return normalise(upsample_volume(raw, self.geometry.crop_size), low, high)

    def source_heat(self, method: str, second: float, *, target: int = 0) -> Floats:
        """The map at one moment on the source's pixels inside `geometry.view_slices()`, (H', W') float32 in [0, 1]."""
        plane = self.raw(method, np.array([second]), target=target)[0]
        rows, columns = self.geometry.source_matrices((plane.shape[0], plane.shape[1]))
        low, high = self.bounds[target][method]
        return normalise(resample_plane(plane, rows, columns), low, high)

    def evidence(self, method: str, seconds: Seconds, *, target: int = 0) -> NDArray[np.float64]:
        """Mean of the heat over the model's view at each moment, (S,) in [0, 1]: when it looked."""
        parts = [self.heat(method, chunk, target=target).mean(axis=(1, 2)) for chunk in _chunks(seconds)]
        return np.concatenate(parts or [np.zeros(0)]).astype(np.float64)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write an `.npz` that `vidcam.load` reads; arguments and errors as `results.io.save`."""
        from vidcam.results.io import save

        save(self, path, overwrite=overwrite)

    def _let_go(self) -> None:
        if self.forget is not None:
            self.forget()


def video_bounds(
    explanation: Explanation, timeline: Timeline, seconds: Seconds, *, forget: Callable[[], None] | None = None
) -> dict[str, tuple[float, float]]:
    """Method → smallest and largest value of the blended map over a video, upsampled to the model's input.

    Args:
        explanation: of all windows.
        timeline: the windows.
        seconds: (S,) the video's displayed frames, increasing.
        forget: as that of a video.
    """
    bounds = {}
    for name, volumes in explanation.volumes.items():
        low, high = np.inf, 0.0
        for chunk in _chunks(seconds):
            planes = timeline.blend(volumes, chunk)
            heat = upsample_volume(planes, explanation.input_size[1:])
            low, high = min(low, float(heat.min())), max(high, float(heat.max()))
            if forget is not None:
                forget()
        bounds[name] = (low, high)
    return bounds


def _chunks(seconds: Sequence[float] | Seconds) -> Iterator[Seconds]:
    moments = np.asarray(seconds, dtype=np.float64)
    for start in range(0, moments.size, CHUNK):
        yield moments[start : start + CHUNK]
