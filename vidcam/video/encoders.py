"""Encoders by codec: what each is called in FFmpeg, its options, and whether it works on this machine.

Software encoders are the default: they give the same bytes everywhere they run, and their options are tuned here. Any
other encoder is named as FFmpeg names it and keeps FFmpeg's defaults. It is tried out on the size of the video before
anything is written; where it does not work the software one takes its place, and a sentence says so. Quality is
constant, in the encoder's own scale, lower is better.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
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

_QUALITY_OPTIONS = ("crf", "cq", "qp")
"""What encoders call a constant quality."""

_X26X_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_NUMBERS = tuple(map(str, range(14)))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a software encoder is asked: defaults, what its preset is called, and what it always gets."""

    codec: Codec
    preset_key: str
    presets: tuple[str, ...]
    preset: str
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
        most_quality=51,
        quality=18,
        fixed=(("bf", "0"), ("profile", "high"), ("x264-params", "mbtree=0")),
    ),
    "libx265": _Kind(
        codec="hevc",
        preset_key="preset",
        presets=_X26X_PRESETS,
        preset="veryfast",
        most_quality=51,
        quality=20,
        fixed=(("x265-params", "bframes=0:log-level=none"),),
    ),
    "libsvtav1": _Kind(
        codec="av1",
        preset_key="preset",
        presets=_NUMBERS,
        preset="10",
        most_quality=63,
        quality=28,
        fixed=(("svtav1-params", "pred-struct=1"),),
    ),
    "libvpx-vp9": _Kind(
        codec="vp9",
        preset_key="cpu-used",
        presets=_NUMBERS[:9],
        preset="6",
        most_quality=63,
        quality=24,
        fixed=(("b", "0"), ("deadline", "good"), ("row-mt", "1"), ("auto-alt-ref", "0"), ("lag-in-frames", "0")),
    ),
}


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


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of encoding one frame.

    Attributes:
        reason: why it failed; None if it did not.
        unknown: the options that the encoder does not have.
    """

    reason: str | None
    unknown: frozenset[str] = frozenset()


def encoder_of(name: str, *, preset: str | None = None, quality: int | None = None) -> Encoder:
    """A software encoder by FFmpeg's name.

    Raises:
        InputError: a preset that it does not have or a quality beyond its scale.
    """
    kind = _SOFTWARE[name]
    if preset is not None and preset not in kind.presets:
        raise InputError(f"preset is {preset!r}, {name} has {', '.join(kind.presets)}; choose one of them")
    if quality is not None and not 0 <= quality <= kind.most_quality:
        raise InputError(f"quality is {quality}, {name} takes 0 to {kind.most_quality}; {kind.quality} is its default")
    asked = (
        (kind.preset_key, preset or kind.preset),
        ("crf", str(kind.quality if quality is None else quality)),
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
        encoder: 'auto' (software), or FFmpeg's name of one.
        preset: of the encoder.
        quality: likewise.
        size: (height, width) of the frames, to try the encoder out.

    Raises:
        InputError: an unknown name, a codec that the container does not admit, or an option that the encoder does not
            have.
    """
    admitted = CONTAINERS[container]
    named = None if encoder == "auto" else _found(encoder)
    wanted = _checked_codec(codec) if codec else named[1] if named else admitted[0]
    if wanted not in admitted:
        raise InputError(
            f"{wanted} does not go into a .{container}, expected {' or '.join(admitted)}; choose another ending"
        )
    if named is not None and named[1] != wanted:
        raise InputError(f"encoder {encoder!r} makes {named[1]}, expected one for {wanted}; leave --codec out")
    software = _software_for(wanted)
    if named is None or named[0] == software:
        return _fitting(encoder_of(software, preset=preset, quality=quality), size), ()
    return named_encoder(*named, preset=preset, quality=quality, size=size)


def _checked_codec(name: str) -> Codec:
    if name not in CODECS:
        raise InputError(f"codec is {name!r}, expected one of {', '.join(CODECS)}; choose one of them")
    return name


