"""Compute the content hash of a video, from its files or from its frames in memory."""

from __future__ import annotations

from vidcam.media import VideoInfo
from vidcam.system.fingerprint import sampled_sha256, sha256


def content_sha256(info: VideoInfo) -> str:
    """Compute the SHA-256 of all bytes of a video; hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    return sha256(info.files) if info.frames_sha256 is None else info.frames_sha256()


def sampled_content_sha256(info: VideoInfo) -> str:
    """Compute the SHA-256 of a sample of a video's files, see `sampled_sha256`, or of all bytes of frames in memory.

    Raises:
        OSError: a file cannot be read.
    """
    return sampled_sha256(info.files) if info.frames_sha256 is None else info.frames_sha256()
