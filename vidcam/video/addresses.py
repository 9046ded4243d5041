"""Classify the addresses of videos: files of this machine, files on the web, live streams. Limit what is copied."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

from vidcam.errors import InputError, MediaError

LIMIT_VARIABLE = "VIDCAM_MAX_MB"
"""Environment variable: how many megabytes are copied from an address or an open file."""

DEFAULT_LIMIT_MB = 2000

_WEB = re.compile(r"https?://", re.IGNORECASE)
_FILE = re.compile(r"(?:file|local):(/.*)", re.IGNORECASE | re.DOTALL)
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


def most_bytes() -> int:
    """Return how many bytes may be copied from an address or an open file; LIMIT_VARIABLE raises it.

    Raises:
        InputError: the variable is no whole number above 0.
    """
    text = os.environ.get(LIMIT_VARIABLE, "") or str(DEFAULT_LIMIT_MB)
    if not re.fullmatch(r"0*[1-9][0-9]{0,9}", text):
        raise InputError(f"{LIMIT_VARIABLE} is {text!r}; set it to a number of megabytes such as {DEFAULT_LIMIT_MB}")
    return int(text) * 10**6


def path_in(address: str) -> str | None:
    """Return the path in an address of this machine, file:///a%20b.mp4; None for another address.

    Raises:
        MediaError: the address names another machine.
    """
    match = _FILE.fullmatch(address)
    if match is None:
        return None
    rest = match[1]
    if rest.startswith("//"):
        host, _, tail = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise MediaError(f"{address!r} names a file of another machine, {host!r}; expected file:///path or a path")
        rest = f"/{tail}"
    return rest if Path(rest).exists() else unquote(rest)
