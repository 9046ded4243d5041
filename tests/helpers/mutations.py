"""Small whole files of every container, and what a seed makes of them: bytes flipped, cut, moved, wrong lengths.

A video's file is damaged as a whole; of a folder of images one image is. `mutated(sample, seed)` is the same bytes on
every machine with the same encoders.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
from PIL import Image

from tests.helpers.odd import FRAGMENTED, high_range
from tests.helpers.videos import Frames, click, flat_frames, hide_beginning, rotate, write_video

Random = np.random.Generator
Mutation = Callable[[bytes, Random], bytes]

_COUNT, _HEIGHT, _WIDTH = 20, 32, 32
_UNIT = Fraction(1, 25)
_HEAD_BYTES = 1024
_IMAGES = 3

_TAGS = re.compile(
    rb"moov|mvhd|trak|tkhd|mdia|mdhd|stsd|avc1|avcC|hvcC|colr|pasp|elst|stts|ctts|stss|stsc|stsz|stco|mdat|moof|tfhd"
    rb"|trun|esds|RIFF|avih|strh|strf|idx1|movi|00dc|\x1aE\xdf\xa3|\x15I\xa9f|\x16T\xaek|\x1cS\xbbk|\x1fC\xb6u|\xe7.|\xa3"
    rb"|\x00\x00\x01[\xb3\xb8\xba\xbb\xe0\xc0]|\x47[\x40\x41][\x00-\x1f]|GIF8|!\xf9|,\x00\x00|FLV|\x00\x00\x00\x09"
    rb"|OggS|WEBP|ANIM|ANMF|ALPH|ftyp|meta|iloc|iprp|#EXT|IHDR|IDAT|\xff[\xc0\xc4\xda\xdb]|VP8|\x00\x00\x00\x01[\x67\x68]|II\*\x00|BM",
    re.DOTALL,
)
"""What stands near sizes, counts, times and places in the containers' headers and indices."""

_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 2**62, 2**63, 2**64 - 1)


@dataclass(frozen=True, slots=True)
class Sample:
    """One whole file.

    Attributes:
        name: of the container and codec; its suffix is the file's.
        content: its bytes.
        is_image: whether it is shown as a folder of such images.
    """

    name: str
    content: bytes
    is_image: bool = False


def _picture() -> Frames:
    """(20, 32, 32, 3): greys with a little texture that moves."""
    greys = flat_frames(range(30, 30 + 8 * _COUNT, 8), _HEIGHT, _WIDTH)
    noise = np.random.default_rng(0).integers(-9, 10, (_HEIGHT, _WIDTH, 1))
    moved = np.stack([np.roll(noise, index, axis=1) for index in range(_COUNT)])
    return (greys + moved).clip(0, 255).astype(np.uint8)


def _video(
    path: Path,
    codec: str,
    pixel_format: str = "yuv420p",
    *,
    options: dict[str, str] | None = None,
    layout: dict[str, str] | None = None,
    sound: str = "",
) -> Path:
    """The picture by any encoder, 25 a second, with or without sound; bitexact, as random numbers are left out then."""
    return write_video(
        path,
        _picture(),
        codec=codec,
        pixel_format=pixel_format,
        options={"g": "6", **(options or {})},
        time_base=_UNIT,
        container_options={"fflags": "+bitexact", **(layout or {})},
        sound=click(0.4, _COUNT / 25) if sound else None,
        sound_codec=sound or "aac",
    )


