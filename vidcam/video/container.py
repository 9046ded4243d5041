"""Opening media files: local files only, and every foreign error turned into one sentence, of writing too.

FFmpeg guesses the format from the content, so a text file called `clip.mp4`, a playlist that points into the network
and a song with a cover picture all have to be refused here. So are frames too large to be meant: a few damaged bytes
make one of gigabytes, or a line a million pixels long. 8K, also for both eyes, and the longest strips that are videos
lie well below.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from vidcam.errors import EncodeError, MediaError
from vidcam.video.source import is_folder

MOST_PIXELS = 8192 * 8192
LONGEST_SIDE_PX = 16_384
"""H.264 is not encoded beyond."""

MOST_STRETCHED = 100


@contextmanager
def media_errors(path: str) -> Iterator[None]:
    """Turn what PyAV and the system raise inside the block into a MediaError about `path`."""
    try:
        yield
    except (av.FFmpegError, OSError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise MediaError(
            f"{path!r} cannot be read as video ({reason}); expected a media file that FFmpeg can decode; "
            "check that it plays, or convert it to MP4"
        ) from exc


@contextmanager
def encode_errors(path: Path) -> Iterator[None]:
    """Turn what PyAV and the system raise inside the block into an EncodeError about `path`."""
    try:
        yield
    except (av.FFmpegError, OSError) as exc:
        raise encode_error(path, getattr(exc, "strerror", None) or str(exc)) from exc


def encode_error(path: Path, reason: str) -> EncodeError:
    """The error of a file that could not be written to its end."""
    return EncodeError(
        f"writing '{path}' failed ({reason}); expected the encoder and the disk to take it; free some space or choose "
        "another folder"
    )


def open_input(path: str) -> InputContainer:
    """Open a media file for reading; the caller closes it.

    Raises:
        MediaError: the file is missing, a folder, a pipe or a device, or not a media file.
    """
    if is_folder(path):
        raise MediaError(f"{path!r} is a folder; expected a video file; pass one of the files in it")
    with media_errors(path):
        # `file:` keeps a colon in a name from being taken for a protocol; a playlist must not reach into the network.
        return av.open(f"file:{path}", "r", container_options={"protocol_whitelist": "file"}, metadata_errors="replace")


def video_stream(container: InputContainer, path: str) -> VideoStream:
    """The stream that a player would show, set to decode on several threads.

    Raises:
        MediaError: there is none, or frames too large; a cover picture does not count.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or _is_cover(stream):
        found = {"a cover picture" if _is_cover(other) else other.type for other in container.streams}
        kinds = ", ".join(sorted(found)) or "no streams"
        raise MediaError(f"{path!r} holds no video stream, only {kinds}; expected a video; check the file")
    if getattr(stream, "codec_context", None) is None:
        raise MediaError(
            f"the video codec of {path!r} is unknown, or encrypted; expected one that FFmpeg can decode; convert the "
            "file"
        )
    if stream.height and stream.width:
        require_reasonable(path, (stream.height, stream.width))
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return stream


def is_reasonable(size: tuple[int, int]) -> bool:
    """Whether frames of (height, width) are shown to a model."""
    shorter, longer = sorted(size)
    return shorter * longer <= MOST_PIXELS and longer <= LONGEST_SIDE_PX and longer <= MOST_STRETCHED * shorter


def require_reasonable(path: str, size: tuple[int, int]) -> None:
    """Refuse frames that cannot be meant.

    Args:
        path: for the message.
        size: (height, width), at least 1 each.

    Raises:
        MediaError: too many pixels, or too long a strip.
    """
    if not is_reasonable(size):
        height, width = size
        raise MediaError(
            f"the frames of {path!r} claim to be {width}×{height} pixels, expected at most {MOST_PIXELS // 10**6} "
            f"million, {LONGEST_SIDE_PX} a side and {MOST_STRETCHED}:1; the file is damaged, or scale it down"
        )


def stream_notes(container: InputContainer, chosen: VideoStream) -> tuple[str, ...]:
    """What to say about the choice of `chosen`, as sentences."""
    count = sum(not _is_cover(stream) for stream in container.streams.video)
    if count < 2:
        return ()
    return (f"the file holds {count} video streams; the default one, stream {chosen.index}, is taken",)


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
