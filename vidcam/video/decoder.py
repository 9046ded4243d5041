"""Random access over a sequential decoder.

Goes to the nearest key frame before a wanted frame when that is cheaper than decoding on, checks where the demuxer
really landed, and holds a single decoded frame. A frame that cannot be decoded is looked for once more from the key
frame before, as some key frames are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcam.errors import MediaError
from vidcam.video.container import media_errors, open_input, video_stream
from vidcam.video.frame_index import FrameIndex
from vidcam.video.packets import Ticks, decoded_frames, read_packets

# Seeking flushes the decoder's threads; below this many skipped frames it is cheaper to decode on.
_SEEK_PAYS_FRAMES = 8


class MissingFramesError(MediaError):
    """Some displayed frames cannot be decoded.

    Attributes:
        indices: which.
    """

    def __init__(self, path: str, indices: range, count: int) -> None:
        self.indices = indices
        super().__init__(
            f"frame {indices[0]} of {path!r} cannot be decoded; expected {count} whole frames; "
            "the file is damaged or cut short, so repair or re-encode it"
        )


class FrameDecoder:
    """One open file and the displayed frame at which its decoder stands.

    Args:
        path: the file.
        frame_index: of it.
        container: of `read_frame_index`, closed with this decoder; None: the file is opened.

    Attributes:
        decoded_count: frames decoded so far, a measure of the work done.
        codec: the codec's name, 'h264'.
        nominal_fps: the frame rate that the container claims, if it does.
        pixel_aspect: width over height of a stored pixel, if the file says so.
        has_audio: whether there is a sound stream.

    Raises:
        MediaError: the file cannot be opened.
    """

    def __init__(self, path: str, frame_index: FrameIndex, container: InputContainer | None = None) -> None:
        self.decoded_count = 0
        self._path = path
        self._ticks = frame_index.ticks
        self._step_ticks = frame_index.step_ticks
        self._is_counted = frame_index.is_counted
        self._key_ticks = frame_index.key_ticks
        self._key_indices = np.searchsorted(frame_index.ticks, frame_index.key_ticks)
        self._position = self._before = -1
        self._seeks_from = 0  # how many of the key frames lie not after the last one gone to
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        if container is None:
            self._restart()
        else:
            self._container, self._stream = container, video_stream(container, path)
            self._seek(self._key_ticks[:1])
        self.codec = self._stream.codec_context.codec.canonical_name
        self.nominal_fps = self._stream.average_rate
        self.pixel_aspect: Fraction | None = self._stream.sample_aspect_ratio
        self.has_audio = bool(self._container.streams.audio)

    def close(self) -> None:
        """Release the file; `frame` cannot be called any more."""
        self._container.close()

    def frame(self, index: int) -> VideoFrame:
        """The index-th displayed frame, by decoding on, or from the last key frame before it.

        Raises:
            MissingFramesError: this frame cannot be decoded; the decoder stands at the first one after it that can.
        """
        with media_errors(self._path):
            self._approach(index)
            self._advance_to(index)
            if not self._is_at(index) and self._seeks_from:
                self._seek(self._key_ticks[: self._seeks_from - 1])
                self._advance_to(index)
        if not self._is_at(index):
            raise MissingFramesError(self._path, self._missing_around(index), self._ticks.size)
        return self._frame

    def _is_at(self, index: int) -> bool:
        return self._position == index and (self._is_counted or self._tick == self._ticks[index])

    def _missing_around(self, index: int) -> range:
        if self._position <= index:
            return range(index, index + 1)
        return range(min(self._before + 1, index), self._position)

    def _advance_to(self, index: int) -> None:
        while self._position < index:
            self._advance()

    def _advance(self) -> None:
        """Decode up to the next displayed frame."""
        self._before = self._position
        self._position = self._ticks.size  # past the end, should decoding fail
        for tick, frame in self._frames:
            self.decoded_count += 1
            place = self._before + 1 if self._is_counted else int(np.searchsorted(self._ticks, tick, side="right")) - 1
            if place > self._before:
                self._position, self._tick, self._frame = place, tick, frame
                return

    def _approach(self, index: int) -> None:
        """Go to the last key frame not after `index` if the decoder is past `index`, or far before that key frame."""
        count = int(np.searchsorted(self._key_indices, index, side="right"))
        nearest = int(self._key_indices[count - 1]) if count else 0
        if self._position > index or nearest - self._position > _SEEK_PAYS_FRAMES:
            self._seek(self._key_ticks[:count])

    def _seek(self, keys: Ticks) -> None:
        """Go to the last of `keys`, or to the one before it if the demuxer lands too late; else to the beginning."""
        for count in range(keys.size, max(0, keys.size - 2), -1):
            key = int(keys[count - 1])
            packets = self._packets_from(key)
            first = next(packets, None)
            if first is not None and first.pts is not None and first.pts <= key:
                self._follow(chain([first], packets), seeks_from=count)
                return
        self.close()
        self._restart()

    def _packets_from(self, key: int) -> Iterator[Packet[VideoStream]]:
        try:
            self._container.seek(key, stream=self._stream)
        except av.FFmpegError:  # a format that cannot seek, or not so far back
            return iter(())
        return read_packets(self._container, self._stream)

    def _restart(self) -> None:
        self._container = open_input(self._path)
        self._stream = video_stream(self._container, self._path)
        self._follow(read_packets(self._container, self._stream), seeks_from=0)

    def _follow(self, packets: Iterator[Packet[VideoStream]], *, seeks_from: int) -> None:
        self._position, self._seeks_from = -1, seeks_from
        self._frames = decoded_frames(packets, self._step_ticks)
