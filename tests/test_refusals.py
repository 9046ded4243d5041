"""Unusable input and arguments, through the command line: one sentence, exit code 2, nothing written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.subtitles.stream import SubtitleStream
from PIL import Image

from tests.helpers.odd import greys, h264
from tests.helpers.videos import click, flat_frames, write_sound, write_video
from vidcam.cli.app import main

BRIGHT = "tests.helpers.nets:brightness_model"
POOLED = "tests.helpers.nets:pooled_model"
KEY = "00112233445566778899aabbccddeeff"

Capture = pytest.CaptureFixture[str]
Make = Callable[[Path], Path]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264(tmp_path_factory.mktemp("video") / "video.mp4", greys(10))


def refusal(arguments: list[str], out: Path, capsys: Capture) -> str:
    """The one sentence that is said; OUT is not made, and if it is there it stays as it is."""
    before = content(out)
    assert main([*arguments, "-o", str(out)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("vidcam: error: ")
    assert "Traceback" not in line
    assert content(out) == before
    return line.removeprefix("vidcam: error: ")


def content(folder: Path) -> dict[str, bytes] | None:
    """All that lies below a folder; None if it is not there."""
    if not os.path.isdir(folder):  # noqa: PTH112 – pathlib raises for a name that is too long
        return None
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def written(data: bytes) -> Make:
    def make(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return make


def patched(old: bytes, new: bytes) -> Make:
    """An MP4 whose sample description names another codec."""

    def make(path: Path) -> Path:
        whole = h264(path, greys(4)).read_bytes()
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        return path

    return make


def encrypted(path: Path) -> Path:
    """As videos with a rights management are: common encryption, AES-CTR."""
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": KEY, "encryption_kid": KEY}
    return h264(path, greys(4), container_options=options)


def sound_alone(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        codec = "pcm_s16le" if path.suffix == ".wav" else "aac"
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        assert isinstance(stream, AudioStream)
        write_sound(container, stream, click(0.1, 0.5))
    return path


def cover_alone(path: Path) -> Path:
    """A picture as songs carry it, without a song."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = 32
        stream.pix_fmt, stream.disposition = "yuvj420p", av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(flat_frames([90])[0], format="rgb24")
        container.mux([*stream.encode(picture), *stream.encode(None)])
    return path


def subtitles_alone(path: Path) -> Path:
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n\n2\n00:00:02,000 --> 00:00:04,000\nagain\n")
    with av.open(str(path), format="srt") as container:
        assert isinstance(container.streams[0], SubtitleStream)
    return path


def empty_folder(path: Path) -> Path:
    path.mkdir()
    return path


def folder_of_texts(path: Path) -> Path:
    (path / "frames.png").mkdir(parents=True)  # a folder, whatever its name
    (path / "a.txt").write_text("a")
    (path / "b.json").write_text("b")
    (path / ".hidden.png").write_bytes(b"")
    return path


def folder_of_false_images(path: Path) -> Path:
    path.mkdir()
    for index in range(3):
        (path / f"{index}.png").write_text("no image")
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def pipe_in_folder(path: Path) -> Path:
    path.mkdir()
    os.mkfifo(path / "a.png")
    return path


def link_to_nothing(path: Path) -> Path:
    path.symlink_to(path.with_name("gone.mp4"))
    return path


def link_to_itself(path: Path) -> Path:
    path.symlink_to(path)
    return path


def below_a_file(path: Path) -> Path:
    path.write_text("a file")
    return path / "video.mp4"


INPUTS: dict[str, tuple[str, Make, str]] = {
    "missing": ("none.mp4", lambda path: path, "none.mp4' does not exist"),
    "a link to nothing": ("a.mp4", link_to_nothing, "does not exist"),
    "a link to itself": ("a.mp4", link_to_itself, "(Too many levels of symbolic links)"),
    "below a file": ("a.mp4", below_a_file, "does not exist"),
    "a name that is too long": ("a" * 300, lambda path: path, "(File name too long)"),
    "an address that is too long": ("a", lambda path: Path(f"memory:::{'a' * 5000}"), "cannot be read"),
    "standard input": ("a", lambda path: Path("-"), "'-' does not exist"),
    "a folder without files": ("shots", empty_folder, "is a folder without images"),
    "a folder without images": ("shots", folder_of_texts, "is a folder without images"),
    "a folder of false images": ("shots", folder_of_false_images, "none of the 3 images"),
    "a folder with a pipe": ("shots", pipe_in_folder, "is a folder without images"),
    "text": ("text.mp4", written(b"this is not a video\n" * 50), "cannot be read as video"),
    "one byte": ("one.mp4", written(b"x"), "cannot be read as video"),
    "zero bytes": ("zero.mp4", written(b""), "cannot be read as video"),
    "zeros": ("zeros.mp4", written(bytes(10_000)), "cannot be read as video"),
    "sound alone": ("sound.mp4", sound_alone, "holds no video stream, only audio"),
    "sound alone, as a wave": ("sound.wav", sound_alone, "holds no video stream, only audio"),
    "a cover picture alone": ("song.m4a", cover_alone, "holds no video stream, only a cover picture"),
    "subtitles alone": ("words.srt", subtitles_alone, "is in a format that vidcam does not open; convert it to MP4"),
    "encrypted": ("secret.mp4", encrypted, "is encrypted; pass a decrypted copy"),
    "encrypted without a word": ("secret.mp4", patched(b"avc1", b"encv"), "is unknown or encrypted"),
    "a codec that nobody knows": ("odd.mp4", patched(b"avc1", b"xxxx"), "is unknown or encrypted"),
    "a pipe": ("pipe.mp4", pipe, "is a pipe or a device"),
    "a device": ("a", lambda path: Path("/dev/zero"), "'/dev/zero' is a pipe or a device"),
    "an empty device": ("a", lambda path: Path("/dev/null"), "'/dev/null' is a pipe or a device"),
}


