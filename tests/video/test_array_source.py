"""Arrays, tensors and lists of frames are read like a video that holds the same frames."""

from __future__ import annotations

import ast
import re
import tracemalloc
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.clips import frames_of
from tests.helpers.videos import noise_frames
from vidcam.errors import InputError, MediaError, ShapeError
from vidcam.media import Frames
from vidcam.video import open_video
from vidcam.video.content import content_sha256, sampled_content_sha256

FRAMES = noise_frames(5, 24, 32)
GREY = FRAMES[..., 0]


def read(source: Any, **options: Any) -> tuple[Frames, list[float]]:
    with open_video(source, **options) as reader:
        stamps, frames = zip(*((second, frame) for second, frame in reader.frames()), strict=True)
    return np.stack(frames), list(stamps)


SAME: dict[str, Any] = {
    "array": FRAMES,
    "negative strides": np.ascontiguousarray(FRAMES[..., ::-1])[..., ::-1],
    "float32": FRAMES.astype(np.float32) / 255,
    "float64": FRAMES / 255,
    "float16": (FRAMES / 255).astype(np.float16),
    "rounded floats": FRAMES * (1.0001 / 255),
    "tensor": torch.from_numpy(FRAMES),
    "tensor of floats": torch.from_numpy(FRAMES).float() / 255,
    "tensor with a gradient": (torch.from_numpy(FRAMES).float() / 255).requires_grad_(),
    "permuted tensor": torch.from_numpy(FRAMES).permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
    "list": list(FRAMES),
    "tuple": tuple(FRAMES),
    "deque": deque(FRAMES),
    "list of tensors": list(torch.from_numpy(FRAMES)),
    "mixed list": [FRAMES[0], *(FRAMES[1:3] / 255), *torch.from_numpy(FRAMES[3:])],
    "images": [Image.fromarray(frame) for frame in FRAMES],
}


@pytest.mark.parametrize("name", SAME)
def test_frames_and_times_are_exact(name: str) -> None:
    frames, stamps = read(SAME[name], fps=Fraction(10))
    np.testing.assert_array_equal(frames, FRAMES)
    assert stamps == [0.0, 0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    "source",
    [GREY, GREY[..., None], GREY / 255, torch.from_numpy(GREY), list(GREY), [Image.fromarray(f) for f in GREY]],
    ids=["array", "one channel", "floats", "tensor", "list", "images"],
)
def test_grey_frames(source: Any) -> None:
    frames, _ = read(source)
    np.testing.assert_array_equal(frames, np.repeat(GREY[..., None], 3, axis=3))
    with open_video(source) as reader:
        assert re.fullmatch(r"(array|list) of 5 grey frames, 24 × 32", reader.info.path)


def test_bfloat16_keeps_eight_bits() -> None:
    frames, _ = read((torch.from_numpy(FRAMES).float() / 255).bfloat16())
    np.testing.assert_allclose(frames.astype(int), FRAMES, atol=1)


def test_what_probing_says() -> None:
    with open_video(FRAMES) as reader:
        info = reader.info
        assert (info.path, info.size, info.fps, info.duration_seconds) == (
            "array of 5 frames, 24 × 32",
            (24, 32),
            Fraction(25),
            0.2,
        )
        assert (info.decoder, info.codec, info.pixel_format, info.files) == ("array", "rawvideo", "uint8", ())
        assert (info.is_local, info.has_name, info.has_audio) == (False, False, False)
        assert reader.notes == ("no frame rate was given: 5 frames shown at 25 fps",)
        chosen, stamps = frames_of(reader, np.array([0.19, 0.0, 0.05]))
    np.testing.assert_array_equal(chosen, FRAMES[[4, 0, 1]])
    assert stamps.tolist() == [0.16, 0.0, 0.04]
    with open_video(FRAMES[:1], fps=Fraction(30000, 1001)) as reader:
        assert (reader.info.path, reader.notes) == ("array of 1 frame, 24 × 32", ())


