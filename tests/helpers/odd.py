"""Odd, but legitimate or merely damaged, media files: each is made here, from flat grey frames of known levels.

`ODD` maps the name of a file to what makes it; `level(index)` is the grey of its index-th frame, so that any codec
keeps frames apart. `scripts/run bench odd-files` shows what becomes of them; the tests say what must.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from tests.helpers.videos import Frames, flat_frames, hide_beginning, rotate, write_video

COUNT = 50
UNIT = Fraction(1, 25)
GROUP = {"g": "10", "bf": "0", "sc_threshold": "0", "crf": "10"}
B_FRAMES = {"g": "10", "bf": "3", "b-adapt": "0", "sc_threshold": "0", "crf": "10"}
OPEN_GOP = {**B_FRAMES, "x264-params": "open-gop=1:b-adapt=0:scenecut=0"}
VARIABLE = np.cumsum([0, *np.random.default_rng(3).integers(200, 1500, COUNT - 1)]).tolist()


def level(index: int) -> int:
    """The grey of a frame."""
    return 20 + 4 * index


def greys(count: int = COUNT, height: int = 48, width: int = 64) -> Frames:
    """(count, height, width, 3), flat."""
    return flat_frames([level(index) for index in range(count)], height, width)


def noisy(count: int = COUNT, height: int = 96, width: int = 128) -> Frames:
    """Greys with a little texture, so that a frame's packet is worth damaging."""
    noise = np.random.default_rng(0).integers(-9, 10, (count, height, width, 1))
    return (greys(count, height, width) + noise).clip(0, 255).astype(np.uint8)


def h264(path: Path, frames: Frames | None = None, *, options: dict[str, str] = GROUP, **more: object) -> Path:
    """Flat greys in yuv420p by x264."""
    chosen = greys() if frames is None else frames
    return write_video(path, chosen, codec="libx264", pixel_format="yuv420p", options=options, **more)  # type: ignore[arg-type]


def coded(path: Path, codec: str, pixel_format: str, options: dict[str, str] | None = None) -> Path:
    """Flat greys by any encoder, 25 a second."""
    return write_video(path, greys(), codec=codec, pixel_format=pixel_format, options=options or {}, time_base=UNIT)


