"""GIF and WebP: times, colours, and what a single picture or a long one does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.helpers.videos import Frames, flat_frames, noise_frames
from vidcam.errors import EncodeError
from vidcam.video.animation import AnimationWriter, durations


def written(path: Path, frames: Frames, seconds: Sequence[float], end: float) -> list[tuple[Frames, int]]:
    """Write frames at seconds; the pictures of the file and their milliseconds."""
    size = (frames.shape[1], frames.shape[2])
    with AnimationWriter(path, size=size, count=len(frames), duration_seconds=end) as writer:
        for frame, second in zip(frames, seconds, strict=True):
            writer.write(frame, second)
    with Image.open(path) as animation:
        return [
            (np.asarray(page.convert("RGB")), page.info.get("duration", 0))
            for page in ImageSequence.Iterator(animation)
        ]


def test_a_single_picture(tmp_path: Path) -> None:
    ((picture, milliseconds),) = written(tmp_path / "a.gif", flat_frames([90]), [0.0], 0.04)
    assert abs(int(picture[0, 0, 0]) - 90) <= 2
    assert milliseconds == 40
    assert len(written(tmp_path / "a.webp", flat_frames([90]), [0.0], 0.04)) == 1


def test_pictures_that_are_the_same_are_one(tmp_path: Path) -> None:
    pages = written(tmp_path / "a.gif", flat_frames([90, 90, 20, 20, 20]), [0.0, 0.1, 0.2, 0.3, 0.4], 0.5)
    assert [milliseconds for _, milliseconds in pages] == [200, 300]
    assert len(written(tmp_path / "b.gif", flat_frames([90, 90]), [0.0, 0.1], 0.3)) == 1


@pytest.mark.parametrize("greys", [[20, 90], [20, 20, 90]])
def test_a_picture_that_stays_for_longer_than_a_gif_can_say(greys: list[int], tmp_path: Path) -> None:
    seconds = [0.0, 400.0, 800.0][-len(greys) :]
    with pytest.raises(EncodeError, match=r"failed \(one picture stays for longer than 655\.35 s, which no GIF can\)"):
        written(tmp_path / "a.gif", flat_frames(greys), seconds, seconds[-1] + 700)
    assert list(tmp_path.iterdir()) == []


def test_a_gif_is_near_its_frames(tmp_path: Path) -> None:
    """Smooth footage, which has more colours than 256: better than one even step of the three channels."""
    ramps = np.stack(np.broadcast_arrays(*np.ogrid[0:200:100j, 40:240:120j, 128:129:1j]), axis=-1)[:, :, 0]
    frames = np.stack([ramps, ramps[::-1]]).astype(np.uint8)
    for frame, (picture, _) in zip(frames, written(tmp_path / "a.gif", frames, [0.0, 0.1], 0.2), strict=True):
        assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 200
        assert np.abs(picture.astype(int) - frame).mean() < 4


def test_few_colours_are_kept_to_two_of_255(tmp_path: Path) -> None:
    frames = noise_frames(2, 12, 12)
    for frame, (picture, _) in zip(frames, written(tmp_path / "a.gif", frames, [0.0, 0.1], 0.2), strict=True):
        assert np.abs(picture.astype(int) - frame).max() <= 2


def test_durations_do_not_drift() -> None:
    seconds = (np.arange(300) / 29.97).tolist()
    found = durations(seconds, 300 / 29.97, 0.01)
    assert set(found) == {30, 40}
    assert sum(found) == 10010
    assert durations([0.0, 0.001], 0.1, 0.01) == [10, 100]


def test_each_colour_of_a_gif_is_the_mean_of_its_pixels(tmp_path: Path) -> None:
    """Few colours come back exactly, and of many none is further off than it need be."""
    few = np.random.default_rng(0).integers(0, 256, (60, 3), dtype=np.uint8)
    frame = few[np.arange(40 * 60).reshape(40, 60) % 60]
    ((picture, _),) = written(tmp_path / "few.gif", frame[None], [0.0], 0.1)
    np.testing.assert_array_equal(picture, frame)
    many = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    ((picture, _),) = written(tmp_path / "many.gif", many[None], [0.0], 0.1)
    for colour in np.unique(picture.reshape(-1, 3), axis=0):
        own = many[(picture == colour).all(axis=-1)]
        np.testing.assert_allclose(own.mean(axis=0), colour, atol=0.51)


def test_the_quality_of_webp_is_heeded(tmp_path: Path) -> None:
    frames, sizes = noise_frames(2, 64, 64), []
    for quality in (10, 60, 95):
        path = tmp_path / f"{quality}.webp"
        with AnimationWriter(path, size=(64, 64), count=2, duration_seconds=0.2, quality=quality) as writer:
            for number, frame in enumerate(frames):
                writer.write(frame, number / 10)
        sizes.append(path.stat().st_size)
    assert sizes[0] < 0.7 * sizes[1]
    assert sizes[1] < 0.7 * sizes[2]


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_it_is_played_again_and_again(name: str, tmp_path: Path) -> None:
    written(tmp_path / name, noise_frames(3), [0.0, 0.1, 0.2], 0.3)
    with Image.open(tmp_path / name) as animation:
        assert animation.info["loop"] == 0
