"""What PyAV's FFmpeg can do on this machine."""

from __future__ import annotations

from collections.abc import Mapping

import av

from vidcam.video.encoders import CODECS


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
