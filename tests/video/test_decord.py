"""decord: the same frames at the same times as PyAV, or an error with the reason."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.clips import frames_of
from tests.helpers.odd import B_FRAMES, COUNT, ODD, VARIABLE, h264, noisy
from tests.helpers.videos import rotate
from vidcam.errors import InputError, MediaError
from vidcam.video import open_video
from vidcam.video.decord_reader import DecordReader, decord_seconds

decord = pytest.importorskip("decord", reason="decord has no wheel for this machine")

ACCEPTED = {
    "plain": {},
    "b-frames": {"options": B_FRAMES},
    "variable": {"ticks": VARIABLE},
}


@pytest.fixture(params=ACCEPTED)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return h264(tmp_path / "a.mp4", noisy(), **ACCEPTED[request.param])


def test_frames_and_times_agree(path: Path) -> None:
    with open_video(path) as pyav, open_video(path, decoder="decord") as decord_reader:
        assert (pyav.info.decoder, decord_reader.info.decoder) == ("pyav", "decord")
        seconds = decord_seconds(decord.VideoReader(str(path)))
        np.testing.assert_allclose(seconds, pyav.info.pts_seconds, rtol=0, atol=1e-3)
        for (pyav_second, pyav_frame), (second, frame) in zip(pyav.frames(), decord_reader.frames(), strict=True):
            assert second == pyav_second
            assert np.abs(frame.astype(int) - pyav_frame).max() <= 2
        order = np.random.default_rng(0).permutation(COUNT)[:16]
        pyav_frames, frames = (frames_of(reader, pyav.info.pts_seconds[order])[0] for reader in (pyav, decord_reader))
        assert np.abs(frames.astype(int) - pyav_frames).max() <= 2


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_agrees(tmp_path: Path, degrees: int) -> None:
    frames = noisy()
    frames[:, :20, :30] = 255
    path = rotate(h264(tmp_path / "a.mp4", frames), degrees)
    with open_video(path) as pyav, open_video(path, decoder="decord") as decord_reader:
        assert decord_reader.info.rotation_degrees == degrees
        for (_, pyav_frame), (_, frame) in zip(pyav.frames(), decord_reader.frames(), strict=True):
            assert np.abs(frame.astype(int) - pyav_frame).max() <= 2


def test_two_readings_in_two_threads(tmp_path: Path) -> None:
    with open_video(h264(tmp_path / "a.mp4"), decoder="decord") as reader, ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda start: [frame for _, frame in reader.frames(start)], [0.0, 1.0])
    np.testing.assert_array_equal(first[25:], second)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("edit-list.mp4", r"finds \d+ frames, PyAV 46|gives time stamps"),
        ("animation.gif", r"cannot open the file|finds \d+ frames"),
        ("anamorphic.mp4", "ignores the pixel aspect 64/51"),
        ("pq.mp4", "gives colours that are off by|cannot open the file"),
        ("two-streams.mkv", "PyAV has a note about the file .*2 video streams"),
    ],
)
def test_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    path = ODD[name](tmp_path / name)
    with pytest.raises(MediaError, match=rf"decord cannot be used for .*({reason}).*; use --decoder pyav"):
        open_video(path, decoder="decord")
    with open_video(path, decoder="auto") as reader:
        assert reader.info.decoder == "pyav"


def test_other_colours_than_pyav_are_refused(tmp_path: Path) -> None:
    frames = np.zeros((3, 48, 64, 3), np.uint8)
    frames[:, ::4, ::4, 0] = 255
    with pytest.raises(MediaError, match=r"gives colours that are off by \d+ of 255 in frame 0"):
        open_video(h264(tmp_path / "a.mp4", frames), decoder="decord")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut.mkv", "the file is cut short"),
        ("damaged.mkv", "cannot be decoded"),
        ("resized.ts", "the frame size changes|is damaged"),
    ],
)
def test_a_damaged_video_is_refused_even_if_the_frames_agree(tmp_path: Path, name: str, reason: str) -> None:
    expected = rf"decord cannot be used for .*PyAV has a note about the file \(.*({reason}).*use --decoder pyav"
    with pytest.raises(MediaError, match=expected):
        open_video(ODD[name](tmp_path / name), decoder="decord")


def test_a_stated_count_of_billions_is_refused_before_decord_allocates_memory(tmp_path: Path) -> None:
    content = bytearray(h264(tmp_path / "a.mp4").read_bytes())
    offset = content.index(b"stts") + 12  # one entry: the number of frames, and the duration of each
    assert int.from_bytes(content[offset : offset + 4], "big") == COUNT
    content[offset] = 0x60
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(MediaError, match=r"decord .* would allocate memory for the 16\d{8} frames"):
        open_video(tmp_path / "a.mp4", decoder="decord")


def test_decord_writes_nothing_to_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MediaError):
        open_video(ODD["cut.mp4"](tmp_path / "cut.mp4"), decoder="decord")
    assert capfd.readouterr().err == ""


def test_without_decord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    path = h264(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"decord is not installed.*pip install 'vidcam\[decord\]'"):
        open_video(path, decoder="decord")


def test_a_frame_that_fails_later_and_a_closed_reader(tmp_path: Path) -> None:
    class Failing:
        def __getitem__(self, index: int) -> None:
            raise RuntimeError("[06:20:30] file.cc:270: nothing there")

    with open_video(h264(tmp_path / "a.mp4"), decoder="decord") as reader:
        assert isinstance(reader, DecordReader)
        reader._idle[:] = [Failing()]
        with pytest.raises(MediaError, match=r"decord cannot decode frame 0 of .* \(file.cc:270: nothing there\)"):
            next(reader.frames())
    with pytest.raises(MediaError, match="is closed"):
        next(reader.frames())


def test_unknown_decoder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--decoder is 'ffmpeg'; it must be one of auto, pyav, decord"):
        open_video(h264(tmp_path / "a.mp4"), decoder="ffmpeg")  # type: ignore[arg-type]
