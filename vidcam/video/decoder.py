"""Random access to frames over a sequential decoder.

To reach a frame, the decoder seeks to the last key frame before it when that is cheaper than decoding on. It then
checks where the demuxer landed. It holds a single decoded frame. If a frame cannot be decoded, it tries once more from
the previous key frame, because some packets are marked as key frames by mistake.
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
from vidcam.video.container import alpha_decoder, media_errors, open_input, video_stream
from vidcam.video.frame_index import FrameIndex
from vidcam.video.packets import Ticks, decoded_frames, read_packets

# Seeking flushes the decoder's threads. To skip fewer frames than this, it is cheaper to decode on.
_MIN_SEEK_FRAMES = 8


class MissingFramesError(MediaError):
    """Some displayed frames cannot be decoded."""

    def __init__(self, path: str, indices: range, count: int) -> None:
        self.indices = indices
        super().__init__(f"frame {indices[0]} of {count} in {path!r} cannot be decoded; repair or re-encode the file")


class FrameDecoder:
    """An open file with its decoder at one displayed frame.

    Args:
        path: the file.
        frame_index: the frame index of the file.
        container: the open file from `read_frame_index`, closed with this decoder; None: the file is opened.
        is_streamed: whether frames are read from end to end.

    Attributes:
        decoded_count: number of frames decoded so far.
        codec: the codec's name, 'h264'.
        nominal_fps: the frame rate that the container states, or None.
        pixel_aspect: width over height of a stored pixel, or None if the file does not state it.
        has_audio: whether the file has an audio stream.

    Raises:
        MediaError: the file cannot be opened.
    """

    def __init__(
        self,
        path: str,
        frame_index: FrameIndex,
        container: InputContainer | None = None,
        *,
        is_streamed: bool = False,
    ) -> None:
        self.decoded_count = 0
        self._path, self._is_streamed = path, is_streamed
        self._ticks = frame_index.ticks
        self._step_ticks = frame_index.step_ticks
        self._is_matched_by_order = frame_index.is_matched_by_order
        self._key_ticks = frame_index.key_ticks
        self._key_indices = np.searchsorted(frame_index.ticks, frame_index.key_ticks)
        self._position = self._previous_position = -1
        self._key_count = 0  # number of key frames up to the last seek target
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        if container is None:
            self._restart()
        else:
            self._container = container
            self._stream = video_stream(container, path, is_streamed=is_streamed)
            self._seek(self._key_ticks[:1])
        self.codec = self._stream.codec_context.codec.canonical_name
        self.nominal_fps = self._stream.average_rate
        self.pixel_aspect: Fraction | None = self._stream.sample_aspect_ratio
        self.has_audio = bool(self._container.streams.audio)

    def close(self) -> None:
        """Close the file. Afterwards `frame` cannot be called."""
        self._container.close()

    def frame(self, index: int) -> VideoFrame:
        """Decode the displayed frame at `index`.

        Raises:
            MissingFramesError: this frame cannot be decoded. The decoder is then at the next one that can.
        """
        if self._is_at(index):
            return self._frame
        with media_errors(self._path):
            self._seek_if_cheaper(index)
            self._advance_to(index)
            if not self._is_at(index) and self._key_count:
                self._seek(self._key_ticks[: self._key_count - 1])
                self._advance_to(index)
        if not self._is_at(index):
            raise MissingFramesError(self._path, self._missing_around(index), self._ticks.size)
        return self._frame

    def _is_at(self, index: int) -> bool:
        return self._position == index and (self._is_matched_by_order or self._tick == self._ticks[index])

    def _missing_around(self, index: int) -> range:
        if self._position <= index:
            return range(index, index + 1)
        return range(min(self._previous_position + 1, index), self._position)

    def _advance_to(self, index: int) -> None:
        while self._position < index:
            self._advance()

    def _advance(self) -> None:
        """Decode up to the next displayed frame."""
        self._previous_position = self._position
        self._position = self._ticks.size  # past the end, in case decoding fails
        for tick, frame in self._frames:
            self.decoded_count += 1
            if self._is_matched_by_order:
                index = self._previous_position + 1
            else:
                index = int(np.searchsorted(self._ticks, tick, side="right")) - 1
            if index > self._previous_position:
                self._position, self._tick, self._frame = index, tick, frame
                return

    def _seek_if_cheaper(self, index: int) -> None:
        """Seek to the last key frame up to `index` if the decoder is past `index` or far before that key frame."""
        count = int(np.searchsorted(self._key_indices, index, side="right"))
        nearest = int(self._key_indices[count - 1]) if count else 0
        if self._position > index or nearest - self._position > _MIN_SEEK_FRAMES:
            self._seek(self._key_ticks[:count])

    def _seek(self, keys: Ticks) -> None:
        """Seek to the last of `keys`.

        If the demuxer lands too late, seek to the key before it. If that fails too, start at the beginning of the file.
        """
        for count in range(keys.size, max(0, keys.size - 2), -1):
            key = int(keys[count - 1])
            packets = self._packets_from(key)
            first = next(packets, None)
            if first is not None and first.pts is not None and first.pts <= key:
                self._decode_from(chain([first], packets), key_count=count)
                return
        self.close()
        self._restart()

    def _packets_from(self, key: int) -> Iterator[Packet[VideoStream]]:
        try:
            self._container.seek(key, stream=self._stream)
        except av.FFmpegError:  # the format cannot seek, or not that far back
            return iter(())
        return read_packets(self._container, self._stream)

    def _restart(self) -> None:
        self._container = open_input(self._path)
        self._stream = video_stream(self._container, self._path, is_streamed=self._is_streamed)
        self._decode_from(read_packets(self._container, self._stream), key_count=0)

    def _decode_from(self, packets: Iterator[Packet[VideoStream]], *, key_count: int) -> None:
        self._position, self._key_count = -1, key_count
        self._frames = decoded_frames(packets, self._step_ticks, decoder=alpha_decoder(self._stream))
