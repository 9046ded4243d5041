"""Read with PyAV, the Python binding of FFmpeg's libraries. Every frame is exact, also after seeking."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame

from vidcam.errors import MediaError
from vidcam.media import Frames, VideoInfo
from vidcam.video.container import require_reasonable
from vidcam.video.decoder import FrameDecoder, MissingFramesError
from vidcam.video.frame_index import FrameIndex, read_frame_index
from vidcam.video.indexed import Damage, VideoReader
from vidcam.video.pixels import Orientation, RgbConverter, read_orientation, square_pixel_size
from vidcam.video.source import Located

# Some encoders round the frame size and compensate with a pixel aspect near 1. Nobody sees the difference, so frames
# are not resampled for it.
_ASPECT_TOLERANCE = Fraction(2, 100)

# DVDs and broadcasts use pixel aspects between 4:5 and 2:1.
_MAX_ASPECT = 4


class PyAVReader(VideoReader):
    """VideoReader that decodes with FFmpeg's libraries.

    Args:
        path: a local file.
        located: the source of the file, if the file is a copy.
        is_streamed: whether frames are read from end to end, and not here and there.

    Raises:
        MediaError: the file is missing, a folder, no video, or no frame of it can be decoded.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, located: Located | None = None, is_streamed: bool = False
    ) -> None:
        self._path = os.fspath(path)
        self._located, self._is_streamed = located, is_streamed
        self._frame_index, container = read_frame_index(self._path)
        self.damage = Damage(self._frame_index)
        self._idle: list[FrameDecoder] = [self._new_decoder(container)]
        try:
            super().__init__(self._describe(), self.damage)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        super().close()
        while self._idle:
            self._idle.pop().close()
        if self._located is not None:
            self._located.release()

    def _describe(self) -> VideoInfo:
        """Read the metadata, and set up the colour conversion from the first frame."""
        with self._borrow_decoder() as decoder:
            frame = self._first_frame(decoder)
            aspect, notes = _pixel_aspect(decoder.pixel_aspect)
            self._stored_size = (frame.height, frame.width)
            if frame.interlaced_frame:
                self.damage.mark_interlaced()
            self._square_size = square_pixel_size(self._stored_size, aspect)
            require_reasonable(self._path, self._square_size)
            self._orientation: Orientation = read_orientation(frame, self._path)
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
                notes=(*self._frame_index.notes, *notes, *filter(None, [self._orientation.note])),
                clock=self._frame_index.clock,
            )

    def _first_frame(self, decoder: FrameDecoder) -> VideoFrame:
        """Decode the first displayed frame, or the first one that can be decoded.

        Raises:
            MediaError: no frame can be decoded.
        """
        try:
            return decoder.frame(self._find_decodable(decoder, 0, -1))
        except MissingFramesError as exc:
            raise MediaError(f"no frame of {self._path!r} can be decoded; check that it plays") from exc

    @contextmanager
    def _decoding(self) -> Iterator[Callable[[int], Frames]]:
        to_rgb, shown = RgbConverter(size=self._square_size, orientation=self._orientation), -1
        rgb: Frames

        def decode(index: int) -> Frames:
            nonlocal rgb, shown
            decodable = self._find_decodable(decoder, index, shown)
            if decodable != shown:
                rgb, shown = to_rgb(self._record_damage(decoder.frame(decodable), decodable)), decodable
            return rgb

        with self._borrow_decoder() as decoder:
            yield decode

    def _find_decodable(self, decoder: FrameDecoder, index: int, current: int) -> int:
        """Find the frame to show for `index`, and make sure that the decoder can return it.

        Args:
            decoder: the decoder.
            index: the index of a displayed frame.
            current: the frame that is shown now, which need not be decoded again; -1: none.

        Raises:
            MissingFramesError: no frame can be decoded.
        """
        while True:
            candidate = self.damage.stand_in(index) if self.damage.is_missing(index) else index
            if candidate == current:
                return candidate
            try:
                decoder.frame(index if candidate is None else candidate)
            except MissingFramesError as exc:
                if candidate is None:
                    raise
                self.damage.mark_missing(exc.indices)
            else:
                return index if candidate is None else candidate

    def _record_damage(self, frame: VideoFrame, index: int) -> VideoFrame:
        if frame.is_corrupt:
            self.damage.mark_repaired(index)
        if frame.interlaced_frame:
            self.damage.mark_interlaced()
        if (frame.height, frame.width) != self._stored_size:
            self.damage.mark_resized((frame.height, frame.width))
        return frame

    def _new_decoder(self, container: InputContainer | None = None) -> FrameDecoder:
        return FrameDecoder(self._path, self._frame_index, container, is_streamed=self._is_streamed)

    @contextmanager
    def _borrow_decoder(self) -> Iterator[FrameDecoder]:
        """Lend a decoder to one reading; afterwards it is kept for the next reading, at its position."""
        decoder = self._idle.pop() if self._idle else self._new_decoder()
        try:
            with nullcontext() if self._located is None else self._located.naming():
                yield decoder
        finally:
            if self._is_closed:
                decoder.close()
            else:
                self._idle.append(decoder)


def _pixel_aspect(stated: Fraction | None) -> tuple[Fraction, tuple[str, ...]]:
    """Return the pixel aspect (width over height) to apply, and a note if the stated one is implausible."""
    if not stated or abs(stated - 1) <= _ASPECT_TOLERANCE:
        return Fraction(1), ()
    if not Fraction(1, _MAX_ASPECT) <= stated <= _MAX_ASPECT:
        aspect = f"{stated.numerator}:{stated.denominator}"
        return Fraction(1), (f"the pixel aspect {aspect} is implausible; square pixels are assumed",)
    return stated, ()


def _mean_fps(frame_index: FrameIndex, nominal: Fraction | None) -> Fraction:
    """Compute the mean frame rate; if the container's rate agrees within 0.1 %, return that, because it is rounder."""
    measured = frame_index.ticks.size / frame_index.duration()
    if nominal and abs(nominal / measured - 1) < Fraction(1, 1000):
        return nominal
    return measured.limit_denominator(100_000)
