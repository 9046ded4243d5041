"""Opening files: unusable files and implausible frame sizes give an error of one sentence."""

from __future__ import annotations

import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.helpers.mutations import sample
from tests.helpers.odd import anamorphic, greys
from tests.helpers.videos import SOUND_RATE, click, flat_frames, noise_frames, write_video
from vidcam.errors import EncodeError, MediaError
from vidcam.video import open_video
from vidcam.video.container import (
    encode_errors,
    is_reasonable,
    media_errors,
    open_input,
    require_reasonable,
    video_stream,
)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none\.mp4' does not exist"):
        open_input(str(tmp_path / "none.mp4"))


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is a folder; pass a video file"):
        open_input(str(tmp_path))


@pytest.mark.parametrize("name", ["text.mp4", "text.txt"])
def test_text_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("this is not a video\n" * 20)
    with pytest.raises(MediaError, match=r"cannot be read as video \(.*\); check that it plays") as caught:
        open_input(str(path))
    assert isinstance(caught.value.__cause__, av.FFmpegError)


def test_a_playlist_does_not_access_the_network(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match="is an HLS playlist, which only names videos"):
        open_input(str(path))


def test_a_colon_in_a_name_is_not_a_protocol(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise_frames(2)).rename(tmp_path / "http:b.mp4")
    with open_input(str(path)) as container:
        assert video_stream(container, str(path)).width == 32


def test_audio_only(tmp_path: Path) -> None:
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


def test_other_errors_are_not_changed() -> None:
    with pytest.raises(KeyError), media_errors("a.mp4"):
        raise KeyError


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), True),
        ((1, 1), True),
        ((1, 100), True),
        ((4320, 7680), True),
        ((8192, 8192), True),
        ((1, 101), False),
        ((101, 1), False),
        ((8192, 8193), False),
        ((200, 16_385), False),
        ((65535, 65535), False),
    ],
)
def test_is_reasonable(size: tuple[int, int], expected: bool) -> None:
    assert is_reasonable(size) is expected


def test_the_message_names_the_limits() -> None:
    expected = "frames of 'a' are 3000×20 pixels; the limit is 67 million pixels, 16384 a side, 100:1"
    with pytest.raises(MediaError, match=re.escape(expected)):
        require_reasonable("a", (20, 3000))


def test_a_gif_that_claims_too_many_pixels(tmp_path: Path) -> None:
    content = bytearray(sample("animation.gif").content)
    content[6:10] = struct.pack("<HH", 12_000, 12_000)
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(MediaError, match="are 12000×12000 pixels"):
        open_video(tmp_path / "a.gif")


def test_a_long_strip_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", greys(2, 2, 300), codec="ffv1", pixel_format="yuv420p", options={})
    with pytest.raises(MediaError, match="are 300×2 pixels"):
        open_video(path)


def test_the_size_limit_counts_square_pixels(tmp_path: Path) -> None:
    from fractions import Fraction

    path = anamorphic(tmp_path / "a.mp4", Fraction(4), greys(2, 8, 400))
    with pytest.raises(MediaError, match="are 1600×8 pixels"):
        open_video(path)


def test_an_image_of_an_implausible_size_counts_as_damaged(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(greys(1)[0]).save(tmp_path / f"{index}.png")
    content = bytearray((tmp_path / "1.png").read_bytes())
    content[16:24] = struct.pack(">II", 32, 2_000_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "1.png").write_bytes(content)
    with open_video(tmp_path, fps=None) as reader:
        tracemalloc.start()
        frames = [frame for _, frame in reader.frames()]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1e6
    np.testing.assert_array_equal(frames[1], frames[0])
    assert any("0.040–0.080 s cannot be decoded" in note for note in reader.notes)


def test_a_stub_holds_no_streams(tmp_path: Path) -> None:
    """An MP4 whose `moov` is empty, as of a recording that never began."""
    path = tmp_path / "stub.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2" + b"\0\0\0\x08moov")
    with (
        open_input(str(path)) as container,
        pytest.raises(MediaError, match=r"stub\.mp4' holds no streams; pass a video"),
    ):
        video_stream(container, str(path))


@pytest.mark.parametrize(
    ("size", "is_streamed", "expected"), [((64, 80), True, 1), ((64, 80), False, 0), ((720, 960), True, 0)]
)
def test_small_streamed_frames_are_decoded_by_one_thread(
    size: tuple[int, int], is_streamed: bool, expected: int, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "video.mp4", noise_frames(3, *size))
    with open_input(str(path)) as container:
        stream = video_stream(container, str(path), is_streamed=is_streamed)
        assert stream.codec_context.thread_count == expected
        assert len(list(container.decode(stream))) == 3


def test_an_encoder_that_gives_up_does_not_say_why(tmp_path: Path) -> None:
    message = r"'a\.mp4' failed \(the encoder gave up\); it lacks memory, or its hardware"
    with pytest.raises(EncodeError, match=message), encode_errors(tmp_path / "a.mp4"):
        raise av.error.ExternalError(-542398533, "Generic error in an external library")
