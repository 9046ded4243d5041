"""Only formats that hold a video in one file are opened; playlists and the like are refused by their content."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.videos import flat_frames, write_video
from vidcam.errors import MediaError
from vidcam.video import open_video
from vidcam.video.formats import DEMUXERS

ENDLESS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n"
PLAYLISTS = {
    "itself.m3u8": (ENDLESS.format("itself.m3u8"), "an HLS playlist"),
    "clip.mp4": (ENDLESS.format("clip.mp4"), "an HLS playlist"),
    "upwards.m3u8": (ENDLESS.format("../secret.ts") + "#EXT-X-ENDLIST\n", "an HLS playlist"),
    "marked.m3u8": ("\ufeff" + ENDLESS.format("a.ts"), "an HLS playlist"),
    "web.mpd": ('<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>', "a DASH playlist"),
    "list.txt": ("ffconcat version 1.0\nfile ../secret.ts\n", "a list of files"),
    "camera.sdp": ("v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "a description of a stream"),
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """FFmpeg waits without end for the rest of a playlist without #EXT-X-ENDLIST, and opens one that names itself."""
    (tmp_path / "in").mkdir()
    options = {"crf": "10"}
    write_video(tmp_path / "secret.ts", flat_frames([9] * 9), codec="libx264", pixel_format="yuv420p", options=options)
    content, kind = PLAYLISTS[name]
    (tmp_path / "in" / name).write_text(content, encoding="utf-8")
    with pytest.raises(MediaError) as caught:
        open_video(tmp_path / "in" / name)
    assert f"is {kind}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_format_that_takes_any_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    with pytest.raises(MediaError, match="is in a format that vidcam does not open; convert it to MP4"):
        open_video(tmp_path / "a.srt")


def test_a_number_in_a_name_opens_no_other_file(tmp_path: Path) -> None:
    """FFmpeg's `image2` would show 0.png, 1.png, … in place of a file that is called %d.png."""
    write_video(tmp_path / "0.png", flat_frames([200]), codec="png", options={})
    (tmp_path / "0.png").rename(tmp_path / "%d.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "%d.png").read_bytes())
    with pytest.raises(MediaError, match="format that vidcam does not open"):
        open_video(tmp_path / "%d.png")


def test_the_list_has_no_format_that_names_other_files() -> None:
    listed = set(DEMUXERS.split(","))
    assert not listed & {"hls", "dash", "concat", "image2", "image2pipe", "sdp", "rtsp", "rtp", "lavfi", "imf", "tty"}
    known = {name for formats in av.formats_available for name in formats.split(",")}
    assert listed <= known


CODECS = {"a.nut": "ffv1", "a.mxf": "mpeg2video", "a.y4m": "wrapped_avframe", "a.ivf": "libvpx"}


@pytest.mark.parametrize("name", CODECS)
def test_rarer_containers_are_read(tmp_path: Path, name: str) -> None:
    levels = [30, 90, 150, 210]
    frames, options = flat_frames(levels, 48, 64), {"b": "4M"}
    path = tmp_path / name
    write_video(path, frames, codec=CODECS[name], pixel_format="yuv420p", options=options, time_base=Fraction(1, 25))
    with open_video(path) as reader:
        found = [float(frame.mean()) for _, frame in reader.frames()]
    np.testing.assert_allclose(found, levels, atol=4)
