"""Encoders by codec: what each is called in FFmpeg, its options, and which of them works on this machine.

Software encoders are the default: they give the same bytes everywhere they run. A hardware encoder is tried out on
the size of the film before anything is written; where it does not work the software one takes its place, and a
sentence says so. Quality is constant, in the encoder's own scale, lower is better.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast, get_args

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vidcam.errors import InputError

Codec = Literal["h264", "hevc", "av1", "vp9"]
CODECS: tuple[Codec, ...] = get_args(Codec)
CONTAINERS: Mapping[str, tuple[Codec, ...]] = {"mp4": ("h264", "hevc", "av1", "vp9"), "webm": ("vp9", "av1")}
"""Container → the codecs that it admits, its default first."""

USUAL_SIDES_PX = (64, 4096)
"""Software encoders take all frames whose sides lie between; others are tried out on one."""

_X26X_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_NUMBERS = tuple(map(str, range(14)))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one encoder is asked: defaults, what preset and quality are called, and what it always gets."""

    codec: Codec
    preset_key: str
    presets: tuple[str, ...]
    preset: str
    quality_key: str
    most_quality: int
    quality: int
    fixed: tuple[tuple[str, str], ...] = ()


# No B-frames anywhere, see `writer`. mbtree off: x264's macroblock tree reads memory it has not set in small frames,
# and the bytes differ between runs.
_SOFTWARE: Mapping[str, _Kind] = {
    "libx264": _Kind(
        codec="h264",
        preset_key="preset",
        presets=_X26X_PRESETS,
        preset="veryfast",
        quality_key="crf",
        most_quality=51,
        quality=18,
        fixed=(("bf", "0"), ("profile", "high"), ("x264-params", "mbtree=0")),
    ),
    "libx265": _Kind(
        codec="hevc",
        preset_key="preset",
        presets=_X26X_PRESETS,
        preset="veryfast",
        quality_key="crf",
        most_quality=51,
        quality=20,
        fixed=(("x265-params", "bframes=0:log-level=none"),),
    ),
    "libsvtav1": _Kind(
        codec="av1",
        preset_key="preset",
        presets=_NUMBERS,
        preset="10",
        quality_key="crf",
        most_quality=63,
        quality=28,
        fixed=(("svtav1-params", "pred-struct=1"),),
    ),
    "libvpx-vp9": _Kind(
        codec="vp9",
        preset_key="cpu-used",
        presets=_NUMBERS[:9],
        preset="6",
        quality_key="crf",
        most_quality=63,
        quality=24,
        fixed=(("b", "0"), ("deadline", "good"), ("row-mt", "1"), ("auto-alt-ref", "0"), ("lag-in-frames", "0")),
    ),
}
_P = tuple(f"p{number}" for number in range(1, 8))


def _nvenc(codec: Codec) -> _Kind:
    return _Kind(codec, "preset", _P, "p4", "cq", 51, 19, (("bf", "0"), ("rc", "vbr"), ("b", "0")))


def _qsv(codec: Codec) -> _Kind:
    return _Kind(codec, "preset", _X26X_PRESETS[2:], "veryfast", "global_quality", 51, 20, (("bf", "0"),))


def _amf(codec: Codec) -> _Kind:
    return _Kind(codec, "quality", ("speed", "balanced", "quality"), "balanced", "qp_p", 51, 20, (("rc", "cqp"),))


def _apple(codec: Codec) -> _Kind:
    return _Kind(codec, "prio_speed", ("0", "1"), "1", "q", 100, 65, (("bf", "0"),))