@pytest.mark.parametrize("case", INPUTS)
def test_an_unusable_video(case: str, tmp_path: Path, capsys: Capture) -> None:
    name, make, reason = INPUTS[case]
    (tmp_path / "videos").mkdir()
    path = make(tmp_path / "videos" / name)
    for out in (tmp_path / "new" / "out", tmp_path):
        sentence = refusal(["explain", "--model", BRIGHT, str(path)], out, capsys)
        assert reason in sentence


def test_an_unusable_video_in_json(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("this is not a video")
    assert main(["explain", str(path), "-o", str(tmp_path / "out"), "--model", BRIGHT, "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["results"] == []
    (failed,) = document["failed"]
    assert failed["path"] == str(path)
    assert "cannot be read as video" in failed["reason"]
    assert not (tmp_path / "out").exists()


def test_images_of_different_sizes_are_not_refused(tmp_path: Path, capsys: Capture) -> None:
    """They are scaled, which is said."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for index, side in enumerate((48, 64, 32)):
        Image.fromarray(np.full((side, side, 3), 90, np.uint8)).save(folder / f"{index}.png")
    arguments = ["explain", str(folder), "-o", str(tmp_path / "out"), "--model", BRIGHT, "--outputs", "data"]
    assert main([*arguments, "--fps", "25"]) == 0
    assert "warning: " in capsys.readouterr().err


ARGUMENTS: dict[str, tuple[list[str], str]] = {
    "a model": (["--model", "i3"], "model 'i3' not found; the nearest are 'i3d'; run `vidcam models`"),
    "a module": (["--model", "nowhere:model"], "model 'nowhere:model' cannot be imported"),
    "a relative module": (["--model", "..nets:model"], "model '..nets:model' cannot be imported"),
    "no module": (["--model", ":"], "model ':' cannot be imported"),
    "a factory": (["--model", "tests.helpers.nets:nothing"], "cannot be imported"),
    "what is no model": (["--model", "tests.helpers.nets:BRIGHTNESS_SPEC"], "gives ModelSpec, expected a function"),
    "a method": (["--method", "gradcm++"], "method 'gradcm++' not found; the nearest are 'gradcam++'"),
    "a label": (["--target", "bright thin"], "label 'bright thin' not found; the nearest are 'Bright thing'"),
    "a contrast": (["--contrast", "dark thing"], "label 'dark thing' not found; the nearest are 'dark/thing'"),
    "a layer": (["--layer", "rlu"], "layer 'rlu' not found; the nearest are 'relu'"),
    "an index": (["--target", "2"], "class index 2 is out of range for 'brightness': pass 0 to 1"),
    "a negative index": (["--target=-1"], "class index -1 is out of range"),
    "the index of a contrast": (["--contrast", "400"], "class index 400 is out of range"),
    "an index of many digits": (["--target", "1" * 5000], "label '111"),
    "a device": (["--device", "tpu"], "device 'tpu' is unknown"),
    "a decoder": (["--decoder", "ffmpeg"], "--decoder is 'ffmpeg'; it must be one of auto, pyav, decord"),
    "an output": (["--outputs", "overlay,gif"], "--outputs is overlay,gif; use some of overlay"),
    "no output": (["--outputs", ""], "--outputs is empty; pass some of overlay"),
    "a fill": (["--fill", "white"], "--fill is 'white'; it must be one of black"),
    "no rate": (["--fps", "0"], "fps is 0, expected more than 0"),
    "a rate backwards": (["--fps", "-5"], "fps is -5, expected more than 0"),
    "a rate that is no number": (["--fps", "nan"], "'nan' is no rate"),
    "a rate without end": (["--fps", "inf"], "'inf' is no rate"),
    "a rate over zero": (["--fps", "1/0"], "'1/0' is no rate"),
    "a rate of a billion digits": (["--fps", "1e999999999"], "'1e999999999' is no rate"),
    "a rate next to nothing": (["--fps", "0.000000001"], "fps is 1/1000000000, expected more than 0"),
    "a video's rate": (["--fps", "25"], "fps is for images and arrays; leave it out"),
    "windows that stand still": (["--overlap", "1"], "overlap is 1.0, expected 0 <= overlap < 1"),
    "windows apart": (["--overlap", "-0.5"], "overlap is -0.5, expected 0 <= overlap < 1"),
    "an overlap that is no number": (["--overlap", "nan"], "overlap is nan, expected 0 <= overlap < 1"),
    "no windows at once": (["--batch-size", "0"], "--batch-size is 0; it must be at least 1"),
    "a clip before the video": (["--at", "-1"], "--at is -1 s; it must be 0 or more"),
    "a clip at its end": (["--at", "0.4"], "a window cannot start at 0.4 s"),
    "a clip at no time": (["--at", "nan"], "--at is nan s; it must be 0 or more"),
    "a clip that never comes": (["--at", "inf"], "--at is inf s; it must be 0 or more"),
    "a clip in words": (["--at", "soon"], "'soon' is not a valid float; see vidcam explain --help"),
    "an option": (["--nonsense"], "No such option"),
    "a name with a line break": (["--method", "a\nb"], r"method 'a\nb' not found"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_an_unusable_argument(case: str, video: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments, reason = ARGUMENTS[case]
    assert reason in refusal(["explain", str(video), "--model", BRIGHT, *arguments], tmp_path / "out", capsys)


def test_the_nearest_layer_is_a_whole_name(video: Path, tmp_path: Path, capsys: Capture) -> None:
    sentence = refusal(["explain", str(video), "--model", POOLED, "--layer", "block1.3"], tmp_path / "out", capsys)
    assert "layer 'block1.3' not found; the nearest are 'block1" in sentence


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "video.mp4"], ["explain", "-o"], ["nonsense"]])
def test_an_unusable_command_line(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vidcam: error: ")
    assert line.endswith(" --help")


def test_no_command_at_all_shows_the_help(capsys: Capture) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("Usage: vidcam ")


@pytest.mark.parametrize("below", ["", "out", "deep/out", "a" * 300])
def test_a_destination_under_a_file(below: str, video: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("mine")
    sentence = refusal(["explain", str(video), "--model", BRIGHT], tmp_path / "file" / below, capsys)
    assert "cannot be written (Not a directory); choose another folder with -o" in sentence
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000], ids=["name", "path"])
def test_a_destination_with_a_name_that_is_too_long(name: str, video: Path, tmp_path: Path, capsys: Capture) -> None:
    sentence = refusal(["explain", str(video), "--model", BRIGHT], tmp_path / "deep" / name, capsys)
    assert "cannot be written (File name too long)" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_destination_without_permission(video: Path, tmp_path: Path, capsys: Capture) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    sentence = refusal(["explain", str(video), "--model", BRIGHT], closed / "out", capsys)
    assert "cannot be written (Permission denied)" in sentence


def test_a_destination_that_is_a_device(video: Path, capsys: Capture) -> None:
    sentence = refusal(["explain", str(video), "--model", BRIGHT], Path("/dev/null"), capsys)
    assert "/dev/null" in sentence
    assert Path("/dev/null").is_char_device()


def test_a_cover_beside_a_video_is_no_reason(tmp_path: Path, capsys: Capture) -> None:
    """Two streams, one of which is an attached picture: the video is taken, and nothing is said of the picture."""
    path = tmp_path / "both.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        video = container.add_stream("libx264", rate=25)
        for stream, pixels in ((cover, "yuvj420p"), (video, "yuv420p")):
            stream.width = stream.height = 64
            stream.pix_fmt = pixels
        cover.disposition = av.stream.Disposition.attached_pic
        frames = greys(12, 64, 64)
        for stream, part in ((cover, frames[:1]), (video, frames)):
            for index, frame in enumerate(part):
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    arguments = ["explain", str(path), "-o", str(tmp_path / "out"), "--model", BRIGHT, "--outputs", "data", "--json"]
    assert main(arguments) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["source"]["frames"] == 12
    assert result["source"]["warnings"] == []


def test_a_truncated_video_without_its_index(tmp_path: Path, capsys: Capture) -> None:
    """The index of an MP4 comes last; without it nothing can be read."""
    path = write_video(tmp_path / "cut.mp4", greys(20))
    path.write_bytes(path.read_bytes()[:1500])
    sentence = refusal(["explain", str(path), "--model", BRIGHT], tmp_path / "out", capsys)
    assert "cannot be read as video" in sentence