def test_an_array_is_neither_copied_nor_written_to() -> None:
    held = FRAMES.copy()
    with open_video(held) as reader:
        for _, frame in reader.frames():
            assert np.shares_memory(frame, held)
            assert not frame.flags.writeable
    assert held.flags.writeable


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_a_long_array_takes_no_memory(kind: str) -> None:
    """Of 300 frames only the frame at hand is made."""
    frames = np.broadcast_to(np.zeros((1, 540, 960, 3), kind), (300, 540, 960, 3))
    tracemalloc.start()
    try:
        with open_video(frames) as reader:
            assert sum(1 for _ in reader.frames()) == 300
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_an_array_on_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", FRAMES)
    frames, _ = read(np.load(tmp_path / "frames.npy", mmap_mode="r"))
    np.testing.assert_array_equal(frames, FRAMES)


def hash_of(source: Any) -> str:
    with open_video(source) as reader:
        assert content_sha256(reader.info) == sampled_content_sha256(reader.info)
        return content_sha256(reader.info)


def test_the_hash_is_that_of_the_pixels() -> None:
    assert {hash_of(source) for source in SAME.values()} == {hash_of(FRAMES)}
    changed = FRAMES.copy()
    changed[4, 23, 31, 2] ^= 1
    others = [changed, FRAMES[:4], FRAMES[::-1], FRAMES.reshape(5, 32, 24, 3), FRAMES[..., ::-1]]
    assert len({hash_of(FRAMES), *map(hash_of, others)}) == 6


PLANES = FRAMES.transpose(0, 3, 1, 2)

