"""Addresses of videos: which are files on the web, which are live streams."""

from __future__ import annotations

import re
import shlex

_WEB = re.compile(r"https?://", re.IGNORECASE)
_STREAM = re.compile(r"(rtsp[su]?|rtmp[a-z]*|rtp|srtp|udp|tcp|srt|rist|mms[ht]?|sctp)://", re.IGNORECASE)


def is_web_address(address: str) -> bool:
    """Whether an address begins with http:// or https://."""
    return _WEB.match(address) is not None


def is_live_stream(address: str) -> bool:
    """Whether an address is that of a camera or a broadcast, which has no beginning and no end."""
    return _STREAM.match(address) is not None


def recording(address: str) -> str:
    """The command that records a minute of a stream."""
    return f"ffmpeg -i {shlex.quote(address)} -t 60 -c copy clip.mp4"
