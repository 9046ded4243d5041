"""A folder of images: order, times, odd images."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.clips import frames_of
from tests.helpers.odd import images, level
from tests.helpers.videos import noise_frames
from vidcam.errors import MediaError
from vidcam.video import open_video, probe
from vidcam.video.images import image_files


def test_natural_order_and_times(tmp_path: Path) -> None:
    with open_video(images(tmp_path / "a"), fps=Fraction(10)) as reader:
        pairs = [(second, float(frame.mean())) for second, frame in reader.frames()]
        assert reader.info.decoder == "images"
        assert (reader.info.fps, reader.info.duration_seconds, reader.notes) == (Fraction(10), 5.0, ())
        chosen, _ = frames_of(reader, np.array([4.95, 0.0, 1.25]))
    np.testing.assert_allclose(pairs, [(index / 10, level(index)) for index in range(50)], atol=1e-9)
    assert chosen.mean(axis=(1, 2, 3)).tolist() == [level(49), level(0), level(12)]


def test_the_default_rate_is_said(tmp_path: Path) -> None:
    info = probe(images(tmp_path / "a", count=3))
    assert info.fps == Fraction(25)
    assert info.notes == ("no frame rate was given: 3 images shown at 25 fps",)
    assert [path.name for path in info.files] == ["frame1.png", "frame2.png", "frame3.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".PNG", ".webp", ".tiff", ".bmp", ".ppm"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    with open_video(images(tmp_path / "a", suffix=suffix, count=3)) as reader:
        found = [float(frame.mean()) for _, frame in reader.frames()]
    np.testing.assert_allclose(found, [level(index) for index in range(3)], atol=2)


def test_odd_pictures(tmp_path: Path) -> None:
    (frame,) = noise_frames(1, 8, 12)
    turned = Image.Exif()
    turned[0x0112] = 8  # to be turned by 90° counter-clockwise
    Image.fromarray(frame).save(tmp_path / "0.png")
    Image.fromarray(np.rot90(frame, -1).copy()).save(tmp_path / "1.png", exif=turned)
    Image.fromarray(np.dstack([frame, np.full((8, 12), 51, np.uint8)])).save(tmp_path / "2.png")
    Image.fromarray((frame[..., 0].astype(np.uint16)) * 257).save(tmp_path / "3.png")
    Image.fromarray(frame[..., 0]).save(tmp_path / "4.png")
    with open_video(tmp_path) as reader:
        plain, upright, faint, deep, grey = (found for _, found in reader.frames())
    np.testing.assert_array_equal(plain, frame)
    np.testing.assert_array_equal(upright, frame)
    np.testing.assert_allclose(faint, frame * 0.2, atol=0.5)
    np.testing.assert_array_equal(deep, np.repeat(frame[..., :1], 3, axis=2))
    np.testing.assert_array_equal(grey, deep)


def test_damaged_and_resized_images_are_said(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", count=6)
    (folder / "frame1.png").write_bytes(b"no picture")
    content = (folder / "frame4.png").read_bytes()
    (folder / "frame4.png").write_bytes(content[: len(content) // 2])
    Image.new("RGB", (20, 10), (9, 9, 9)).save(folder / "frame6.png")
    with open_video(folder, fps=Fraction(1)) as reader:
        found = [float(frame.mean()) for _, frame in reader.frames()]
        assert {frame.shape for _, frame in reader.frames()} == {(48, 64, 3)}
        assert reader.readable_seconds == ((1.0, 3.0), (4.0, 6.0))
        assert reader.notes == (
            "0.000–1.000 s, 3.000–4.000 s cannot be decoded; the last readable picture is shown instead",
            "the frame size changes to 20×10; all frames are scaled to the first one's size",
        )
    assert found == [level(1), level(1), level(2), level(2), level(4), 9]


def test_folders_that_are_no_video(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    with pytest.raises(MediaError, match=r"is a folder without images; expected \.png, .*pass a video file"):
        probe(tmp_path)
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(MediaError, match=r"none of the 1 images in .* can be read"):
        probe(tmp_path)


def test_images_that_vanish_and_a_closed_reader(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", count=2)
    with open_video(folder) as reader:
        for path in folder.iterdir():
            path.unlink()
        with pytest.raises(MediaError, match=r"no image of .* can be read any more"):
            next(reader.frames())
    with pytest.raises(MediaError, match="is closed"):
        next(reader.frames())


def test_natural_order(tmp_path: Path) -> None:
    names = ["b1", "a10", "A9", "a2", "2", "10", "x", "a02", "A2"]
    for name in names:
        (tmp_path / f"{name}.png").touch()
    found = [path.stem for path in image_files(tmp_path)]
    assert found == ["2", "10", "A2", "a02", "a2", "A9", "a10", "b1", "x"]  # of equals, the name itself decides


def test_sixteen_bits_of_grey_are_shared_out_evenly(tmp_path: Path) -> None:
    """257 of 65535 to each of 255."""
    grey = np.array([[0, 256, 257, 32768, 65279, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "1.png")
    with open_video(tmp_path, fps=Fraction(1)) as reader:
        ((_, frame),) = reader.frames()
    assert frame[0, :, 0].tolist() == [0, 0, 1, 127, 254, 255]