LAYOUTS: dict[str, tuple[Any, str]] = {
    "(T, 3, H, W)": (PLANES, "frames.transpose(0, 2, 3, 1)"),
    "(3, T, H, W)": (FRAMES.transpose(3, 0, 1, 2), "frames.transpose(1, 2, 3, 0)"),
    "tensor (T, 3, H, W)": (torch.from_numpy(PLANES), "frames.permute(0, 2, 3, 1)"),
    "tensor (3, T, H, W)": (torch.from_numpy(PLANES).transpose(0, 1), "frames.permute(1, 2, 3, 0)"),
    "(T, 1, H, W)": (PLANES[:, :1], "frames[:, 0]"),
    "RGBA": (np.concatenate([FRAMES, FRAMES[..., :1]], axis=-1), "frames[..., :3]"),
    "batch": (FRAMES[None], "frames[0]"),
    "one image": (FRAMES[0], "frames[None]"),
    "three grey frames": (GREY[:3], "frames[..., None]"),
    "list of (3, H, W)": (list(PLANES), "[frame.transpose(1, 2, 0) for frame in frames]"),
    "list of tensors (3, H, W)": (list(torch.from_numpy(PLANES)), "[frame.permute(1, 2, 0) for frame in frames]"),
    "list of (1, H, W)": (list(PLANES[:, :1]), "[frame[0] for frame in frames]"),
    "list of RGBA": (list(np.concatenate([FRAMES, FRAMES[..., :1]], -1)), "[frame[..., :3] for frame in frames]"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_another_layout_is_refused_with_what_to_type(name: str) -> None:
    source, hint = LAYOUTS[name]
    with pytest.raises(ShapeError, match=rf"expected .*H, W.*{re.escape(hint)}$"):
        open_video(source)
    tree = compile(ast.parse(hint, mode="eval"), "hint", "eval")
    frames, _ = read(eval(tree, {"frames": source}))  # noqa: S307 - what is advised is what is typed
    expected = np.repeat(GREY[..., None], 3, axis=3) if "1, H" in name or "grey" in name else FRAMES
    np.testing.assert_array_equal(frames, expected[: len(frames)])


NUMBERS: dict[str, tuple[Any, str]] = {
    "integers": (FRAMES.astype(np.int64), r"are int64, expected uint8.*astype\('uint8'\)"),
    "booleans": (FRAMES > 9, "are bool, expected uint8"),
    "16 bits": (FRAMES.astype(np.uint16), "are uint16"),
    "objects": (np.array([[["a"]]], dtype=object), "are object"),
    "floats to 255": (FRAMES.astype(np.float32), r"up to 255, expected \[0, 1\]; pass frames / 255"),
    "normalised": (FRAMES / 127.5 - 1, r"from -1 to 1, expected \[0, 1\]; undo the normalisation"),
    "NaN": (np.where(FRAMES > 250, np.nan, FRAMES / 255), "hold NaN or infinity"),
    "infinity": (np.where(FRAMES > 250, np.inf, FRAMES / 255), "hold NaN or infinity"),
    "in a list": ([FRAMES[0], FRAMES[1].astype(np.int32)], "the numbers of frame 1 are int32"),
    "no frame": (FRAMES[:0], r"is an empty array, \(0, 24, 32, 3\)"),
    "no pixel": (FRAMES[:, :0], "is an empty array"),
    "two channels": (FRAMES[..., :2], r"\(5, 24, 32, 2\), expected"),
    "a number": (np.float64(3), r"frames are \(\), expected"),
    "sparse": (torch.from_numpy(FRAMES).to_sparse(), "cannot be read as an array"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_other_numbers_are_refused(name: str) -> None:
    source, sentence = NUMBERS[name]
    with pytest.raises(ShapeError, match=sentence):
        open_video(source)


OTHERS: dict[str, tuple[Any, str]] = {
    "empty": ([], "an empty list, expected frames or image paths"),
    "numbers": ([1, 2], "item 0 of the list is of type int; expected arrays, PIL images or image paths"),
    "mixed": ([FRAMES[0], "a.png"], "item 1 of the list is of type str"),
    "two sizes": ([FRAMES[0], FRAMES[0, :20]], "frame 1 of the list is 20 × 32, the first one 24 × 32"),
    "two sizes of images": ([Image.new("L", (9, 8)), Image.new("L", (8, 9))], "is 9 × 8, the first one 8 × 9"),
    "clips": ([FRAMES, FRAMES], "explain_video takes one video: call it for each"),
    "one image": (Image.new("L", (9, 8)), "one image, expected frames; pass a list"),
    "generator": ((frame for frame in FRAMES), r"generator, expected a list.*list\(source\)"),
    "bytes": (b"abc", r"bytes, expected an open file.*io\.BytesIO\(source\)"),
    "nothing": (None, "NoneType, expected a path, an address, an array or a list"),
    "dict": ({}, "dict, expected a path, an address, an array or a list"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_video_is_refused(name: str) -> None:
    source, sentence = OTHERS[name]
    with pytest.raises(InputError, match=sentence):
        open_video(source)


def test_images_are_shown_upright_and_on_black(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 8  # to be turned by 90° counter-clockwise
    Image.fromarray(np.rot90(FRAMES[0], -1).copy()).save(tmp_path / "0.png", exif=turned)
    faint = Image.fromarray(np.dstack([FRAMES[1], np.full((24, 32), 51, np.uint8)]))
    with Image.open(tmp_path / "0.png") as image:
        frames, _ = read([image, faint])
    np.testing.assert_array_equal(frames[0], FRAMES[0])
    np.testing.assert_allclose(frames[1], FRAMES[1] * 0.2, atol=0.5)


def test_a_damaged_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    Image.fromarray(FRAMES[0]).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with Image.open(path) as image, pytest.raises(InputError, match="image 0 of the list cannot be read"):
        open_video([image])


def test_a_closed_reader_refuses() -> None:
    with open_video(FRAMES) as reader:
        pass
    with pytest.raises(MediaError, match="array of 5 frames, 24 × 32' is closed"):
        next(reader.frames())


def test_a_strip_is_refused() -> None:
    with pytest.raises(MediaError, match="the array"):
        open_video(np.zeros((2, 1, 60_000, 3), np.uint8))
