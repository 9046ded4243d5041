"""Encoders by name: their options, and the fallback with a note if an encoder does not work here."""

from __future__ import annotations

from typing import Any

import pytest

from vidcam.errors import InputError
from vidcam.video import encoders
from vidcam.video.encoders import (
    CONTAINERS,
    Encoder,
    EncoderTest,
    choose_encoder,
    named_encoder,
    run_encoder_test,
    software_encoder,
)

SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}


@pytest.mark.parametrize(("container", "codec"), [(name, codec) for name in CONTAINERS for codec in CONTAINERS[name]])
def test_software_is_the_default_and_works(container: str, codec: str) -> None:
    encoder, notes = choose_encoder(codec, container)
    assert (encoder.name, encoder.codec, notes) == (SOFTWARE[codec], codec, ())
    assert run_encoder_test(encoder, (65, 97)) == EncoderTest(None)


def test_each_container_has_a_default_codec() -> None:
    assert [choose_encoder(None, container)[0].codec for container in ("mp4", "webm")] == ["h264", "vp9"]
    assert choose_encoder(None, "mp4", encoder="libx265")[0].codec == "hevc"


def test_preset_and_quality_use_the_encoder_s_option_names() -> None:
    options = dict(software_encoder("libx264", preset="slow", quality=30).options)
    assert (options["preset"], options["crf"]) == ("slow", "30")
    assert dict(software_encoder("libvpx-vp9", preset="2").options)["cpu-used"] == "2"


def test_an_encoder_that_does_not_work_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "run_encoder_test", lambda *_: EncoderTest("no device"))
    assert choose_encoder(None, "mp4", encoder="hevc_videotoolbox") == (
        software_encoder("libx265"),
        ("hevc_videotoolbox does not work here (no device); libx265 is used instead",),
    )
    encoder, notes = choose_encoder("hevc", "mp4", encoder="hevc_nvenc", preset="p7", quality=20)
    assert encoder == software_encoder("libx265")
    assert notes[1:] == ("--preset and --quality are ignored, because libx265 uses other scales",)


def test_an_encoder_that_this_ffmpeg_lacks_is_replaced() -> None:
    encoder, notes = choose_encoder(None, "mp4", encoder="av1_nobody")
    assert encoder == software_encoder("libsvtav1")
    assert notes == ("av1_nobody does not work here (not in this FFmpeg); libsvtav1 is used instead",)


def test_a_codec_name_selects_its_software_encoder() -> None:
    """FFmpeg's command line does the same."""
    for codec, name in SOFTWARE.items():
        assert choose_encoder(None, "mp4", encoder=codec) == (software_encoder(name), ())


def test_a_named_encoder_keeps_ffmpeg_s_defaults() -> None:
    """This uses software encoders, because they work everywhere."""
    encoder, notes = named_encoder("libx264", "h264", preset="fast", quality=30, size=(64, 64))
    assert (encoder.name, encoder.codec, notes) == ("libx264", "h264", ())
    assert dict(encoder.options) == {"bf": "0", "preset": "fast", "crf": "30", "b": "0"}
    encoder, _ = named_encoder("libx265", "hevc", preset=None, quality=None, size=(64, 64))
    assert dict(encoder.options) == {"bf": "0"}


def test_the_quality_option_is_found_by_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def accept_only(known: str) -> None:
        def trial(encoder: Encoder, _size: tuple[int, int]) -> EncoderTest:
            return EncoderTest(None, frozenset(name for name, _ in encoder.options if name not in {"bf", "b", known}))

        monkeypatch.setattr(encoders, "run_encoder_test", trial)

    for known in ("crf", "cq", "qp"):
        accept_only(known)
        chosen, _ = choose_encoder(None, "mp4", encoder="h264_nvenc", quality=25)
        assert dict(chosen.options) == {"bf": "0", known: "25", "b": "0"}
    accept_only("preset")
    with pytest.raises(InputError, match=r"h264_nvenc has no constant quality .*; leave --quality out"):
        choose_encoder(None, "mp4", encoder="h264_nvenc", quality=25)


def test_a_preset_for_an_encoder_without_presets_is_refused() -> None:
    with pytest.raises(InputError, match=r"libvpx-vp9 has no presets; leave --preset out"):
        named_encoder("libvpx-vp9", "vp9", preset="fast", quality=None, size=(64, 64))


@pytest.mark.parametrize(("codec", "size"), [("hevc", (16, 4)), ("h264", (64, 20_000))])
def test_a_size_that_an_encoder_does_not_support(codec: str, size: tuple[int, int]) -> None:
    with pytest.raises(
        InputError, match=rf"{SOFTWARE[codec]} cannot encode {size[1]}×{size[0]} pixels \(.*\); change --height"
    ):
        choose_encoder(codec, "mp4", size=size)


def test_usual_sizes_are_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def trial(_encoder: Encoder, size: tuple[int, int]) -> EncoderTest:
        sizes.append(size)
        return EncoderTest(None)

    monkeypatch.setattr(encoders, "run_encoder_test", trial)
    for size in ((64, 4096), (63, 64), (64, 4098)):
        choose_encoder("h264", "mp4", size=size)
    assert sizes == [(63, 64), (64, 4098)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("h264", "webm", {}), r"a \.webm cannot hold h264; use vp9 or av1"),
        (("mpeg2", "mp4", {}), r"--codec must be one of h264, hevc, av1, vp9, got 'mpeg2'"),
        ((None, "mp4", {"encoder": "x265"}), r"--encoder 'x265' is unknown; use auto or FFmpeg's name"),
        ((None, "mp4", {"encoder": "hardware"}), r"--encoder 'hardware' .*, such as h264_nvenc"),
        ((None, "mp4", {"encoder": "mpeg4"}), r"--encoder 'mpeg4' makes mpeg4; use one .* h264, hevc, av1, vp9"),
        ((None, "mp4", {"encoder": "aac"}), r"--encoder 'aac' makes aac; use one .* h264, hevc, av1, vp9"),
        (("h264", "mp4", {"encoder": "libx265"}), r"--encoder 'libx265' makes hevc, not h264"),
        ((None, "mp4", {"preset": "p1"}), r"--preset 'p1' is unknown to libx264; choose from ultrafast, superfast"),
        ((None, "mp4", {"quality": -1}), r"--quality must be 0 to 51 for libx264 \(default 18\), got -1"),
    ],
)
def test_unknown_or_conflicting_options_are_refused(arguments: tuple[Any, str, dict[str, Any]], message: str) -> None:
    codec, container, options = arguments
    with pytest.raises(InputError, match=message):
        choose_encoder(codec, container, **options)


def test_an_ffmpeg_without_the_software_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "has_encoder", lambda name: name != "libsvtav1")
    with pytest.raises(InputError, match=r"this FFmpeg has no libsvtav1, the encoder for av1"):
        choose_encoder("av1", "mp4")
