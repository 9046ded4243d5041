"""Opening: every unusable file is one sentence."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.helpers.videos import SOUND_RATE, click, flat_frames, noise_frames, write_video
from vidcam.errors import MediaError
from vidcam.video.container import media_errors, open_input, video_stream


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none\.mp4' does not exist; expected a video file; check the path"):
        open_input(str(tmp_path / "none.mp4"))


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is a folder; expected a video file"):
        open_input(str(tmp_path))


@pytest.mark.parametrize("name", ["text.mp4", "text.txt"])
def test_text_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("this is not a video\n" * 20)
    with pytest.raises(MediaError, match=r"cannot be read as video .*; expected a media file") as caught:
        open_input(str(path))
    assert isinstance(caught.value.__cause__, av.FFmpegError)


def test_playlist_does_not_reach_into_the_network(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match="cannot be read as video"):
        open_input(str(path))


def test_colon_in_a_name_is_no_protocol(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise_frames(2)).rename(tmp_path / "http:b.mp4")
    with open_input(str(path)) as container:
        assert video_stream(container, str(path)).width == 32


def test_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((click(0.1, 0.2)[None] * 30000).astype("int16"), format="s16", layout="mono")
        frame.sample_rate = SOUND_RATE
        container.mux(stream.encode(frame))
    with open_input(str(path)) as container, pytest.raises(MediaError, match="holds no video stream, only audio"):
        video_stream(container, str(path))


def test_unknown_codec(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", flat_frames([1, 2]))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with open_input(str(path)) as container, pytest.raises(MediaError, match=r"video codec of .* is unknown"):
        video_stream(container, str(path))


def test_other_errors_pass_through() -> None:
    with pytest.raises(KeyError), media_errors("a.mp4"):
        raise KeyError
