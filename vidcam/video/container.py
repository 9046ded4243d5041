"""Open media files, and turn errors of FFmpeg and the system into errors of vidcam. Only local files are opened.

FFmpeg detects the format from the content. So a text file called `clip.mp4`, a playlist and a song with a cover image
all have to be refused here; `formats` lists what is opened. Frames of an implausible size are refused too: a few
damaged bytes can claim gigabytes a frame, or a line of a million pixels. The limits are above 8K, also side by side for
both eyes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidcam.errors import EncodeError, MediaError
from vidcam.system.atomic import advice_for
from vidcam.system.shortage import require_no_shortage
from vidcam.video.formats import DEMUXERS, PROTOCOLS, playlist_refusal
from vidcam.video.source import is_folder

SMALL_PIXELS = 640 * 480
"""Streamed frames up to this size are decoded by one thread: beside other work, several cost more than they save."""

MAX_PIXELS = 8192 * 8192
MAX_SIDE_PX = 16_384
"""H.264 encoders accept no longer side."""

MAX_SIDE_RATIO = 100

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@contextmanager
def media_errors(path: str) -> Iterator[None]:
    """Turn errors of PyAV and the system inside the block into a MediaError about `path`, or one about the system."""
    try:
        yield
    except (av.FFmpegError, OSError) as exc:
        require_no_shortage(path)
        reason = getattr(exc, "strerror", None) or str(exc)
        raise MediaError(
            f"{path!r} cannot be read as video ({reason}); check that it plays, or convert it to MP4"
        ) from exc


@contextmanager
def encode_errors(path: Path) -> Iterator[None]:
    """Turn errors of PyAV and the system inside the block into an EncodeError about `path`."""
    try:
        yield
    except av.error.ExternalError as exc:  # of x264, NVENC and their like, which do not say why
        raise encode_error(path, "the encoder gave up", "it lacks memory, or its hardware") from exc
    except (av.FFmpegError, OSError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise encode_error(path, reason, advice_for(exc, "") if isinstance(exc, OSError) else "") from exc


def encode_error(path: Path, reason: str, advice: str = "") -> EncodeError:
    """Make the error for a file that could not be written completely."""
    return EncodeError(f"writing '{path.name}' failed ({reason}){'; ' if advice else ''}{advice}")


def open_input(path: str) -> InputContainer:
    """Open a media file for reading; the caller closes it.

    Raises:
        MediaError: the file is missing, a folder, a pipe, a device, a playlist, or of no known format.
        RunError: the system is short of memory, threads or open files.
    """
    if is_folder(path):
        raise MediaError(f"{path!r} is a folder; pass a video file")
    refusal = playlist_refusal(path)
    if refusal is not None:
        raise MediaError(refusal)
    options = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
    with media_errors(path):
        # With `file:`, a colon in the name is not read as a protocol.
        try:
            return av.open(f"file:{path}", "r", container_options=options, metadata_errors="replace")
        except av.ArgumentError as exc:  # FFmpeg knows the format, but it is not on the list
            raise MediaError(f"{path!r} is in a format that vidcam does not open; convert it to MP4") from exc


def video_stream(container: InputContainer, path: str, *, is_streamed: bool = False) -> VideoStream:
    """Find the video stream that a player would show, and let it decode on several threads.

    With `is_streamed` its frames are read from end to end, and small ones are decoded on one thread.

    Raises:
        MediaError: there is no video stream besides a cover image, or its frames are too large.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or _is_cover(stream):
        kinds = sorted({"a cover picture" if _is_cover(entry) else entry.type for entry in container.streams})
        content = f"no video stream, only {', '.join(kinds)}" if kinds else "no streams"
        raise MediaError(f"{path!r} holds {content}; pass a video file")
    if getattr(stream, "codec_context", None) is None:
        raise MediaError(f"the video codec of {path!r} is unknown or encrypted; convert the file to MP4")
    if stream.height and stream.width:
        require_reasonable(path, (stream.height, stream.width))
    stream.thread_type = "AUTO"
    if is_streamed and 0 < stream.height * stream.width <= SMALL_PIXELS:
        stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """Make the decoder of a WebM with transparency, which FFmpeg's own decoders leave out; None for other streams."""
    name = _ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name)
    if name is None or stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    decoder = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder


def is_reasonable(size: tuple[int, int]) -> bool:
    """Return whether frames of (height, width) are within the size limits."""
    shorter, longer = sorted(size)
    return shorter * longer <= MAX_PIXELS and longer <= MAX_SIDE_PX and longer <= MAX_SIDE_RATIO * shorter


def require_reasonable(path: str, size: tuple[int, int]) -> None:
    """Refuse frames of an implausible size.

    Raises:
        MediaError: there are too many pixels, or one side is too long.
    """
    if not is_reasonable(size):
        height, width = size
        raise MediaError(
            f"frames of {path!r} are {width}×{height} pixels; the limit is {MAX_PIXELS // 10**6} million pixels, "
            f"{MAX_SIDE_PX} a side, {MAX_SIDE_RATIO}:1"
        )


def stream_notes(container: InputContainer, chosen: VideoStream) -> tuple[str, ...]:
    """Say which video stream was chosen, if there are several."""
    count = sum(not _is_cover(stream) for stream in container.streams.video)
    if count < 2:
        return ()
    return (f"the file has {count} video streams; the default one, stream {chosen.index}, is used",)


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
