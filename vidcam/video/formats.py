"""The container formats and protocols that vidcam opens: the only list of them.

Each format holds its video in one file. Playlists, lists of files and descriptions of streams (HLS, DASH, concat, SDP,
…) name further files or addresses, and may have no end. They are refused, whatever the file is called. So are formats
that take any text for a video.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PROTOCOLS = "file"

_FILMS = (
    "3dostr 4xm amv apng asf asf_o av1 avi avs2 avs3 bink cavsvideo cine dhav dirac dnxhd dv evc film_cpk flic flv gif "
    "gxf h261 h263 h264 hevc ivf ivr jpegxl_anim kux live_flv m4v matroska mjpeg mjpeg_2000 mlv mov mpeg mpegts "
    "mpegvideo mpjpeg mxf nsv nut nuv obu ogg pva rm roq rpl smjpeg smk thp ty vc1 vc1test vvc webm wtv xmv "
    "yuv4mpegpipe"
)
_IMAGES = (
    "bmp_pipe dds_pipe dpx_pipe exr_pipe gif_pipe hdr_pipe j2k_pipe jpeg_pipe jpegls_pipe jpegxl_pipe pam_pipe "
    "pbm_pipe pcx_pipe pfm_pipe pgm_pipe png_pipe ppm_pipe psd_pipe qoi_pipe sgi_pipe tiff_pipe webp_pipe"
)
_SOUNDS = "aac ac3 aiff caf eac3 flac mp3 w64 wav"
"""Opened as well, to say that they hold no video, and for their sound."""

DEMUXERS = ",".join(f"{_FILMS} {_IMAGES} {_SOUNDS}".split())

_HEAD_BYTES = 2048
_PLAYLISTS = {
    "an HLS playlist": re.compile(rb"#EXTM3U"),
    "a DASH playlist": re.compile(rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<MPD\b", re.DOTALL),
    "a list of files": re.compile(rb"ffconcat version"),
    "a description of a stream (SDP)": re.compile(rb"v=0\r?\n"),
}


def playlist_refusal(path: str) -> str | None:
    """Return why a file is refused, if it is a playlist; None if it is none, or cannot be read."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for kind, start in _PLAYLISTS.items():
        if start.match(head):
            command = f"ffmpeg -i {shlex.quote(path)} -t 600 -c copy clip.mp4"
            return f"{path!r} is {kind}, which only names videos; make one file of it: {command}"
    return None
