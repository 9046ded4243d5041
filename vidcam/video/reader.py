"""Reading video: one seam, and PyAV behind it.

Frames come as displayed, rotation applied, with the file's own time stamps; a reader never holds more than the frame
at hand, and goes to a key frame rather than decode from the beginning. Seconds count from the first displayed frame;
intervals are half-open.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from vidcam.errors import MediaError, ShapeError
from vidcam.media import Clip, Frames, Seconds, VideoInfo
from vidcam.video.decoder import FrameDecoder
from vidcam.video.pixels import RgbDecoder, orientation_of
from vidcam.video.timeline import Timeline, scan_timeline


class VideoReader(Protocol):
    """What vidcam needs of a video: the seam behind which decoders are exchanged."""

    @property
    def info(self) -> VideoInfo:
        """What probing found."""

    def frames(self, start_seconds: float = 0.0, end_seconds: float | None = None) -> Iterator[tuple[float, Frames]]:
        """All displayed frames with start <= pts < end, in order, as (pts_seconds, (H, W, 3) uint8 RGB)."""

    def frames_at(self, seconds: Seconds) -> Iterator[tuple[float, Frames]]:
        """The frame displayed at each of the times, with its true time stamp.

        Args:
            seconds: (T,) non-decreasing. Before the first frame counts as the first, after the end as the last.

        Yields:
            (pts_seconds, (H, W, 3) uint8 RGB), T times; a frame that is wanted again is the same array again.
        """

    def close(self) -> None:
        """Release the file; closing twice is fine."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_video(path: str | os.PathLike[str]) -> VideoReader:
    """Probe a video file and make it readable.

    Raises:
        MediaError: the file is missing, a folder, no video, or cannot be decoded.
    """
    return PyAVReader(path)


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Size, time stamps and the like of a video file.

    Raises:
        MediaError: the file is missing, a folder, no video, or cannot be decoded.
    """
    with open_video(path) as reader:
        return reader.info


def read_clip(reader: VideoReader, seconds: Seconds) -> Clip:
    """The frames displayed at the given times.

    Args:
        reader: an open video.
        seconds: (T,) in any order, T >= 1 (a short video is looped by asking again for its beginning).
    """
    wanted = _times(seconds)
    order = np.argsort(wanted, kind="stable")
    frames = np.empty((wanted.size, *reader.info.size, 3), np.uint8)
    pts_seconds = np.empty(wanted.size, np.float64)
    for place, (pts, frame) in zip(order, reader.frames_at(wanted[order]), strict=True):
        pts_seconds[place] = pts
        frames[place] = frame
    return Clip(frames, pts_seconds)


class PyAVReader:
    """VideoReader over FFmpeg's libraries."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._timeline = scan_timeline(self._path)
        self._idle: list[FrameDecoder] = [FrameDecoder(self._path, self._timeline)]
        self._is_closed = False
        try:
            self._describe()
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> VideoInfo:
        """What probing found."""
        return self._info

    def frames(self, start_seconds: float = 0.0, end_seconds: float | None = None) -> Iterator[tuple[float, Frames]]:
        """All displayed frames with start <= pts < end, in order, as (pts_seconds, (H, W, 3) uint8 RGB)."""
        times = self._info.pts_seconds
        first = np.searchsorted(times, start_seconds)
        last = times.size if end_seconds is None else np.searchsorted(times, end_seconds)
        return self._read(range(int(first), int(last)))

    def frames_at(self, seconds: Seconds) -> Iterator[tuple[float, Frames]]:
        """The frame displayed at each of the non-decreasing times; see VideoReader."""
        wanted = _times(seconds)
        if np.any(np.diff(wanted) < 0):
            raise ShapeError(f"seconds must not decrease, got {wanted}; sort them, or use read_clip")
        indices = np.searchsorted(self._info.pts_seconds, wanted, side="right") - 1
        return self._read(int(index) for index in np.maximum(indices, 0))

    def close(self) -> None:
        """Release the file; closing twice is fine."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PyAVReader({self._info!r})"

    def _describe(self) -> None:
        """Fill `info`, and what the colour conversion needs, from the first frame."""
        with self._borrowed() as decoder:
            frame = decoder.frame(0)
            orientation = orientation_of(frame)
            self._stored_size, self._orientation = (frame.height, frame.width), orientation
            self._info = VideoInfo(
                path=self._path,
                size=orientation.size(frame.height, frame.width),
                rotation_degrees=orientation.rotation_degrees,
                fps=_mean_fps(self._timeline, decoder.nominal_fps),
                pts_seconds=self._timeline.seconds(),
                duration_seconds=float(self._timeline.duration()),
                time_base=self._timeline.time_base,
                codec=decoder.codec,
                pixel_format=frame.format.name,
                has_audio=decoder.has_audio,
            )

    def _read(self, indices: Iterator[int] | range) -> Iterator[tuple[float, Frames]]:
        # A converter of its own, like the decoder: two readings may run in two threads.
        to_rgb = RgbDecoder(stored_size=self._stored_size, orientation=self._orientation)
        with self._borrowed() as decoder:
            previous = -1
            for index in indices:
                if index != previous:
                    rgb = to_rgb(decoder.frame(index))
                    previous = index
                yield float(self._info.pts_seconds[index]), rgb

    @contextmanager
    def _borrowed(self) -> Iterator[FrameDecoder]:
        """A decoder of one's own; it is kept for the next reading, and stays where it is."""
        if self._is_closed:
            raise MediaError(f"the reader of {self._path!r} is closed; expected an open one; call open_video again")
        decoder = self._idle.pop() if self._idle else FrameDecoder(self._path, self._timeline)
        try:
            yield decoder
        finally:
            self._take_back(decoder)

    def _take_back(self, decoder: FrameDecoder) -> None:
        if self._is_closed:
            decoder.close()
        else:
            self._idle.append(decoder)


def _mean_fps(timeline: Timeline, nominal: Fraction | None) -> Fraction:
    """Frames over duration; the container's own figure where it says the same within 0.1 %, as it is rounder."""
    measured = timeline.ticks.size / timeline.duration()
    if nominal and abs(nominal / measured - 1) < Fraction(1, 1000):
        return nominal
    return measured.limit_denominator(100_000)


def _times(seconds: Seconds) -> Seconds:
    wanted = np.asarray(seconds, np.float64)
    if wanted.ndim != 1 or wanted.size == 0 or not np.isfinite(wanted).all():
        raise ShapeError(f"seconds must be (T,) with T >= 1 and finite, got {wanted.shape = }, {wanted}")
    return wanted
