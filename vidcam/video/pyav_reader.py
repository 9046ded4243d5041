"""Reading with PyAV: FFmpeg's libraries, and what they need around them to be exact."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from vidcam.errors import MediaError
from vidcam.media import Frames, VideoInfo
from vidcam.video.container import require_reasonable
from vidcam.video.decoder import FrameDecoder, MissingFramesError
from vidcam.video.frame_index import FrameIndex, read_frame_index
from vidcam.video.indexed import Damage, IndexedReader
from vidcam.video.pixels import Orientation, RgbDecoder, orientation_of, square_pixels
from vidcam.video.source import Located

# Encoders that keep a picture's proportions while they round its size leave an aspect that is almost square: nothing
# that a viewer sees, and not worth a resampling of every frame.
_ALMOST_SQUARE = Fraction(2, 100)

# What DVDs and broadcasts use lies between 4:5 and 2:1.
_ODDEST_ASPECT = 4


class PyAVReader(IndexedReader):
    """VideoReader over FFmpeg's libraries.

    Args:
        path: a local file.
        located: where it comes from, if it is a copy.

    Raises:
        MediaError: the file is missing, a folder, no video, or no frame of it can be decoded.
    """

    def __init__(self, path: str | os.PathLike[str], *, located: Located | None = None) -> None:
        self._path = os.fspath(path)
        self._located = located
        self._frame_index, container = read_frame_index(self._path)
        self._damage = Damage(self._frame_index)
        self._idle: list[FrameDecoder] = [FrameDecoder(self._path, self._frame_index, container)]
        self._is_closed = False
        try:
            super().__init__(self._describe(), self._damage)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file; closing twice is fine."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()
        if self._located is not None:
            self._located.release()

    def _describe(self) -> VideoInfo:
        """What probing finds, and what the colour conversion needs, from the first frame."""
        with self._borrowed() as decoder:
            frame = self._first_frame(decoder)
            aspect, notes = _pixel_aspect(decoder.pixel_aspect)
            self._stored_size = (frame.height, frame.width)
            self._square_size = square_pixels(self._stored_size, aspect)
            require_reasonable(self._path, self._square_size)
            self._orientation: Orientation = orientation_of(frame, self._path)
            return VideoInfo(
                path=self._path if self._located is None else self._located.name,
                size=self._orientation.size(*self._square_size),
                rotation_degrees=self._orientation.rotation_degrees,
                fps=_mean_fps(self._frame_index, decoder.nominal_fps),
                pts_seconds=self._frame_index.seconds(),
                duration_seconds=float(self._frame_index.duration()),
                time_base=self._frame_index.time_base,
                codec=decoder.codec,
                pixel_format=frame.format.name,
                has_audio=decoder.has_audio,
                pixel_aspect=aspect,
                files=(Path(self._path),),
                is_local=self._located is None or self._located.is_local,
                notes=(*self._frame_index.notes, *notes),
            )

    def _first_frame(self, decoder: FrameDecoder) -> VideoFrame:
        """The first displayed frame, or the first one that can be decoded.

        Raises:
            MediaError: there is none.
        """
        try:
            return decoder.frame(self._decodable(decoder, 0, -1))
        except MissingFramesError as exc:
            raise MediaError(
                f"no frame of {self._path!r} can be decoded; expected a video; check that it plays"
            ) from exc

    def _read(self, indices: Iterable[int]) -> Iterator[tuple[float, Frames]]:
        # A converter of its own, like the decoder: two readings may run in two threads.
        to_rgb = RgbDecoder(size=self._square_size, orientation=self._orientation)
        with self._borrowed() as decoder:
            shown = -1
            for index in indices:
                wanted = self._decodable(decoder, index, shown)
                if wanted != shown:
                    rgb, shown = to_rgb(self._inspected(decoder.frame(wanted), wanted)), wanted
                yield float(self._info.pts_seconds[index]), rgb

    def _decodable(self, decoder: FrameDecoder, index: int, shown: int) -> int:
        """The frame to show for `index`; unless that is the one `shown`, the decoder can give it.

        Raises:
            MissingFramesError: nothing can be decoded any more.
        """
        while True:
            wanted = self._damage.stand_in(index) if self._damage.is_missing(index) else index
            if wanted == shown:
                return wanted
            try:
                decoder.frame(index if wanted is None else wanted)
            except MissingFramesError as exc:
                if wanted is None:
                    raise
                self._damage.mark_missing(exc.indices)
            else:
                return index if wanted is None else wanted

    def _inspected(self, frame: VideoFrame, index: int) -> VideoFrame:
        if frame.is_corrupt:
            self._damage.mark_repaired(index)
        if (frame.height, frame.width) != self._stored_size:
            self._damage.mark_resized((frame.height, frame.width))
        return frame

    @contextmanager
    def _borrowed(self) -> Iterator[FrameDecoder]:
        """A decoder of one's own; it is kept for the next reading, and stays where it is."""
        if self._is_closed:
            raise MediaError(f"the reader of {self._path!r} is closed; expected an open one; call open_video again")
        decoder = self._idle.pop() if self._idle else FrameDecoder(self._path, self._frame_index)
        try:
            yield decoder
        finally:
            self._take_back(decoder)

    def _take_back(self, decoder: FrameDecoder) -> None:
        if self._is_closed:
            decoder.close()
        else:
            self._idle.append(decoder)


def _pixel_aspect(stated: Fraction | None) -> tuple[Fraction, tuple[str, ...]]:
    """Width over height of a stored pixel as applied, and what there is to say about it."""
    if not stated or abs(stated - 1) <= _ALMOST_SQUARE:
        return Fraction(1), ()
    if not Fraction(1, _ODDEST_ASPECT) <= stated <= _ODDEST_ASPECT:
        said = f"{stated.numerator}:{stated.denominator}"
        return Fraction(1), (f"the pixels claim to be {said}, which cannot be meant; they are taken as square",)
    return stated, ()


def _mean_fps(frame_index: FrameIndex, nominal: Fraction | None) -> Fraction:
    """Frames over duration; the container's own figure where it says the same within 0.1 %, as it is rounder."""
    measured = frame_index.ticks.size / frame_index.duration()
    if nominal and abs(nominal / measured - 1) < Fraction(1, 1000):
        return nominal
    return measured.limit_denominator(100_000)
