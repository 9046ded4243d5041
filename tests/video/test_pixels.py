"""Colours, compared with the equations of the standards; orientation, compared with np.rot90."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from tests.helpers.videos import noise_frames, patch_matrix, rotate, smooth_colours, write_video
from vidcam.video import open_video
from vidcam.video.pixels import Orientation, RgbConverter, YuvConverter, read_orientation, resized_canvas

BARS = np.array([[255, 255, 255], [255, 255, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [255, 0, 0], [0, 0, 255]])
GREYS = np.arange(0, 256, 5)[:, None].repeat(3, axis=1)
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def yuv_of(colour: NDArray[np.int64], *, matrix: int, is_full: bool) -> tuple[int, int, int]:
    """Compute Y', Cb, Cr from the definition (ITU-R BT.601, BT.709, BT.2020)."""
    red, _, blue = weighted = colour / 255
    weight_red, weight_blue = WEIGHTS[matrix]
    luma = float(np.dot(weighted, [weight_red, 1 - weight_red - weight_blue, weight_blue]))
    chroma = [(blue - luma) / (2 - 2 * weight_blue), (red - luma) / (2 - 2 * weight_red)]
    if is_full:
        return (round(255 * luma), *(round(min(255, 128 + 255 * part)) for part in chroma))
    return (round(16 + 219 * luma), *(round(128 + 224 * part) for part in chroma))


