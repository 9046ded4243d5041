"""Patterns of numbered images and lists of images' paths."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.odd import h264, images
from tests.helpers.videos import noise_frames
from vidcam.errors import MediaError
from vidcam.media import Frames
from vidcam.system.fingerprint import sha256
from vidcam.video import open_video
from vidcam.video.content import content_sha256
from vidcam.video.numbered import belongs, has_images, is_pattern
from vidcam.video.source import source_stem

FRAMES = noise_frames(12)


def numbered(folder: Path, name: str, numbers: range | list[int]) -> Path:
    """An image for each number; that of number n is FRAMES[n]."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.fromarray(FRAMES[number]).save(folder / (name % number))
    return folder


def shown(source: object) -> Frames:
    with open_video(source, fps=Fraction(10)) as reader:  # type: ignore[arg-type]
        pairs = list(reader.frames())
    np.testing.assert_allclose([second for second, _ in pairs], np.arange(len(pairs)) / 10, atol=1e-12)
    return np.stack([frame for _, frame in pairs])


@pytest.mark.parametrize("name", ["img_%05d.png", "%d.png", "%03d.png", "100%%_%02d_x.bmp", "a.%04d.PNG"])
def test_a_pattern_is_in_the_order_of_its_numbers(name: str, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "shots", name, range(12))
    (folder / "other.png").write_bytes(b"no image")
    np.testing.assert_array_equal(shown(folder / name), FRAMES)
    with open_video(str(folder / name)) as reader:
        assert (reader.info.path, reader.info.is_local, reader.info.has_name) == (str(folder / name), True, True)
        assert reader.notes == ("no frame rate was given: 12 images shown at 25 fps",)


@pytest.mark.parametrize(
    ("numbers", "note"),
    [
        ([3, 4, 5], None),
        ([0, 2], "number 1 is missing; "),
        ([1, 4, 5, 7], "numbers 2–3, 6 are missing; "),
        ([0, 2, 4, 6, 8, 10], "numbers 1, 3, 5, 7 and 1 more are missing; "),
    ],
)
def test_holes_are_said(numbers: list[int], note: str | None, tmp_path: Path) -> None:
    pattern = numbered(tmp_path / "shots", "%02d.png", numbers) / "%02d.png"
    np.testing.assert_array_equal(shown(pattern), FRAMES[numbers])
    with open_video(pattern, fps=Fraction(25)) as reader:
        expected = () if note is None else (f"{note}the images around a hole follow each other directly",)
        assert reader.notes == expected


def test_more_digits_than_stated_are_read_and_fewer_are_not(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "shots", "%d.png", [1, 9, 10, 11])
    (folder / "007.png").write_bytes(b"another numbering")
    with open_video(folder / "%02d.png") as reader:
        assert [path.name for path in reader.info.files] == ["10.png", "11.png"]
    with open_video(folder / "%d.png") as reader:
        assert [path.name for path in reader.info.files] == ["1.png", "9.png", "10.png", "11.png"]


def test_patterns_that_lead_nowhere(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "shots", "img_%04d.png", range(2))
    for name, sentence in {
        "img_%03d.png": r"no file matches .*img_%03d\.png'; the folder has 'img_0000\.png': use 'img_%04d\.png'",
        "frame_%04d.png": r"no file matches .*frame_%04d\.png'; check the folder and the name",
        "clip_%d.mp4": r"clip_%d\.mp4' is not a pattern of images; end it in \.png",
        "%d_%d.png": "has 2 numbers in its name; expected one",
    }.items():
        with pytest.raises(MediaError, match=sentence):
            open_video(folder / name)
    with pytest.raises(MediaError, match=r"the folder of .* cannot be listed \(No such file"):
        open_video(tmp_path / "nowhere" / "%d.png")


def test_a_file_that_is_called_like_a_pattern(tmp_path: Path) -> None:
    with open_video(h264(tmp_path / "video%d.mp4")) as reader:
        assert reader.info.decoder == "pyav"


def test_what_a_pattern_is(tmp_path: Path) -> None:
    pattern = str(numbered(tmp_path / "shots", "%d.png", [1]) / "%d.png")
    assert is_pattern(pattern)
    assert has_images(pattern)
    assert not has_images(str(tmp_path / "%d.png"))
    assert not has_images(str(tmp_path))
    others = ["a.png", "a%.png", "a%%d.png", "%d/a.png", "\0%d.png", "a%s.png", "%999999999d.png", "%-5d.png"]
    assert not any(map(is_pattern, others))
    assert belongs("x/%02d.png", "07.png")
    assert not belongs("x/%02d.png", "7.png")


@pytest.mark.parametrize(
    ("pattern", "stem"),
    [("a/shot7/img_%05d.png", "shot7"), ("img_%05d.png", "img"), ("%d.png", "video"), ("/tmp/a.b/%d.png", "a.b")],
)
def test_results_of_a_pattern_are_called_like_its_folder(pattern: str, stem: str) -> None:
    assert source_stem(pattern) == stem


def test_a_list_is_in_its_own_order(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "shots", "%d.png", range(12))
    order = [5, 3, 3, 11, 0]
    paths = [folder / f"{number}.png" for number in order]
    np.testing.assert_array_equal(shown(paths), FRAMES[order])
    np.testing.assert_array_equal(shown(tuple(map(str, paths))), FRAMES[order])
    with open_video(paths) as reader:
        info = reader.info
        assert (info.path, info.is_local, info.has_name) == ("list of 5 images, 24 × 32", False, False)
        assert (info.decoder, info.codec, info.files) == ("images", "png", tuple(paths))
        assert content_sha256(info) == sha256(paths)
        assert reader.notes == ("no frame rate was given: 5 images shown at 25 fps",)


def test_one_image_in_a_list(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "shots", "%d.png", [0])
    with open_video([folder / "0.png"]) as reader:
        assert reader.info.path == "list of 1 image, 24 × 32"


def test_lists_that_are_no_video(tmp_path: Path) -> None:
    folder, video = numbered(tmp_path / "shots", "%d.png", range(2)), h264(tmp_path / "a.mp4")
    for paths, sentence in (
        ([video, video], "a list of videos or folders; explain_video takes one video: call it for each"),
        ([folder, folder], "a list of videos or folders"),
        ([video], r"a list of one path, .*a\.mp4', which is not an image; pass the path itself"),
        ([folder / "0.png", video], r"a\.mp4' in the list is not an image; expected \.png"),
        ([folder / "0.png", "none.png"], r"'none\.png' in the list does not exist"),
    ):
        with pytest.raises(MediaError, match=sentence):
            open_video(paths)  # type: ignore[arg-type]


def test_a_damaged_image_in_a_list_is_said(tmp_path: Path) -> None:
    folder = images(tmp_path / "shots", count=3)
    (folder / "frame2.png").write_bytes(b"no image")
    with open_video([folder / f"frame{number}.png" for number in (1, 2, 3)], fps=Fraction(1)) as reader:
        assert len(list(reader.frames())) == 3
        assert reader.notes == ("1.000–2.000 s cannot be decoded; the last readable picture is shown instead",)
