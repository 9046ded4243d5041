"""Encoders: FFmpeg's names, their options, and a test whether an encoder works on this machine.

Software encoders are the default. They give the same bytes on every machine, and their options are tuned here. Any
other encoder is chosen by its FFmpeg name and keeps FFmpeg's defaults. It is tested on one frame of the video's size
before anything is written. If it fails, the software encoder is used instead and a note says so.

Quality is constant, on the encoder's own scale; lower is better.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast, get_args

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vidcam.errors import InputError

Codec = Literal["h264", "hevc", "av1", "vp9"]
CODECS: tuple[Codec, ...] = get_args(Codec)
CONTAINERS: Mapping[str, tuple[Codec, ...]] = {"mp4": ("h264", "hevc", "av1", "vp9"), "webm": ("vp9", "av1")}
"""Container → the codecs that it supports, its default first."""

ODD_SIZES: tuple[Codec, ...] = ("av1", "vp9")
"""The codecs that store odd sizes."""

UNTESTED_SIDES_PX = (64, 4096)
"""Shortest and longest side that all software encoders accept. Other sizes are tested on one frame."""

_QUALITY_OPTIONS = ("crf", "cq", "qp")
"""Names that encoders use for a constant quality."""

_X26X_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_NUMERIC_PRESETS = tuple(map(str, range(14)))


@dataclass(frozen=True, slots=True)
class _SoftwareEncoder:
    """Options of a software encoder.

    Attributes:
        codec: the codec that it makes.
        preset_key: the encoder's name for the preset option.
        presets: the presets that it accepts.
        preset: the default preset.
        max_quality: the largest value of its quality scale; the smallest is 0.
        quality: the default quality.
        fixed: options that are always set.
    """

    codec: Codec
    preset_key: str
    presets: tuple[str, ...]
    preset: str
    max_quality: int
    quality: int
    fixed: tuple[tuple[str, str], ...] = ()


# No encoder uses B-frames; `writer` explains why. mbtree is off because x264's macroblock tree reads uninitialised
# memory in small frames, so that the bytes differ between runs.
_SOFTWARE: Mapping[str, _SoftwareEncoder] = {
    "libx264": _SoftwareEncoder(
        codec="h264",
        preset_key="preset",
        presets=_X26X_PRESETS,
        preset="veryfast",
        max_quality=51,
        quality=18,
        fixed=(("bf", "0"), ("profile", "high"), ("x264-params", "mbtree=0")),
    ),
    "libx265": _SoftwareEncoder(
        codec="hevc",
        preset_key="preset",
        presets=_X26X_PRESETS,
        preset="veryfast",
        max_quality=51,
        quality=20,
        fixed=(("x265-params", "bframes=0:log-level=none"),),
    ),
    "libsvtav1": _SoftwareEncoder(
        codec="av1",
        preset_key="preset",
        presets=_NUMERIC_PRESETS,
        preset="10",
        max_quality=63,
        quality=28,
        fixed=(("svtav1-params", "pred-struct=1"),),
    ),
    "libvpx-vp9": _SoftwareEncoder(
        codec="vp9",
        preset_key="cpu-used",
        presets=_NUMERIC_PRESETS[:9],
        preset="6",
        max_quality=63,
        quality=24,
        fixed=(("b", "0"), ("deadline", "good"), ("row-mt", "1"), ("auto-alt-ref", "0"), ("lag-in-frames", "0")),
    ),
}


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder with its options.

    Attributes:
        name: FFmpeg's name for the encoder.
        codec: the codec that it makes.
        options: FFmpeg's options, as (name, value).
    """

    name: str
    codec: Codec
    options: tuple[tuple[str, str], ...]

    def stored_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) in which frames are stored: in H.264 and HEVC with 4:2:0 chroma it is even."""
        height, width = size
        return size if self.codec in ODD_SIZES else (height + height % 2, width + width % 2)


@dataclass(frozen=True, slots=True)
class EncoderTest:
    """The result of encoding one frame.

    Attributes:
        reason: why it failed; None: it worked.
        unknown: the options that the encoder does not have.
    """

    reason: str | None
    unknown: frozenset[str] = frozenset()


def software_encoder(name: str, *, preset: str | None = None, quality: int | None = None) -> Encoder:
    """Configure a software encoder.

    Args:
        name: FFmpeg's name for the encoder.
        preset: one of its presets; None: the default.
        quality: on its own scale; None: the default.

    Raises:
        InputError: the preset is unknown or the quality is out of range.
    """
    defaults = _SOFTWARE[name]
    if preset is not None and preset not in defaults.presets:
        raise InputError(f"--preset {preset!r} is unknown to {name}; choose from {', '.join(defaults.presets)}")
    if quality is not None and not 0 <= quality <= defaults.max_quality:
        raise InputError(
            f"--quality must be 0 to {defaults.max_quality} for {name} (default {defaults.quality}), got {quality}"
        )
    options = (
        (defaults.preset_key, preset or defaults.preset),
        ("crf", str(defaults.quality if quality is None else quality)),
    )
    return Encoder(name, defaults.codec, (*defaults.fixed, *options))


def choose_encoder(
    codec: str | None,
    container: str,
    *,
    encoder: str = "auto",
    preset: str | None = None,
    quality: int | None = None,
    size: tuple[int, int] = (256, 256),
) -> tuple[Encoder, tuple[str, ...]]:
    """Choose the encoder for a file.

    Args:
        codec: 'h264', 'hevc', 'av1' or 'vp9'; None: the encoder's codec, or the container's default.
        container: 'mp4' or 'webm'.
        encoder: 'auto' (software), or FFmpeg's name for an encoder.
        preset: a preset of the encoder; None: the default.
        quality: on the encoder's own scale; None: the default.
        size: (height, width) of the frames, for the test of the encoder.

    Returns:
        The encoder, and notes about what had to be replaced.

    Raises:
        InputError: a name is unknown, the container does not support the codec, or the encoder does not have an option.
    """
    supported = CONTAINERS[container]
    requested = None if encoder == "auto" else _resolve_name(encoder)
    target_codec = _checked_codec(codec) if codec else requested[1] if requested else supported[0]
    if target_codec not in supported:
        raise InputError(
            f"a .{container} cannot hold {target_codec}; use {' or '.join(supported)}, or another file ending"
        )
    if requested is not None and requested[1] != target_codec:
        raise InputError(f"--encoder {encoder!r} makes {requested[1]}, not {target_codec}; leave --codec out")
    software = _software_name(target_codec)
    if requested is None or requested[0] == software:
        return _require_size(software_encoder(software, preset=preset, quality=quality), size), ()
    return named_encoder(*requested, preset=preset, quality=quality, size=size)


def _checked_codec(name: str) -> Codec:
    if name not in CODECS:
        raise InputError(f"--codec must be one of {', '.join(CODECS)}, got {name!r}")
    return name


def _resolve_name(name: str) -> tuple[str, Codec]:
    """Return FFmpeg's own name for an encoder, and its codec.

    If this FFmpeg does not have the encoder, the codec is read from the beginning of its name.
    """
    if name == "hardware":
        raise InputError("--encoder 'hardware' is not an encoder; name one, such as h264_nvenc")
    if has_encoder(name):
        encoder = av.codec.Codec(name, "w")
        name, codec = encoder.name, encoder.canonical_name
    else:
        codec = name.partition("_")[0]
        if codec not in CODECS:
            raise InputError(f"--encoder {name!r} is unknown; use auto or FFmpeg's name, such as libx264 or h264_nvenc")
    if codec not in CODECS:
        raise InputError(f"--encoder {name!r} makes {codec}; use one for {', '.join(CODECS)}")
    return name, codec


def _software_name(codec: Codec) -> str:
    name = next(name for name, defaults in _SOFTWARE.items() if defaults.codec == codec)
    if not has_encoder(name):
        raise InputError(f"this FFmpeg has no {name}, the encoder for {codec}; choose another --codec")
    return name


def _require_size(encoder: Encoder, size: tuple[int, int]) -> Encoder:
    """Return the same encoder, after a test if the frames have an unusual size."""
    if min(size) >= UNTESTED_SIDES_PX[0] and max(size) <= UNTESTED_SIDES_PX[1]:
        return encoder
    reason = run_encoder_test(encoder, size).reason
    if reason is not None:
        raise InputError(
            f"{encoder.name} cannot encode {size[1]}×{size[0]} pixels ({reason}); change --height or --codec"
        )
    return encoder


def named_encoder(
    name: str, codec: Codec, *, preset: str | None, quality: int | None, size: tuple[int, int]
) -> tuple[Encoder, tuple[str, ...]]:
    """Configure any encoder with FFmpeg's defaults, or the software encoder if that one does not work here.

    `name` is FFmpeg's own, `codec` what it makes. The other arguments and the result are those of `choose_encoder`.

    Raises:
        InputError: a preset or a quality was passed, and the encoder has no option for it.
    """
    options = [("bf", "0")] if preset is None else [("bf", "0"), ("preset", preset)]
    for key in ("",) if quality is None else _QUALITY_OPTIONS:
        # A bit rate would limit a constant quality, so it is set to 0.
        quality_options = () if quality is None else ((key, str(quality)), ("b", "0"))
        encoder = Encoder(name, codec, (*options, *quality_options))
        test = run_encoder_test(encoder, size)
        if test.reason is not None:
            has_settings = preset is not None or quality is not None
            return _use_software(encoder, test.reason, size, has_settings=has_settings)
        if "preset" in test.unknown:
            raise InputError(f"{name} has no presets; leave --preset out")
        if key not in test.unknown:
            return encoder, ()
    raise InputError(f"{name} has no constant quality ({', '.join(_QUALITY_OPTIONS)}); leave --quality out")


def _use_software(
    encoder: Encoder, reason: str, size: tuple[int, int], *, has_settings: bool
) -> tuple[Encoder, tuple[str, ...]]:
    software = _software_name(encoder.codec)
    notes = [f"{encoder.name} does not work here ({reason}); {software} is used instead"]
    if has_settings:
        notes.append(f"--preset and --quality are ignored, because {software} uses other scales")
    return _require_size(software_encoder(software), size), tuple(notes)


def has_encoder(name: str) -> bool:
    """Return whether this FFmpeg has an encoder of this name."""
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def run_encoder_test(encoder: Encoder, size: tuple[int, int]) -> EncoderTest:
    """Encode one frame of (height, width) and say what happened."""
    if not has_encoder(encoder.name):
        return EncoderTest("not in this FFmpeg")
    silence_encoder(encoder)
    height, width = encoder.stored_size(size)
    try:
        context = cast("VideoCodecContext", av.CodecContext.create(encoder.name, "w"))
        context.height, context.width, context.pix_fmt = height, width, "yuv420p"
        context.time_base, context.options = Fraction(1, 25), dict(encoder.options)
        frame = VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts = 0
        context.encode(frame)
        context.encode(None)
    except (av.FFmpegError, ValueError) as exc:
        return EncoderTest(getattr(exc, "strerror", None) or str(exc))
    return EncoderTest(None, frozenset(context.options))  # FFmpeg leaves the options there that the encoder did not use


def silence_encoder(encoder: Encoder) -> None:
    """Keep SVT-AV1 from writing to standard error. Only an environment variable can do this."""
    if encoder.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "0")


def library_versions() -> dict[str, str]:
    """FFmpeg's libraries and their versions."""
    versions: Mapping[str, tuple[int, ...]] = av.library_versions
    return {name: ".".join(map(str, version)) for name, version in sorted(versions.items())}


def available_encoders() -> dict[str, tuple[str, ...]]:
    """Codec → FFmpeg's names of its encoders, the default first; whether their hardware is there is not tried."""
    found: dict[str, list[str]] = {codec: [] for codec in CODECS}
    for name in sorted(av.codecs_available):
        try:
            codec = av.codec.Codec(name, "w")
        except av.codec.codec.UnknownCodecError:  # a decoder only
            continue
        if codec.canonical_name in found:
            found[codec.canonical_name].append(codec.name)
    return {codec: tuple(dict.fromkeys(names)) for codec, names in found.items()}


H264 = software_encoder("libx264")