# mbtree off: see vidcam.video.writer
_LIBX264 = {"crf": "20", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
_X264 = partial(_video, codec="libx264", options={**_LIBX264, "bf": "2"})
_PLAIN = partial(_video, codec="libx264", options={**_LIBX264, "bf": "0"})
_MPEG = {"bf": "2", "b": "1M"}
_VPX = {"lag-in-frames": "0", "deadline": "realtime", "threads": "1"}


def _animation(path: Path) -> Path:
    """The picture by Pillow, 25 a second; without the moment of writing, which AVIF states in 64 bits."""
    first, *others = (Image.fromarray(frame) for frame in _picture())
    first.save(path, save_all=True, append_images=others, duration=40)
    path.write_bytes(
        re.sub(rb"(mvhd|tkhd|mdhd)(\x01...).{16}", rb"\1\2" + bytes(16), path.read_bytes(), flags=re.DOTALL)
    )
    return path


def _playlist(path: Path) -> Path:
    """An HLS playlist without an end, which names itself and a file of another folder."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
    lines += [f"#EXTINF:2.0,\n{name}" for name in ("video.m3u8", "../video.ts", "video.ts")]
    path.write_text("\n".join(lines), "ascii")
    return path


VIDEOS: Mapping[str, Callable[[Path], Path]] = {
    "h264.mp4": partial(_X264, sound="aac"),
    "fast-start.mp4": partial(_X264, layout={"movflags": "+faststart"}),
    "fragments.mp4": partial(_PLAIN, layout=FRAGMENTED),
    "edit-list-rotated.mp4": lambda path: rotate(hide_beginning(_PLAIN(path), 2 * 512), 90),
    "mpeg4.mov": partial(_video, codec="mpeg4", sound="pcm_s16le"),
    "pq.mp4": partial(high_range, transfer=16),
    "h264.mkv": partial(_X264, sound="libopus"),
    "ffv1.mkv": partial(_video, codec="ffv1", pixel_format="yuv444p"),
    "vp9.webm": partial(_video, codec="libvpx-vp9", options=_VPX),
    "vp8.webm": partial(_video, codec="libvpx", options=_VPX),
    "mpeg4.avi": partial(_video, codec="mpeg4", options=_MPEG, sound="libmp3lame"),
    "mjpeg.avi": partial(_video, codec="mjpeg", pixel_format="yuvj420p"),
    "mpeg1.mpg": partial(_video, codec="mpeg1video", options=_MPEG, sound="mp2"),
    "mpeg2.ts": partial(_video, codec="mpeg2video", options=_MPEG, sound="mp2"),
    "h264.ts": _X264,
    "animation.gif": partial(_video, codec="gif", pixel_format="rgb8"),
    "flv1.flv": partial(_video, codec="flv", sound="libmp3lame"),
    "wmv2.wmv": partial(_video, codec="wmv2", options={"b": "1M"}),
    "bare.h264": _X264,
    "animation.apng": partial(_video, codec="apng", pixel_format="rgba"),
    "hevc.mp4": partial(_video, codec="libx265", options={"x265-params": "log-level=none:pools=none:frame-threads=1"}),
    "prores.mov": partial(_video, codec="prores_ks", pixel_format="yuv422p10le"),
    "alpha.webm": partial(_video, codec="libvpx-vp9", pixel_format="yuva420p", options=_VPX),
    "vp8.ogv": partial(_video, codec="libvpx", options=_VPX, sound="libopus"),
    "animation.webp": _animation,
    "animation.avif": _animation,
    "playlist.m3u8": _playlist,
}

IMAGES = ("png", "jpg", "tif", "webp", "bmp")
CONTAINERS = (*VIDEOS, *(f"images.{suffix}" for suffix in IMAGES))


@cache
def sample(name: str) -> Sample:
    """One of CONTAINERS, whole."""
    if name in VIDEOS:
        with tempfile.TemporaryDirectory() as folder:
            return Sample(name, VIDEOS[name](Path(folder) / name).read_bytes())
    image = Image.fromarray(_picture()[7])
    buffer = BytesIO()
    image.save(buffer, Image.registered_extensions()[Path(name).suffix])
    return Sample(name, buffer.getvalue(), is_image=True)


def mutated(name: str, seed: int) -> tuple[str, bytes]:
    """What a seed makes of a sample: the mutation's name and the bytes."""
    random = np.random.default_rng([seed, crc32(name.encode())])
    kind = list(MUTATIONS)[int(random.integers(len(MUTATIONS)))]
    content = MUTATIONS[kind](sample(name).content, random)
    if kind != "cut" and random.random() < 0.1:
        again = list(MUTATIONS)[int(random.integers(len(MUTATIONS)))]
        return f"{kind} + {again}", MUTATIONS[again](content, random)
    return kind, content


def write_case(name: str, content: bytes, folder: Path) -> Path:
    """The bytes as what a user passes: a file, or a folder of images of which one has these bytes."""
    if name in VIDEOS:
        path = folder / f"video{Path(name).suffix}"
        path.write_bytes(content)
        return path
    path = folder / "video"
    path.mkdir()
    damaged = len(content) % _IMAGES
    for index in range(_IMAGES):
        (path / f"{index}{Path(name).suffix}").write_bytes(content if index == damaged else sample(name).content)
    return path


def _stretch(content: bytes, random: Random, longest: float = 0.5) -> tuple[int, int]:
    start = int(random.integers(len(content)))
    length = 1 + int(random.random() ** 3 * longest * len(content))  # short ones are more frequent
    return start, min(len(content), start + length)


def _flip_within(content: bytes, random: Random, low: int, high: int) -> bytes:
    changed = bytearray(content)
    for place in random.integers(low, max(low + 1, min(high, len(content))), int(random.integers(1, 9))).tolist():
        changed[place] ^= int(random.integers(1, 256)) if random.random() < 0.5 else 1 << int(random.integers(8))
    return bytes(changed)


def _flip(content: bytes, random: Random) -> bytes:
    return _flip_within(content, random, 0, len(content))


def _flip_head(content: bytes, random: Random) -> bytes:
    return _flip_within(content, random, 0, _HEAD_BYTES)


def _near_tag(content: bytes, random: Random) -> int:
    places = [match.start() for match in _TAGS.finditer(content)] or [0]
    place = places[int(random.integers(len(places)))] + int(random.integers(-4, 64))
    return max(0, min(len(content) - 1, place))


def _flip_index(content: bytes, random: Random) -> bytes:
    place = _near_tag(content, random)
    return _flip_within(content, random, place, place + 8)


def _lie(content: bytes, random: Random) -> bytes:
    """Sizes, counts, times: an extreme number near a tag."""
    width: int = 2 ** int(random.integers(4))
    number = _EXTREMES[int(random.integers(len(_EXTREMES)))] % (1 << 8 * width)
    place = _near_tag(content, random)
    written = number.to_bytes(width, "big" if random.random() < 0.7 else "little")
    return content[:place] + written + content[place + width :]


def _cut(content: bytes, random: Random) -> bytes:
    return content[: int(random.integers(len(content)))]


def _cut_beginning(content: bytes, random: Random) -> bytes:
    return content[int(random.integers(len(content))) :]


def _delete(content: bytes, random: Random) -> bytes:
    start, end = _stretch(content, random)
    return content[:start] + content[end:]


def _duplicate(content: bytes, random: Random) -> bytes:
    start, end = _stretch(content, random)
    return content[:end] + content[start:end] + content[end:]


def _blank(content: bytes, random: Random) -> bytes:
    start, end = _stretch(content, random)
    return content[:start] + bytes(end - start) + content[end:]


def _noise(content: bytes, random: Random) -> bytes:
    start, end = _stretch(content, random, longest=0.2)
    return content[:start] + random.bytes(end - start) + content[end:]


def _swap(content: bytes, random: Random) -> bytes:
    a, b, c = sorted(random.integers(len(content) + 1, size=3).tolist())
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _pieces(content: bytes, random: Random) -> list[int]:
    """Four places between boxes: where two neighbours begin, and where they end."""
    places = sorted({0, len(content), *(max(0, match.start() - 4) for match in _TAGS.finditer(content))})
    return sorted(places[index] for index in random.integers(len(places), size=4).tolist())


def _swap_boxes(content: bytes, random: Random) -> bytes:
    a, b, c, d = _pieces(content, random)
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _wrong_length(content: bytes, random: Random) -> bytes:
    """The four bytes before a tag (ISO) or after it (RIFF, EBML, PNG) are a little off, doubled or halved."""
    places = [match.span() for match in _TAGS.finditer(content)] or [(4, 4)]
    start, end = places[int(random.integers(len(places)))]
    place = max(0, start - 4) if random.random() < 0.6 else end
    order: Literal["big", "little"] = "big" if random.random() < 0.7 else "little"
    length = int.from_bytes(content[place : place + 4], order)
    wrong = (length + int(random.integers(-16, 17)), 2 * length, length // 2)[int(random.integers(3))]
    return content[:place] + (wrong % (1 << 32)).to_bytes(4, order) + content[place + 4 :]


def _splice(content: bytes, random: Random) -> bytes:
    """The beginning of this file, the end of another one."""
    other = sample(CONTAINERS[int(random.integers(len(CONTAINERS)))]).content
    share = random.random()
    return content[: int(share * len(content))] + other[int(share * len(other)) :]


def _append(content: bytes, random: Random) -> bytes:
    if random.random() < 0.3:
        return content + content
    return content + random.bytes(int(random.integers(1, 4096)))


MUTATIONS: Mapping[str, Mutation] = {
    "flip": _flip,
    "flip head": _flip_head,
    "flip index": _flip_index,
    "lie": _lie,
    "cut": _cut,
    "cut beginning": _cut_beginning,
    "delete": _delete,
    "duplicate": _duplicate,
    "blank": _blank,
    "noise": _noise,
    "swap": _swap,
    "swap boxes": _swap_boxes,
    "wrong length": _wrong_length,
    "splice": _splice,
    "append": _append,
}
