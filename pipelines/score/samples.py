"""Decode the windows of a clip into the model's input.

Only the frames of the windows are decoded, and each is shrunk at once. A clip that cannot be read becomes a `Failure`
with its reason, so that the other clips are still scored.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.errors import InputError, VidcamError
from vidcam.pipelines.score.boxes import read_box_tracks, region
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.windows import WindowChoice, windows_of
from vidcam.pipelines.windows import CPU, window_tensors
from vidcam.sampling import Window
from vidcam.spec import ModelSpec
from vidcam.system.filenames import one_line
from vidcam.system.fingerprint import source_fingerprint
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.source import local_path

_FAILURES = (VidcamError, OSError, ValueError, ArithmeticError, MemoryError)
"""What a single bad row or file can raise; it must not end the set."""

HELD_BYTES = 1 << 27
"""Windows of a clip that are decoded ahead, at most; those after them are decoded when they are needed."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A window of a clip that is ready for the model.

    Attributes:
        entry: the clip in the set.
        tensor: (3, T, H, W) float32, the model's input.
        start_seconds: start of the window.
        inside: (T, H, W) bool, whether a pixel lies in a box; None without boxes in view.
        warnings: sentences about the file.
        content_hash: hash of the file, from `source_fingerprint`.
    """

    entry: Entry
    tensor: Tensor = field(repr=False)
    start_seconds: float
    inside: NDArray[np.bool_] | None = field(repr=False)
    warnings: tuple[str, ...] = ()
    content_hash: str = ""


Windows = Collection[Sample]
"""The windows of a clip, at least one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that cannot be scored, and the reason in one line, without absolute paths."""

    entry: Entry
    reason: str


def load_sample(entry: Entry, spec: ModelSpec, device: torch.device = CPU) -> Sample | Failure:
    """Decode a clip's central window; its frames are resized and scaled on the device."""
    windows = load_windows(entry, spec, device)
    return windows if isinstance(windows, Failure) else next(iter(windows))


def load_windows(
    entry: Entry, spec: ModelSpec, device: torch.device = CPU, *, choice: WindowChoice = "central"
) -> Windows | Failure:
    """Decode the windows of a clip, at least one. Memory does not grow with their number."""
    if entry.problem:
        return Failure(entry, one_line(entry.problem))
    try:
        with open_video(entry.source, fetch=True) as reader:  # `read_clips` lets no address in unasked
            windows = windows_of(entry, reader.info, spec, choice)
            held = max(1, HELD_BYTES // (4 * 3 * math.prod(spec.input_size)))
            ahead = tuple(_samples(entry, reader, windows[:held], spec, device))
    except _FAILURES as exc:
        return failure(entry, exc)
    return ahead if len(windows) <= held else _ManyWindows(ahead, windows[held:], spec, device)


@dataclass(frozen=True, slots=True, eq=False)
class _ManyWindows(Collection[Sample]):
    """The windows of a long clip: the first ones decoded, the others decoded again in each iteration."""

    ahead: tuple[Sample, ...]
    later: Sequence[Window]
    spec: ModelSpec
    device: torch.device

    def __len__(self) -> int:
        return len(self.ahead) + len(self.later)

    def __contains__(self, sample: object) -> bool:
        return sample in self.ahead

    def __iter__(self) -> Iterator[Sample]:
        """Yield the windows.

        Raises:
            InputError: the video cannot be read any more.
        """
        yield from self.ahead
        entry = self.ahead[0].entry
        try:
            with open_video(entry.source, fetch=True) as reader:
                yield from _samples(entry, reader, self.later, self.spec, self.device)
        except _FAILURES as exc:
            raise InputError(failure(entry, exc).reason) from exc


def require_any_video(entries: Sequence[Entry]) -> None:
    """Check that at least one clip of a set can be opened.

    Raises:
        InputError: no clip can be opened; the message has the reason of the first.
    """
    first = None
    for entry in entries:
        if entry.problem:
            continue
        try:
            open_video(entry.source, fetch=True).close()
        except _FAILURES as exc:
            first = first or failure(entry, exc)
        else:
            return
    reason = "" if first is None else f" ({first.entry.name}: {first.reason})"
    raise InputError(f"none of the {len(entries)} clips can be opened{reason}; check the paths")


def failure(entry: Entry, error: Exception) -> Failure:
    """Convert an error to a failure; the message names the clip as the set does."""
    text = one_line(str(error) or type(error).__name__)
    for path in (entry.source, _path_of(entry.source)):
        text = text.replace(one_line(path), one_line(entry.name))
    return Failure(entry, text)


def _path_of(source: str) -> str:
    """Return the path of a source; for an address that is none, the address."""
    try:
        return local_path(source) or source
    except VidcamError:  # a file of another machine
        return source


def _samples(
    entry: Entry, reader: VideoReader, windows: Sequence[Window], spec: ModelSpec, device: torch.device
) -> Iterator[Sample]:
    geometry, content_hash = spec.geometry(reader.info.size), source_fingerprint(_path_of(entry.source))
    tracks = read_box_tracks(entry.boxes) if entry.boxes else None
    tensors = window_tensors(reader, windows, spec, geometry, device=device)
    for window, tensor in zip(windows, tensors, strict=True):
        inside = None if tracks is None else region(tracks, reader.info.pts_seconds, window.times, geometry)
        warnings = tuple(one_line(note) for note in dict.fromkeys((*reader.info.notes, *reader.notes)))
        visible = inside if inside is not None and inside.any() else None
        yield Sample(entry, tensor, window.start_seconds, visible, warnings, content_hash)