def anamorphic(path: Path, aspect: Fraction = Fraction(64, 51), frames: Frames | None = None) -> Path:
    """A file whose pixels are not square."""

    def tune(stream: VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio = aspect

    return h264(path, frames, tune=tune)


def high_range(path: Path, transfer: int) -> Path:
    """10 bits of BT.2020 in PQ (16) or HLG (18)."""

    def tune(stream: VideoStream) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1

    return write_video(
        path, greys(), codec="libx265", pixel_format="yuv420p10le", options={"x265-params": "log-level=none"}, tune=tune
    )


def alpha_frames() -> Frames:
    """(COUNT, 48, 64, 4): the upper half opaque, the lower half half transparent."""
    opaque = np.full((COUNT, 48, 64, 1), 255, np.uint8)
    opaque[:, 24:] = 128
    return np.concatenate([greys(), opaque], axis=-1)


def with_alpha(path: Path) -> Path:
    """QuickTime animation with transparency."""
    return write_video(path, alpha_frames(), codec="qtrle", pixel_format="argb", options={}, time_base=UNIT)


def cut(make: Callable[[Path], Path], path: Path, share: float = 0.6) -> Path:
    """The beginning of a file."""
    content = make(path).read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def without_beginning(path: Path) -> Path:
    """A transport stream that starts in the middle of a group of pictures: recording began while it was on air."""
    content = h264(path, noisy(), options={**GROUP, "g": "20"}).read_bytes()
    path.write_bytes(content[int(len(content) * 0.15) // 188 * 188 :])
    return path


def packet_places(path: Path) -> list[tuple[int, int]]:
    """(position, size) of each packet of the pictures."""
    with av.open(str(path)) as container:
        return [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]


def damaged(path: Path, first: int = 14, last: int = 26) -> Path:
    """H.264 of which the packets `first` to `last` (not included) are zeros: nothing of them can be decoded."""
    places = packet_places(h264(path, noisy()))
    content = bytearray(path.read_bytes())
    for position, size in places[first:last]:
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    return path


def scratched(path: Path) -> Path:
    """H.264 with one byte changed in the middle of some packets: the decoder repairs what it can."""
    places = packet_places(h264(path, noisy()))
    content = bytearray(path.read_bytes())
    for position, size in places[14:17]:
        content[position + size // 2] ^= 0x55
    path.write_bytes(content)
    return path


def resized(path: Path) -> Path:
    """A transport stream whose second half is larger."""
    parts = []
    for number, (height, width) in enumerate([(48, 64), (96, 128)]):
        half = greys(COUNT // 2, height, width) + np.uint8(4 * (COUNT // 2) * number)
        ticks = [512 * (index + number * COUNT // 2) for index in range(COUNT // 2)]
        options = {"mpegts_flags": "resend_headers"}
        parts.append(h264(path, half, ticks=ticks, container_options=options).read_bytes())
    path.write_bytes(b"".join(parts))
    return path


def two_streams(path: Path) -> Path:
    """A small picture first, the large default one second."""
    with av.open(str(path), "w") as container:
        streams: list[VideoStream] = []
        for height, width in [(24, 32), (48, 64)]:
            stream = container.add_stream("libx264", rate=25, options=GROUP)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.disposition = av.stream.Disposition.default if streams else av.stream.Disposition(0)
            streams.append(stream)
        for index in range(COUNT):
            for stream in streams:
                picture = VideoFrame.from_ndarray(greys(COUNT, stream.height, stream.width)[index], format="rgb24")
                picture.pts, picture.time_base = index, UNIT
                container.mux(stream.encode(picture))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def images(folder: Path, *, suffix: str = ".png", count: int = COUNT) -> Path:
    """frame1, frame2, … frame10: a natural order, and a text file among them."""
    folder.mkdir()
    for index, frame in enumerate(greys(count)):
        Image.fromarray(frame).save(folder / f"frame{index + 1}{suffix}")
    (folder / "notes.txt").write_text("no image")
    return folder


def edited(path: Path) -> Path:
    """An edit list hides the first four frames."""
    return hide_beginning(h264(path, options=B_FRAMES), 4 * 512)


def one(path: Path) -> Path:
    """A single frame."""
    return h264(path, greys(1))


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}

ODD: dict[str, Callable[[Path], Path]] = {
    "variable-rate.mp4": partial(h264, ticks=VARIABLE),
    "rotated-90.mp4": lambda path: rotate(h264(path), 90),
    "rotated-180.mp4": lambda path: rotate(h264(path), 180),
    "rotated-270.mov": lambda path: rotate(h264(path), 270),
    "anamorphic.mp4": anamorphic,
    "anamorphic.mkv": anamorphic,
    "anamorphic-rotated.mp4": lambda path: rotate(anamorphic(path), 90),
    "odd-size.mp4": lambda path: write_video(path, greys(height=47, width=33)),
    "no-duration.mkv": partial(h264, container_options={"live": "1"}),
    "no-count.mp4": partial(h264, container_options=FRAGMENTED),
    "no-times.h264": partial(h264, options=B_FRAMES),
    "edit-list.mp4": edited,
    "open-gop.mp4": partial(h264, options=OPEN_GOP),
    "open-gop.ts": partial(h264, options=OPEN_GOP),
    "b-frames.mp4": partial(h264, options=B_FRAMES),
    "b-frames.avi": lambda path: coded(path, "mpeg4", "yuv420p", {"bf": "2", "g": "10", "qmin": "1", "qmax": "3"}),
    "animation.gif": lambda path: coded(path, "gif", "rgb8"),
    "mjpeg.avi": lambda path: coded(path, "mjpeg", "yuvj420p"),
    "vp8.webm": lambda path: coded(path, "libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "2M"}),
    "vp9.webm": lambda path: coded(path, "libvpx-vp9", "yuv420p", {"lag-in-frames": "16", "b": "2M"}),
    "av1.mp4": lambda path: coded(path, "libsvtav1", "yuv420p", {"svtav1-params": "fast-decode=1", "preset": "12"}),
    "mpeg1.mpg": lambda path: coded(path, "mpeg1video", "yuv420p", {"bf": "2", "b": "2M"}),
    "mpeg2.mpg": lambda path: coded(path, "mpeg2video", "yuv420p", {"bf": "2", "b": "2M"}),
    "mpeg2.ts": lambda path: coded(path, "mpeg2video", "yuv420p", {"bf": "2", "b": "2M"}),
    "prores.mov": lambda path: coded(path, "prores_ks", "yuv422p10le"),
    "ten-bit.mp4": lambda path: coded(path, "libx264", "yuv420p10le", GROUP),
    "pq.mp4": partial(high_range, transfer=16),
    "hlg.mp4": partial(high_range, transfer=18),
    "grey.mkv": lambda path: coded(path, "ffv1", "gray"),
    "alpha.mov": with_alpha,
    "one-frame.mp4": one,
    "tiny.mp4": lambda path: h264(path, greys(height=8, width=8)),
    "4k.mp4": lambda path: h264(path, greys(4, 2160, 3840), options={**GROUP, "preset": "ultrafast"}),
    "portrait.mp4": lambda path: h264(path, greys(height=128, width=72)),
    "no-first-key.ts": without_beginning,
    "cut.mp4": partial(cut, partial(h264, frames=noisy(), container_options={"movflags": "+faststart"})),
    "cut.mkv": partial(cut, partial(h264, frames=noisy())),
    "cut.ts": partial(cut, partial(h264, frames=noisy())),
    "cut.avi": partial(cut, lambda path: coded(path, "mjpeg", "yuvj420p")),
    "cut.webm": partial(cut, lambda path: coded(path, "libvpx-vp9", "yuv420p", {"b": "2M"})),
    "damaged.mp4": damaged,
    "damaged.mkv": damaged,
    "scratched.mp4": scratched,
    "resized.ts": resized,
    "two-streams.mkv": two_streams,
    "images": images,
}