def _found(name: str) -> tuple[str, Codec]:
    """FFmpeg's own name of an encoder, and its codec; that of one which this FFmpeg does not have begins its name."""
    if name == "hardware":
        raise InputError("encoder is 'hardware', expected FFmpeg's name of one; name it, e.g. h264_nvenc")
    if is_built_in(name):
        found = av.codec.Codec(name, "w")
        name, made = found.name, found.canonical_name
    else:
        made = name.partition("_")[0]
        if made not in CODECS:
            raise InputError(
                f"encoder is {name!r}, expected auto or FFmpeg's name of one, such as {', '.join(_SOFTWARE)} or "
                "h264_nvenc; choose one"
            )
    if made not in CODECS:
        raise InputError(f"encoder {name!r} makes {made}, expected one for {', '.join(CODECS)}; choose another")
    return name, made


def _software_for(codec: Codec) -> str:
    name = next(name for name, kind in _SOFTWARE.items() if kind.codec == codec)
    if not is_built_in(name):
        raise InputError(
            f"this FFmpeg was built without {name}, expected one that encodes {codec}; choose another codec"
        )
    return name


def _fitting(encoder: Encoder, size: tuple[int, int]) -> Encoder:
    """The same encoder, tried out where frames are of an unusual size."""
    if min(size) >= USUAL_SIDES_PX[0] and max(size) <= USUAL_SIDES_PX[1]:
        return encoder
    reason = tried(encoder, size).reason
    if reason is not None:
        raise InputError(
            f"{encoder.name} does not encode frames of {size[1]} × {size[0]} pixels ({reason}), expected another size; "
            "choose another height or codec"
        )
    return encoder


def named_encoder(
    name: str, codec: Codec, *, preset: str | None, quality: int | None, size: tuple[int, int]
) -> tuple[Encoder, tuple[str, ...]]:
    """An encoder with FFmpeg's own defaults, or the software one and why; arguments as of `choose_encoder`.

    Raises:
        InputError: a preset or a quality is given, and the encoder has no option for it.
    """
    options = [("bf", "0")] if preset is None else [("bf", "0"), ("preset", preset)]
    for key in ("",) if quality is None else _QUALITY_OPTIONS:
        # a bit rate would limit a constant quality
        asked = () if quality is None else ((key, str(quality)), ("b", "0"))
        encoder = Encoder(name, codec, (*options, *asked))
        trial = tried(encoder, size)
        if trial.reason is not None:
            return _replaced(encoder, trial.reason, size, is_asked=preset is not None or quality is not None)
        if "preset" in trial.unknown:
            raise InputError(f"{name} has no presets; leave --preset out")
        if key not in trial.unknown:
            return encoder, ()
    raise InputError(f"{name} has no constant quality ({', '.join(_QUALITY_OPTIONS)}); leave --quality out")


def _replaced(
    encoder: Encoder, reason: str, size: tuple[int, int], *, is_asked: bool
) -> tuple[Encoder, tuple[str, ...]]:
    software = _software_for(encoder.codec)
    notes = [f"{encoder.name} does not work here ({reason}); {software} takes its place"]
    if is_asked:
        notes.append(f"--preset and --quality are left out, as {software} has a scale of its own")
    return _fitting(encoder_of(software), size), tuple(notes)


def is_built_in(name: str) -> bool:
    """Whether this FFmpeg has an encoder of the name."""
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def tried(encoder: Encoder, size: tuple[int, int]) -> Trial:
    """Encode one frame of (height, width)."""
    if not is_built_in(encoder.name):
        return Trial("not in this FFmpeg")
    quiet(encoder)
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
        return Trial(getattr(exc, "strerror", None) or str(exc))
    return Trial(None, frozenset(context.options))  # FFmpeg leaves there what the encoder did not take


def quiet(encoder: Encoder) -> None:
    """Keep SVT-AV1 from writing its banner, or that it was interrupted, to standard error; only the environment can."""
    if encoder.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "0")


H264 = encoder_of("libx264")
