"""Encoders by name: what they are given, and that one which does not work here is replaced aloud."""

from __future__ import annotations

from typing import Any

import pytest

from vidcam.errors import InputError
from vidcam.video import encoders
from vidcam.video.encoders import CONTAINERS, ENCODERS, choose_encoder, encoder_of, failure

SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}


@pytest.mark.parametrize(("container", "codec"), [(name, codec) for name in CONTAINERS for codec in CONTAINERS[name]])
def test_software_is_the_default_and_works(container: str, codec: str) -> None:
    encoder, notes = choose_encoder(codec, container)
    assert (encoder.name, encoder.codec, notes) == (SOFTWARE[codec], codec, ())
    assert failure(encoder, (65, 97)) is None


def test_a_container_has_a_codec_of_its_own() -> None:
    assert [choose_encoder(None, container)[0].codec for container in ("mp4", "webm")] == ["h264", "vp9"]
    assert choose_encoder(None, "mp4", encoder="libx265")[0].codec == "hevc"


def test_preset_and_quality_have_the_encoders_own_names() -> None:
    made = dict(encoder_of("libx264", preset="slow", quality=30).options)
    assert (made["preset"], made["crf"]) == ("slow", "30")
    assert dict(encoder_of("libvpx-vp9", preset="2").options)["cpu-used"] == "2"
    assert dict(encoder_of("h264_nvenc", quality=25).options)["cq"] == "25"


def test_hardware_is_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "failure", lambda each, _: None if each.name == "h264_qsv" else "no device")
    assert choose_encoder("h264", "mp4", encoder="hardware")[0].name == "h264_qsv"
    encoder, notes = choose_encoder("hevc", "mp4", encoder="hevc_nvenc", preset="p7", quality=20)
    assert encoder == encoder_of("libx265")
    assert notes == (
        "no hardware encoder works here (hevc_nvenc: no device); libx265 takes its place",
        "--preset and --quality left out, as libx265 has a scale of its own",
    )


def test_hardware_takes_what_it_has_of_preset_and_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "failure", lambda each, _: None if each.name == "h264_qsv" else "no device")
    encoder, notes = choose_encoder("h264", "mp4", encoder="hardware", preset="p7", quality=31)
    assert encoder == encoder_of("h264_qsv", quality=31)
    assert notes == ("--preset left out, as h264_qsv has a scale of its own",)
    assert choose_encoder("h264", "mp4", encoder="hardware", preset="faster", quality=31) == (
        encoder_of("h264_qsv", preset="faster", quality=31),
        (),
    )
    assert choose_encoder("h264", "mp4", encoder="hardware", quality=100)[0] == encoder_of("h264_qsv")


@pytest.mark.parametrize(("codec", "size"), [("hevc", (16, 4)), ("h264", (64, 20_000))])
def test_a_size_that_an_encoder_does_not_take(codec: str, size: tuple[int, int]) -> None:
    with pytest.raises(
        InputError, match=rf"{SOFTWARE[codec]} does not encode frames of {size[1]} × {size[0]} pixels \(.*\), exp"
    ):
        choose_encoder(codec, "mp4", size=size)


def test_usual_sizes_cost_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, int]] = []
    monkeypatch.setattr(encoders, "failure", lambda _, size: tried.append(size))
    for size in ((64, 4096), (63, 64), (64, 4098)):
        choose_encoder("h264", "mp4", size=size)
    assert tried == [(63, 64), (64, 4098)]


def test_every_encoder_is_described() -> None:
    assert {encoder_of(name).codec for name in ENCODERS} == {"h264", "hevc", "av1", "vp9"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("h264", "webm", {}), r"h264 does not go into a \.webm, expected vp9 or av1; choose another ending"),
        (("mpeg2", "mp4", {}), r"codec is 'mpeg2', expected one of h264, hevc, av1, vp9"),
        ((None, "mp4", {"encoder": "x265"}), r"encoder is 'x265', expected one of auto, hardware, libx264"),
        (("h264", "mp4", {"encoder": "libx265"}), r"encoder 'libx265' makes hevc, expected one for h264"),
        ((None, "mp4", {"preset": "p1"}), r"preset is 'p1', libx264 has ultrafast, superfast"),
        ((None, "mp4", {"quality": -1}), r"quality is -1, libx264 takes 0 to 51; 18 is its default"),
    ],
)
def test_what_is_unknown_or_does_not_fit(arguments: tuple[Any, str, dict[str, Any]], sentence: str) -> None:
    codec, container, options = arguments
    with pytest.raises(InputError, match=sentence):
        choose_encoder(codec, container, **options)


def test_an_ffmpeg_without_the_software_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "is_built_in", lambda name: name != "libsvtav1")
    with pytest.raises(InputError, match=r"this FFmpeg was built without libsvtav1, expected one that encodes av1"):
        choose_encoder("av1", "mp4")