_HARDWARE: Mapping[str, _Kind] = {
    **{f"{codec}_nvenc": _nvenc(codec) for codec in ("h264", "hevc", "av1")},
    **{f"{codec}_videotoolbox": _apple(codec) for codec in ("h264", "hevc")},
    **{f"{codec}_qsv": _qsv(codec) for codec in ("h264", "hevc", "av1", "vp9")},
    **{f"{codec}_amf": _amf(codec) for codec in ("h264", "hevc", "av1")},
}
_KINDS = {**_SOFTWARE, **_HARDWARE}
ENCODERS = tuple(_KINDS)


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder with its options settled.

    Attributes:
        name: FFmpeg's.
        codec: what it makes.
        options: FFmpeg's, by name.
    """

    name: str
    codec: Codec
    options: tuple[tuple[str, str], ...]


def encoder_of(name: str, *, preset: str | None = None, quality: int | None = None) -> Encoder:
    """An encoder by FFmpeg's name, whether it works here or not.

    Raises:
        InputError: an unknown encoder, a preset that it does not have or a quality beyond its scale.
    """
    if name not in _KINDS:
        raise InputError(f"encoder is {name!r}, expected one of auto, hardware, {', '.join(ENCODERS)}; choose one")
    kind = _KINDS[name]
    if preset is not None and preset not in kind.presets:
        raise InputError(f"preset is {preset!r}, {name} has {', '.join(kind.presets)}; choose one of them")
    if quality is not None and not 0 <= quality <= kind.most_quality:
        raise InputError(f"quality is {quality}, {name} takes 0 to {kind.most_quality}; {kind.quality} is its default")
    asked = (
        (kind.preset_key, preset or kind.preset),
        (kind.quality_key, str(kind.quality if quality is None else quality)),
    )
    return Encoder(name, kind.codec, (*kind.fixed, *asked))


def choose_encoder(
    codec: str | None,
    container: str,
    *,
    encoder: str = "auto",
    preset: str | None = None,
    quality: int | None = None,
    size: tuple[int, int] = (256, 256),
) -> tuple[Encoder, tuple[str, ...]]:
    """The encoder for a file, and sentences about what could not be had.

    Args:
        codec: 'h264', 'hevc', 'av1', 'vp9'; None: the encoder's, or the container's default.
        container: 'mp4' or 'webm'.
        encoder: 'auto' (software), 'hardware' (the first that works), or FFmpeg's name of one.
        preset: of the encoder; with 'hardware' only if that encoder has it.
        quality: likewise.
        size: (height, width) of the frames, to try a hardware encoder out.

    Raises:
        InputError: an unknown name, or a codec that the container does not admit.
    """
    admitted = CONTAINERS[container]
    wanted = codec or (_KINDS[encoder].codec if encoder in _KINDS else admitted[0])
    if wanted not in CODECS:
        raise InputError(f"codec is {wanted!r}, expected one of {', '.join(CODECS)}; choose one of them")
    if wanted not in admitted:
        raise InputError(
            f"{wanted} does not go into a .{container}, expected {' or '.join(admitted)}; choose another ending"
        )
    software = next(name for name, kind in _SOFTWARE.items() if kind.codec == wanted)
    if not is_built_in(software):
        raise InputError(
            f"this FFmpeg was built without {software}, expected one that encodes {wanted}; choose another codec"
        )
    if encoder in {"auto", software}:
        chosen = encoder_of(software, preset=preset, quality=quality)
        reason = failure(chosen, size) if min(size) < USUAL_SIDES_PX[0] or max(size) > USUAL_SIDES_PX[1] else None
        if reason is not None:
            raise InputError(
                f"{software} does not encode frames of {size[1]} × {size[0]} pixels ({reason}), expected another size; "
                "choose another height or codec"
            )
        return chosen, ()
    if encoder == "hardware":
        names = [name for name, kind in _HARDWARE.items() if kind.codec == wanted]
        asked = [_as_far_as_it_has(name, preset, quality) for name in names]
    else:
        asked = [encoder_of(encoder, preset=preset, quality=quality)]
        if asked[0].codec != wanted:
            raise InputError(
                f"encoder {encoder!r} makes {asked[0].codec}, expected one for {wanted}; leave --codec out"
            )
    chosen, notes = _first_that_works(asked, software, size)
    kind, options = _KINDS[chosen.name], dict(chosen.options)
    given = {
        "--preset": (preset, kind.preset_key),
        "--quality": (None if quality is None else str(quality), kind.quality_key),
    }
    lost = [name for name, (value, key) in given.items() if value is not None and (notes or options[key] != value)]
    if lost:
        notes += (f"{' and '.join(lost)} left out, as {chosen.name} has a scale of its own",)
    return chosen, notes


def _as_far_as_it_has(name: str, preset: str | None, quality: int | None) -> Encoder:
    """An encoder with what of preset and quality it knows."""
    kind = _KINDS[name]
    return encoder_of(
        name,
        preset=preset if preset in kind.presets else None,
        quality=quality if quality is not None and 0 <= quality <= kind.most_quality else None,
    )


def _first_that_works(
    asked: Sequence[Encoder], software: str, size: tuple[int, int]
) -> tuple[Encoder, tuple[str, ...]]:
    reasons = []
    for candidate in asked:
        reason = failure(candidate, size)
        if reason is None:
            return candidate, ()
        reasons.append(f"{candidate.name}: {reason}")
    return encoder_of(software), (f"no hardware encoder works here ({'; '.join(reasons)}); {software} takes its place",)


def is_built_in(name: str) -> bool:
    """Whether this FFmpeg has an encoder of the name."""
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def failure(encoder: Encoder, size: tuple[int, int]) -> str | None:
    """Why an encoder cannot encode a frame of this size here; None if it can."""
    if not is_built_in(encoder.name):
        return "not in this FFmpeg"
    height, width = (length + length % 2 for length in size)
    try:
        context = cast("VideoCodecContext", av.CodecContext.create(encoder.name, "w"))
        context.height, context.width, context.pix_fmt = height, width, "yuv420p"
        context.time_base, context.options = Fraction(1, 25), dict(encoder.options)
        frame = VideoFrame.from_ndarray(np.zeros((height * 3 // 2, width), np.uint8), format="yuv420p")
        frame.pts = 0
        context.encode(frame)
        context.encode(None)
    except (av.FFmpegError, ValueError) as exc:
        return getattr(exc, "strerror", None) or str(exc)
    return None


def quiet(encoder: Encoder) -> None:
    """Keep SVT-AV1 from writing its banner, or that it was interrupted, to standard error; only the environment can."""
    if encoder.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "0")


H264 = encoder_of("libx264")
