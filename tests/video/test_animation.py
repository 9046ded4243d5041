"""GIF and WebP: times, colours, single frames and long frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.helpers.videos import Frames, flat_frames, noise_frames
from vidcam.errors import EncodeError
from vidcam.video.animation import AnimationWriter, frame_durations


def write_and_read(path: Path, frames: Frames, seconds: Sequence[float], end: float) -> list[tuple[Frames, int]]:
    """Write frames, and return the frames of the file with their milliseconds."""
    size = (frames.shape[1], frames.shape[2])
    with AnimationWriter(path, size=size, count=len(frames), duration_seconds=end) as writer:
        for frame, second in zip(frames, seconds, strict=True):
            writer.write(frame, second)
    with Image.open(path) as animation:
        return [
            (np.asarray(page.convert("RGB")), page.info.get("duration", 0))
            for page in ImageSequence.Iterator(animation)
        ]


def test_a_single_frame(tmp_path: Path) -> None:
    ((picture, milliseconds),) = write_and_read(tmp_path / "a.gif", flat_frames([90]), [0.0], 0.04)
    assert abs(int(picture[0, 0, 0]) - 90) <= 2
    assert milliseconds == 40
    assert len(write_and_read(tmp_path / "a.webp", flat_frames([90]), [0.0], 0.04)) == 1


def test_equal_neighbouring_frames_are_merged(tmp_path: Path) -> None:
    pages = write_and_read(tmp_path / "a.gif", flat_frames([90, 90, 20, 20, 20]), [0.0, 0.1, 0.2, 0.3, 0.4], 0.5)
    assert [milliseconds for _, milliseconds in pages] == [200, 300]
    assert len(write_and_read(tmp_path / "b.gif", flat_frames([90, 90]), [0.0, 0.1], 0.3)) == 1


@pytest.mark.parametrize("greys", [[20, 90], [20, 20, 90]])
def test_a_frame_longer_than_a_gif_allows_is_an_error(greys: list[int], tmp_path: Path) -> None:
    seconds = [0.0, 400.0, 800.0][-len(greys) :]
    with pytest.raises(EncodeError, match=r"failed \(a GIF cannot show one frame for more than 655\.35 s\)"):
        write_and_read(tmp_path / "a.gif", flat_frames(greys), seconds, seconds[-1] + 700)
    assert list(tmp_path.iterdir()) == []


def test_a_gif_of_more_than_256_colours_is_close_to_its_frames(tmp_path: Path) -> None:
    """Smooth colour ramps: the mean error is below that of a fixed palette."""
    ramps = np.stack(np.broadcast_arrays(*np.ogrid[0:200:100j, 40:240:120j, 128:129:1j]), axis=-1)[:, :, 0]
    frames = np.stack([ramps, ramps[::-1]]).astype(np.uint8)
    for frame, (picture, _) in zip(frames, write_and_read(tmp_path / "a.gif", frames, [0.0, 0.1], 0.2), strict=True):
        assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 200
        assert np.abs(picture.astype(int) - frame).mean() < 4


def test_few_colours_change_by_at_most_two_levels(tmp_path: Path) -> None:
    frames = noise_frames(2, 12, 12)
    for frame, (picture, _) in zip(frames, write_and_read(tmp_path / "a.gif", frames, [0.0, 0.1], 0.2), strict=True):
        assert np.abs(picture.astype(int) - frame).max() <= 2


def test_durations_do_not_drift() -> None:
    seconds = (np.arange(300) / 29.97).tolist()
    milliseconds = frame_durations(seconds, 300 / 29.97, 0.01)
    assert set(milliseconds) == {30, 40}
    assert sum(milliseconds) == 10010
    assert frame_durations([0.0, 0.001], 0.1, 0.01) == [10, 100]


def test_each_colour_of_a_gif_is_the_mean_of_its_pixels(tmp_path: Path) -> None:
    """Few colours are exact, and each of many colours is the mean of the pixels that it stands for."""
    few = np.random.default_rng(0).integers(0, 256, (60, 3), dtype=np.uint8)
    frame = few[np.arange(40 * 60).reshape(40, 60) % 60]
    ((picture, _),) = write_and_read(tmp_path / "few.gif", frame[None], [0.0], 0.1)
    np.testing.assert_array_equal(picture, frame)
    many = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    ((picture, _),) = write_and_read(tmp_path / "many.gif", many[None], [0.0], 0.1)
    for colour in np.unique(picture.reshape(-1, 3), axis=0):
        pixels = many[(picture == colour).all(axis=-1)]
        np.testing.assert_allclose(pixels.mean(axis=0), colour, atol=0.51)


def test_webp_quality_changes_the_file_size(tmp_path: Path) -> None:
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
def test_animations_loop(name: str, tmp_path: Path) -> None:
    write_and_read(tmp_path / name, noise_frames(3), [0.0, 0.1, 0.2], 0.3)
    with Image.open(tmp_path / name) as animation:
        assert animation.info["loop"] == 0
