"""Classify the addresses of videos: files on the web, and live streams."""

from __future__ import annotations

import re
import shlex

_WEB = re.compile(r"https?://", re.IGNORECASE)
_STREAM = re.compile(r"(rtsp[su]?|rtmp[a-z]*|rtp|srtp|udp|tcp|srt|rist|mms[ht]?|sctp)://", re.IGNORECASE)


def is_web_address(address: str) -> bool:
    """Return whether an address begins with http:// or https://."""
    return _WEB.match(address) is not None


def is_live_stream(address: str) -> bool:
    """Return whether an address is a live stream, such as a camera or a broadcast."""
    return _STREAM.match(address) is not None


def recording(address: str) -> str:
    """Return the ffmpeg command that records a minute of a stream."""
    return f"ffmpeg -i {shlex.quote(address)} -t 60 -c copy clip.mp4"
