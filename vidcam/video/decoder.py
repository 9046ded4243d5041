"""Random access over a sequential decoder.

Goes to the nearest key frame before a wanted frame when that is cheaper than decoding on, checks where the demuxer
really landed, and holds a single decoded frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcam.errors import MediaError
from vidcam.video.container import media_errors, open_input, video_stream
from vidcam.video.timeline import Ticks, Timeline, decoded_frames

# Seeking flushes the decoder's threads; below this many skipped frames it is cheaper to decode on.
_SEEK_PAYS_FRAMES = 8


class FrameDecoder:
    """One open file and the displayed frame at which its decoder stands.

    Attributes:
        decoded_count: frames decoded so far, a measure of the work done.
        codec: the codec's name, 'h264'.
        nominal_fps: the frame rate that the container claims, if it does.
        has_audio: whether there is a sound stream.

    Raises:
        MediaError: the file cannot be opened.
    """

    def __init__(self, path: str, timeline: Timeline) -> None:
        self.decoded_count = 0
        self._path = path
        self._ticks = timeline.ticks
        self._step_ticks = timeline.step_ticks
        self._is_counted = timeline.is_counted
        self._key_ticks = timeline.key_ticks
        self._key_indices = np.searchsorted(timeline.ticks, timeline.key_ticks)
        self._position = -1
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        self._restart()
        self.codec = self._stream.codec_context.codec.canonical_name
        self.nominal_fps = self._stream.average_rate
        self.has_audio = bool(self._container.streams.audio)

    def close(self) -> None:
        """Release the file; `frame` cannot be called any more."""
        self._container.close()

    def frame(self, index: int) -> VideoFrame:
        """The index-th displayed frame, by decoding on, or from the last key frame before it.

        Raises:
            MediaError: this frame cannot be decoded.
        """
        with media_errors(self._path):
            self._approach(index)
            while self._position < index:
                self._advance()
        if self._position != index or not (self._is_counted or self._tick == self._ticks[index]):
            raise MediaError(
                f"frame {index} of {self._path!r} cannot be decoded; expected {self._ticks.size} whole frames; "
                "the file is damaged or cut short, so repair or re-encode it"
            )
        return self._frame

    def _advance(self) -> None:
        """Decode up to the next displayed frame."""
        position, self._position = self._position, self._ticks.size  # past the end, should decoding fail
        for tick, frame in self._frames:
            self.decoded_count += 1
            place = position + 1 if self._is_counted else int(np.searchsorted(self._ticks, tick, side="right")) - 1
            if place > position:
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
        for key in keys[:-3:-1].tolist():
            packets = self._packets_from(key)
            first = next(packets, None)
            if first is not None and first.pts is not None and first.pts <= key:
                self._follow(chain([first], packets))
                return
        self.close()
        self._restart()

    def _packets_from(self, key: int) -> Iterator[Packet[VideoStream]]:
        try:
            self._container.seek(key, stream=self._stream)
        except av.FFmpegError:  # a format that cannot seek, or not so far back
            return iter(())
        return self._container.demux(self._stream)

    def _restart(self) -> None:
        self._container = open_input(self._path)
        self._stream = video_stream(self._container, self._path)
        self._follow(self._container.demux(self._stream))

    def _follow(self, packets: Iterator[Packet[VideoStream]]) -> None:
        self._position = -1
        self._frames = decoded_frames(packets, self._step_ticks)
