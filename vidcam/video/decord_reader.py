"""Reading with decord, for files of which it gives the same frames at the same times as PyAV; refused for all others.

decord ignores edit lists and pixel aspects, opens no GIF, gives garbage times on some AVIs, and interpolates colour
coarsely: most files with colour edges differ by more than CLOSE_LEVELS. So every file is compared when it is opened:
all time stamps, and the pixels of CHECKED_FRAMES frames spread over the video. Damage between those would not be seen,
and decord repairs without a word; so a video of which PyAV has anything to say is refused altogether.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from vidcam.errors import InputError, MediaError
from vidcam.media import Frames, Seconds
from vidcam.video.container import open_input, video_stream
from vidcam.video.indexed import IndexedReader
from vidcam.video.pyav_reader import PyAVReader

CLOSE_SECONDS = 1e-3
CLOSE_LEVELS = 2
CHECKED_FRAMES = 8
MOST_CLAIMED = 2
"""How many times as many frames as there are a container may claim."""


class DecordReader(IndexedReader):
    """VideoReader over decord; keeps the PyAV reader that it was compared with, for `info`.

    Args:
        reference: an open reader of the same file; closed with this one.

    Raises:
        InputError: decord is not installed.
        MediaError: it does not read this file as PyAV does; the reason is in the message.
    """

    def __init__(self, reference: PyAVReader) -> None:
        super().__init__(replace(reference.info, decoder="decord"), reference.damage)
        self._reference = reference
        self._path = str(reference.info.files[0])
        self._is_closed = False
        self._require_as_it_should_be()
        self._idle: list[Any] = [self._opened()]
        self._require_agreement(self._idle[0])

    def close(self) -> None:
        """Release the file; closing twice is fine."""
        self._is_closed = True
        self._idle.clear()
        self._reference.close()

    def _read(self, indices: Iterable[int]) -> Iterator[tuple[float, Frames]]:
        with self._borrowed() as video:
            shown = -1
            for index in indices:
                if index != shown:
                    frame, shown = self._frame(video, index), index
                yield float(self._info.pts_seconds[index]), frame

    def _frame(self, video: Any, index: int) -> Frames:
        try:
            frame: Frames = video[index].asnumpy()
        except Exception as exc:  # decord raises its own errors and plain RuntimeError
            raise MediaError(
                f"decord cannot decode frame {index} of {self._info.path!r} ({_first_line(exc)}); expected "
                f"{self._info.frame_count} whole frames; use --decoder pyav, which goes on after damage"
            ) from exc
        return frame

    @contextmanager
    def _borrowed(self) -> Iterator[Any]:
        """An open file of one's own: two readings may run in two threads."""
        if self._is_closed:
            raise MediaError(
                f"the reader of {self._info.path!r} is closed; expected an open one; call open_video again"
            )
        video = self._idle.pop() if self._idle else self._opened()
        try:
            yield video
        finally:
            if not self._is_closed:
                self._idle.append(video)

    def _opened(self) -> Any:
        try:
            import decord
        except ImportError as exc:
            raise InputError(
                "decord is not installed, expected it for --decoder decord; pip install 'vidcam[decord]', or use pyav"
            ) from exc
        decord.logging.set_level(decord.logging.QUIET)  # else its FFmpeg writes to standard error
        try:
            return decord.VideoReader(self._path, num_threads=0)
        except Exception as exc:
            raise self._refused(f"does not open it ({_first_line(exc)})") from exc

    def _require_agreement(self, video: Any) -> None:
        info = self._info
        if len(video) != info.frame_count:
            raise self._refused(f"finds {len(video)} frames instead of {info.frame_count}")
        off = float(np.abs(decord_seconds(video) - info.pts_seconds).max())
        if not off <= CLOSE_SECONDS:
            raise self._refused(f"gives times that are off by {off:.3g} s")
        if info.pixel_aspect != 1:
            raise self._refused(f"ignores that its pixels are {info.pixel_aspect} times as wide as high")
        chosen = np.unique(np.linspace(0, info.frame_count - 1, CHECKED_FRAMES).round().astype(int))
        expected = self._reference.frames_at(info.pts_seconds[chosen])
        for index, (_, frame) in zip(chosen.tolist(), expected, strict=True):
            found = self._frame(video, index)
            if found.shape != frame.shape:
                raise self._refused(f"gives frames of {found.shape} instead of {frame.shape}")
            levels = int(np.abs(found.astype(np.int16) - frame).max())
            if levels > CLOSE_LEVELS:
                raise self._refused(f"gives colours that are off by {levels} of 255 in frame {index}")
        self._require_as_it_should_be()

    def _require_as_it_should_be(self) -> None:
        """Before decord opens the file, and again when the comparison may have found more."""
        if self.notes:
            raise self._refused(f"is not trusted with a video that is not as it should be ({self.notes[0]})")
        with open_input(self._path) as container:
            claimed = video_stream(container, self._path).frames
        if claimed > MOST_CLAIMED * self._info.frame_count:  # it takes memory for them all, and aborts the process
            raise self._refused(f"is not trusted with a video that claims {claimed} frames")

    def _refused(self, reason: str) -> MediaError:
        return MediaError(
            f"decord {reason}, for {self._info.path!r}; expected what PyAV reads, {self._info.frame_count} frames in "
            f"{self._info.duration_seconds:.3f} s, within {CLOSE_LEVELS} levels; use --decoder pyav"
        )


def decord_seconds(video: Any) -> Seconds:
    """(F,) float64, what decord says when each frame is displayed, counted from the first one."""
    starts = np.asarray(video.get_frame_timestamp(np.arange(len(video))), np.float64)[:, 0]
    seconds: Seconds = starts - starts[0]
    return seconds


def _first_line(error: Exception) -> str:
    """Decord's messages carry a stack trace."""
    lines = str(error).strip().splitlines()
    return lines[0].rpartition("] ")[2][:120] if lines else type(error).__name__