def flat_frame(yuv: tuple[int, int, int], height: int, *, matrix: int, colour_range: int) -> VideoFrame:
    planes = [np.full(height * 16, yuv[0]), np.full(height * 4, yuv[1]), np.full(height * 4, yuv[2])]
    packed = np.concatenate(planes).astype(np.uint8).reshape(height * 3 // 2, 16)
    frame = VideoFrame.from_ndarray(packed, format="yuv420p")
    frame.colorspace, frame.color_range = matrix, colour_range
    return frame


def rgb_of(frame: VideoFrame) -> NDArray[np.int64]:
    decode = RgbConverter(size=(frame.height, frame.width), orientation=Orientation())
    return np.asarray(decode(frame)[frame.height // 2, 8], np.int64)


@pytest.mark.parametrize("colours", [BARS, GREYS], ids=["bars", "greys"])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_tagged_colours(colours: NDArray[np.int64], matrix: int, colour_range: int) -> None:
    for colour in colours:
        yuv = yuv_of(colour, matrix=matrix, is_full=colour_range == 2)
        rgb = rgb_of(flat_frame(yuv, 32, matrix=matrix, colour_range=colour_range))
        np.testing.assert_allclose(rgb, colour, atol=2)


@pytest.mark.parametrize(("height", "matrix"), [(718, 6), (720, 1)])
def test_untagged_colours_depend_on_the_height(height: int, matrix: int) -> None:
    for colour in BARS:
        yuv = yuv_of(colour, matrix=matrix, is_full=False)
        np.testing.assert_allclose(rgb_of(flat_frame(yuv, height, matrix=2, colour_range=0)), colour, atol=2)


@pytest.mark.parametrize("size", [(32, 48), (31, 48), (32, 47), (17, 19)])
def test_writing_and_reading_agree(size: tuple[int, int]) -> None:
    for colour in np.concatenate([BARS, GREYS]):
        frame = YuvConverter(size)(np.full((*size, 3), colour, np.uint8))
        assert (frame.colorspace, frame.color_range, frame.format.name) == (1, 1, "yuv420p")
        assert (frame.height, frame.width) == size
        rgb = RgbConverter(size=size, orientation=Orientation())(frame)
        assert np.abs(rgb.astype(int) - colour).max() <= 2


def test_odd_size_repeats_the_last_row_and_column() -> None:
    frame = np.zeros((3, 5, 3), np.uint8)
    frame[-1], frame[:, -1] = 255, 255
    luma = YuvConverter((4, 6))(frame).reformat(format="gray").to_ndarray()
    np.testing.assert_array_equal(luma[3], luma[2])
    np.testing.assert_array_equal(luma[:, 5], luma[:, 4])


def chroma_wave(size: tuple[int, int]) -> VideoFrame:
    """A 4:2:0 frame by the definition: each chroma sample is taken in the middle of its two by two pixels."""
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    y, cb, cr = ycbcr_709(smooth_colours(*even))
    four = [plane.reshape(even[0] // 2, 2, even[1] // 2, 2).mean(axis=(1, 3)) for plane in (cb, cr)]
    return planar(size, y[: size[0], : size[1]], *four)


def planar(size: tuple[int, int], *planes: NDArray[np.float64]) -> VideoFrame:
    frame = VideoFrame(size[1], size[0], "yuv420p")
    for plane, values in zip(frame.planes, planes, strict=True):
        stored = np.zeros((plane.height, plane.line_size), np.uint8)
        stored[:, : plane.width] = np.round(values)
        plane.update(stored.tobytes())
    frame.colorspace, frame.color_range = 1, 1
    return frame


def ycbcr_709(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0) / 255
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return np.stack([16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748])


@pytest.mark.parametrize("size", [(80, 120), (80, 121), (81, 120), (81, 121), (17, 33), (359, 641)])
def test_chroma_of_an_odd_size_is_not_stretched(size: tuple[int, int]) -> None:
    """swscale maps 61 chroma samples to 121 pixels: at the right edge the colour is a pixel off."""
    rgb = RgbConverter(size=size, orientation=Orientation())(chroma_wave(size)).astype(int)
    assert np.abs(rgb - smooth_colours(*size)).max() <= 3


@pytest.mark.parametrize("size", [(81, 121), (17, 33)])
def test_chroma_of_an_odd_size_is_written_where_it_is_read(size: tuple[int, int]) -> None:
    written = YuvConverter(size)(smooth_colours(*size))
    for plane, expected in zip(written.planes, chroma_wave(size).planes, strict=True):
        values, truth = (
            np.frombuffer(bytes(part), np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(int)
            for part in (plane, expected)
        )
        assert np.abs(values - truth).max() <= 1


def test_a_chroma_sample_is_the_mean_of_its_four_pixels() -> None:
    """Of noise, where a wider filter would be off by tens of steps."""
    rgb = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    red, green, blue = np.moveaxis(rgb / 255.0, -1, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # BT.709
    expected = [16 + 219 * luma]
    for colour, weight in ((blue, 0.0722), (red, 0.2126)):
        difference = (colour - luma) / (2 - 2 * weight)
        expected.append(128 + 224 * difference.reshape(24, 2, 32, 2).mean(axis=(1, 3)))
    for plane, values in zip(YuvConverter((48, 64))(rgb).planes, expected, strict=True):
        stored = np.frombuffer(cast("Any", plane), np.uint8).reshape(-1, plane.line_size)[:, : values.shape[1]]
        np.testing.assert_allclose(stored, values, atol=0.55)


def test_chroma_on_the_left_is_read_on_the_left_at_an_odd_size(tmp_path: Path) -> None:
    """The decoder of MPEG-4 says that chroma samples lie on the left pixel of two. PyAV has no name for that tag."""
    size, path = (81, 121), tmp_path / "a.avi"
    blue = 128 + 74 * np.sin(np.arange(122) / 7.6)
    rgb = np.stack([np.full(122, 128), 128 - 0.1 * (blue - 128), blue], axis=-1).round().astype(np.uint8)[None]
    y, cb, cr = ycbcr_709(rgb.repeat(82, axis=0))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qmin": "1", "qmax": "1"})
        stream.height, stream.width = size
        stream.codec_context.colorspace = 1
        frame = planar(size, y[:81, :121], cb[::2, ::2], cr[::2, ::2])
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
        decoded.colorspace = 1
        read = RgbConverter(size=size, orientation=Orientation())(decoded).astype(int)
    assert np.abs(read - rgb[:, :121])[1:-1, 1:-1].max() <= 4  # half a pixel is 5 levels, and the codec loses 2


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuva420p", "yuv422p", "yuv410p", "nv12", "yuyv422"])
def test_odd_sizes_in_other_pixel_formats(pixel_format: str) -> None:
    colour = np.array([40, 200, 60])
    frame = VideoFrame.from_ndarray(np.full((64, 64, 3), colour, np.uint8), format="rgb24")
    even = frame.reformat(format=pixel_format, dst_colorspace="ITU601")  # swscale reads past short lines
    stored = resized_canvas(even, 17, 19)
    rgb = RgbConverter(size=(17, 19), orientation=Orientation())(stored)
    assert rgb.shape == (17, 19, 3)
    assert np.abs(rgb.astype(int) - colour).max() <= 2


def test_an_odd_size_with_wide_pixels_is_scaled_after_its_colours_are_right() -> None:
    size = (81, 121)
    rgb = RgbConverter(size=(81, 242), orientation=Orientation())(chroma_wave(size)).astype(int)
    expected = smooth_colours(*size).repeat(2, axis=1).astype(int)
    assert np.abs(rgb - expected).max() <= 5  # a repeated pixel is up to 2 levels off


def test_rgb_source_is_copied() -> None:
    """A frame that needs no conversion is copied, because the decoder may reuse its memory."""
    stored = VideoFrame.from_ndarray(noise_frames(1, 16, 64)[0], format="rgb24")
    decode = RgbConverter(size=(16, 64), orientation=Orientation())
    first = decode(stored)
    first[:] = 0
    assert decode(stored).any()


def test_frame_of_another_size_is_scaled() -> None:
    decode = RgbConverter(size=(16, 64), orientation=Orientation())
    assert decode(VideoFrame.from_ndarray(noise_frames(1, 20, 30)[0], format="rgb24")).shape == (16, 64, 3)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation(tmp_path: Path, degrees: int) -> None:
    frames = noise_frames(3)
    with open_video(rotate(write_video(tmp_path / "a.mp4", frames), degrees)) as reader:
        assert reader.info.rotation_degrees == degrees
        expected = np.rot90(frames, degrees // 90, axes=(1, 2))  # counter-clockwise
        assert reader.info.size == expected.shape[1:3]
        for (_, frame), expected_frame in zip(reader.frames(), expected, strict=True):
            np.testing.assert_array_equal(frame, expected_frame)
            assert frame.flags.c_contiguous


def test_portrait_of_a_phone(tmp_path: Path) -> None:
    """A phone held upright stores a landscape frame; its left edge is the displayed top."""
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    frames[:, -1, 0] = 255  # stored bottom left
    with open_video(patch_matrix(write_video(tmp_path / "a.mp4", frames), (0, 1, -1, 0))) as reader:
        _, frame = next(iter(reader.frames()))
    assert frame.shape == (32, 24, 3)
    assert frame[0, 0].tolist() == [255, 255, 255]  # displayed top left
    assert frame.sum() == 3 * 255


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((-1, 0, 0, 1), np.s_[:, ::-1]),
        ((1, 0, 0, -1), np.s_[::-1]),
    ],
)
def test_reflection(tmp_path: Path, matrix: tuple[int, int, int, int], expected: tuple[slice, ...]) -> None:
    frames = noise_frames(2)
    with open_video(patch_matrix(write_video(tmp_path / "a.mp4", frames), matrix)) as reader:
        np.testing.assert_array_equal(next(iter(reader.frames()))[1], frames[0][expected])


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, number: int) -> None:
    """PyAV raises an error for the EXIF side data next to the display matrix."""
    exif, path = Image.Exif(), tmp_path / f"photo{suffix}"
    exif[ExifTags.Base.Orientation] = number
    pixels = np.kron(np.random.default_rng(3).integers(0, 256, (3, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    Image.fromarray(pixels).save(path, exif=exif, quality=100, subsampling=0)
    with open_video(path) as reader:
        _, frame = next(iter(reader.frames()))
        assert reader.info.rotation_degrees % 180 == (90 if number >= 5 else 0)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert reader.info.size == expected.shape[:2] == frame.shape[:2]
    np.testing.assert_allclose(frame.astype(int), expected, atol=2)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_kept_with_side_data_unknown_to_pyav(tmp_path: Path, degrees: int) -> None:
    class Frame:
        """A frame of a stereoscopic video, as PyAV returns it."""

        rotation = (degrees + 180) % 360 - 180

        @property
        def side_data(self) -> object:
            raise ValueError("29 is not a valid Type")

    pixels = noise_frames(1)[0]
    orientation = read_orientation(cast("VideoFrame", Frame()), str(tmp_path / "video.mp4"))
    np.testing.assert_array_equal(orientation.apply(pixels), np.rot90(pixels, degrees // 90))
    assert orientation.rotation_degrees == degrees
