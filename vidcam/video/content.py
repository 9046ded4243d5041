"""The content hash of a video: of the files that hold it, or of frames in memory."""

from __future__ import annotations

from vidcam.media import VideoInfo
from vidcam.system.fingerprint import sampled_sha256, sha256


def content_sha256(info: VideoInfo) -> str:
    """SHA-256 of all bytes of a video, hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    return sha256(info.files) if info.frames_sha256 is None else info.frames_sha256()


def sampled_content_sha256(info: VideoInfo) -> str:
    """SHA-256 of blocks of a video's files, see `sampled_sha256`; of frames in memory, of all bytes.

    Raises:
        OSError: a file cannot be read.
    """
    return sampled_sha256(info.files) if info.frames_sha256 is None else info.frames_sha256()
