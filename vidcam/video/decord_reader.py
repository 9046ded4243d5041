"""Read with decord, but only files that it reads as PyAV does.

decord ignores edit lists and pixel aspects, opens no GIF, and gives wrong times for some AVI files. It interpolates
chroma coarsely, so most videos with sharp colour edges differ by more than MAX_COLOUR_DIFFERENCE.

So each file is compared with PyAV when it is opened: all time stamps, and the pixels of CHECKED_FRAMES frames spread
over the video. Damage between the checked frames would not be found, because decord repairs it without a message. So
decord is not used if PyAV has a note about the video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from vidcam.errors import InputError, MediaError
from vidcam.media import Frames, Seconds
from vidcam.video.container import open_input, video_stream
from vidcam.video.indexed import VideoReader
from vidcam.video.pyav_reader import PyAVReader

MAX_TIME_DIFFERENCE = 1e-3
MAX_COLOUR_DIFFERENCE = 2
CHECKED_FRAMES = 8
MAX_STATED_RATIO = 2
"""Largest ratio of the frame count that the container states to the true one."""


class DecordReader(VideoReader):
    """VideoReader that decodes with decord.

    Args:
        reference: an open PyAV reader of the same file; closed with this one.

    Raises:
        InputError: decord is not installed.
        MediaError: decord does not read this file as PyAV does; the message says why.
    """

    def __init__(self, reference: PyAVReader) -> None:
        super().__init__(replace(reference.info, decoder="decord"), reference.damage)
        self._reference = reference
        self._path = str(reference.info.files[0])
        self._require_undamaged()
        self._idle: list[Any] = [self._open()]
        self._require_agreement(self._idle[0])

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        super().close()
        self._idle.clear()
        self._reference.close()

    def _frame(self, video: Any, index: int) -> Frames:
        try:
            frame: Frames = video[index].asnumpy()
        except Exception as exc:  # decord raises its own errors and plain RuntimeError
            raise MediaError(
                f"decord cannot decode frame {index} of {self.info.path!r} ({_first_line(exc)}); use --decoder pyav"
            ) from exc
        return frame

    @contextmanager
    def _decoding(self) -> Iterator[Callable[[int], Frames]]:
        video = self._idle.pop() if self._idle else self._open()
        try:
            yield partial(self._frame, video)
        finally:
            if not self._is_closed:
                self._idle.append(video)

    def _open(self) -> Any:
        try:
            import decord
        except ImportError as exc:
            raise InputError(
                "decord is not installed; run pip install 'vidcam[decord]', or use --decoder pyav"
            ) from exc
        decord.logging.set_level(decord.logging.QUIET)  # otherwise its FFmpeg writes to standard error
        try:
            return decord.VideoReader(self._path, num_threads=0)
        except Exception as exc:
            raise self._unusable(f"it cannot open the file ({_first_line(exc)})") from exc

    def _require_agreement(self, video: Any) -> None:
        info = self.info
        if len(video) != info.frame_count:
            raise self._unusable(f"it finds {len(video)} frames, PyAV {info.frame_count}")
        time_difference = float(np.abs(decord_seconds(video) - info.pts_seconds).max())
        if not time_difference <= MAX_TIME_DIFFERENCE:
            raise self._unusable(f"it gives time stamps that are off by {time_difference:.3g} s")
        if info.pixel_aspect != 1:
            raise self._unusable(f"it ignores the pixel aspect {info.pixel_aspect}")
        indices = np.unique(np.linspace(0, info.frame_count - 1, CHECKED_FRAMES).round().astype(int))
        expected = self._reference.frames_at(info.pts_seconds[indices])
        for index, (_, reference_frame) in zip(indices.tolist(), expected, strict=True):
            frame = self._frame(video, index)
            if frame.shape != reference_frame.shape:
                raise self._unusable(f"it gives frames of shape {frame.shape}, PyAV {reference_frame.shape}")
            difference = int(np.abs(frame.astype(np.int16) - reference_frame).max())
            if difference > MAX_COLOUR_DIFFERENCE:
                raise self._unusable(f"it gives colours that are off by {difference} of 255 in frame {index}")
        self._require_undamaged()

    def _require_undamaged(self) -> None:
        """Refuse a damaged video, before decord opens it and again after the comparison, which may find more damage."""
        if self.notes:
            raise self._unusable(f"PyAV has a note about the file ({self.notes[0]})")
        with open_input(self._path) as container:
            stated_count = video_stream(container, self._path).frames
        # decord allocates memory for the stated number of frames, and aborts the process if there is not enough.
        if stated_count > MAX_STATED_RATIO * self.info.frame_count:
            raise self._unusable(f"it would allocate memory for the {stated_count} frames that the file states")

    def _unusable(self, reason: str) -> MediaError:
        return MediaError(f"decord cannot be used for {self.info.path!r}: {reason}; use --decoder pyav")


def decord_seconds(video: Any) -> Seconds:
    """Return when each frame is displayed according to decord, (F,) float64, counted from the first frame."""
    starts = np.asarray(video.get_frame_timestamp(np.arange(len(video))), np.float64)[:, 0]
    seconds: Seconds = starts - starts[0]
    return seconds


def _first_line(error: Exception) -> str:
    """Shorten a message of decord, which contains a stack trace."""
    lines = str(error).strip().splitlines()
    return lines[0].rpartition("] ")[2][:120] if lines else type(error).__name__
