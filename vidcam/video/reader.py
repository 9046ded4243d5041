"""Reading video: one seam, and PyAV, decord or a folder of images behind it.

Frames come as displayed, rotation applied, with the file's own time stamps; a reader never holds more than the frame
at hand, and goes to a key frame rather than decode from the beginning. Seconds count from the first displayed frame;
intervals are half-open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Literal, Protocol, Self

from vidcam.errors import InputError
from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.video.decord_reader import DecordReader
from vidcam.video.images import ImageFolderReader
from vidcam.video.pyav_reader import PyAVReader
from vidcam.video.source import Source, is_folder, locate

MOST_FPS = 1000
MOST_DENOMINATOR = 100_000

Decoder = Literal["auto", "pyav", "decord"]
DECODERS: tuple[Decoder, ...] = ("auto", "pyav", "decord")


class VideoReader(Protocol):
    """What vidcam needs of a video: the seam behind which decoders are exchanged."""

    @property
    def info(self) -> VideoInfo:
        """What probing found."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the video, as far as it was read; sentences without a full stop."""

    @property
    def readable_seconds(self) -> tuple[tuple[float, float], ...]:
        """The parts [start, end) of the video that are not known to be unreadable, increasing."""

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


def frame_rate(fps: Fraction | float | None) -> Fraction | None:
    """A rate of images as a fraction: 29.97 is 2997/100.

    Raises:
        InputError: it is not above 0, or as good as 0, or above MOST_FPS.
    """
    if fps is None:
        return None
    if 0 < fps <= MOST_FPS and (rate := Fraction(fps).limit_denominator(MOST_DENOMINATOR)) > 0:
        return rate
    raise InputError(f"fps is {fps}, expected more than 0 and at most {MOST_FPS}; choose another rate")


def open_video(source: Source, *, fps: Fraction | None = None, decoder: Decoder = "auto") -> VideoReader:
    """Probe a video and make it readable.

    `auto` is PyAV. decord is right about few files (the module `decord_reader` says where it is refused), and where it
    is right it is faster only at reading a video from end to end; `docs/decoders.md` has the figures.

    Args:
        source: a path, an open binary file, or an address that fsspec knows ('memory://a.mp4'); a folder of images.
        fps: images a second, for a folder of images; None: 25.
        decoder: 'auto', 'pyav' or 'decord'; a folder of images needs none.

    Raises:
        MediaError: the source is missing, no video, a folder without images, or cannot be decoded; or decord was asked
            for and does not read it as PyAV does.
        InputError: a rate for what has one of its own, or one that is not positive.
    """
    if decoder not in DECODERS:
        raise InputError(f"decoder is {decoder!r}, expected one of {', '.join(DECODERS)}")
    fps = frame_rate(fps)
    located = locate(source)
    try:
        if is_folder(located.path):
            return ImageFolderReader(located.path, fps=fps)
        if fps is not None:
            raise InputError(
                f"a rate of {fps} was given for {located.name!r}, which is a file; expected a folder of images; a "
                "video's own time stamps are used, so leave fps away"
            )
        reader = PyAVReader(located.path, located=located)
        if decoder != "decord":
            return reader
        with _closed_on_failure(reader):
            return DecordReader(reader)
    except BaseException:
        located.release()
        raise


@contextmanager
def _closed_on_failure(reader: PyAVReader) -> Iterator[None]:
    try:
        yield
    except BaseException:
        reader.close()
        raise


def probe(source: Source, *, fps: Fraction | None = None) -> VideoInfo:
    """Size, time stamps and the like of a video; see `open_video`."""
    with open_video(source, fps=fps) as reader:
        return reader.info
