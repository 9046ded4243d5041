"""Encoders by name: what they are given, and that one which does not work here is replaced aloud."""

from __future__ import annotations

from typing import Any

import pytest

from vidcam.errors import InputError
from vidcam.video import encoders
from vidcam.video.encoders import CONTAINERS, Encoder, Trial, choose_encoder, encoder_of, named_encoder, tried

SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}


@pytest.mark.parametrize(("container", "codec"), [(name, codec) for name in CONTAINERS for codec in CONTAINERS[name]])
def test_software_is_the_default_and_works(container: str, codec: str) -> None:
    encoder, notes = choose_encoder(codec, container)
    assert (encoder.name, encoder.codec, notes) == (SOFTWARE[codec], codec, ())
    assert tried(encoder, (65, 97)) == Trial(None)


def test_a_container_has_a_codec_of_its_own() -> None:
    assert [choose_encoder(None, container)[0].codec for container in ("mp4", "webm")] == ["h264", "vp9"]
    assert choose_encoder(None, "mp4", encoder="libx265")[0].codec == "hevc"


def test_preset_and_quality_have_the_encoders_own_names() -> None:
    made = dict(encoder_of("libx264", preset="slow", quality=30).options)
    assert (made["preset"], made["crf"]) == ("slow", "30")
    assert dict(encoder_of("libvpx-vp9", preset="2").options)["cpu-used"] == "2"


def test_one_that_does_not_work_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "tried", lambda *_: Trial("no device"))
    assert choose_encoder(None, "mp4", encoder="hevc_videotoolbox") == (
        encoder_of("libx265"),
        ("hevc_videotoolbox does not work here (no device); libx265 takes its place",),
    )
    encoder, notes = choose_encoder("hevc", "mp4", encoder="hevc_nvenc", preset="p7", quality=20)
    assert encoder == encoder_of("libx265")
    assert notes[1:] == ("--preset and --quality are left out, as libx265 has a scale of its own",)


def test_one_that_this_ffmpeg_does_not_have_is_replaced() -> None:
    encoder, notes = choose_encoder(None, "mp4", encoder="av1_nobody")
    assert encoder == encoder_of("libsvtav1")
    assert notes == ("av1_nobody does not work here (not in this FFmpeg); libsvtav1 takes its place",)


def test_a_codec_s_name_means_its_software_encoder() -> None:
    """As on FFmpeg's own command line."""
    for codec, name in SOFTWARE.items():
        assert choose_encoder(None, "mp4", encoder=codec) == (encoder_of(name), ())


def test_a_named_encoder_keeps_ffmpeg_s_defaults_and_gets_what_it_has_an_option_for() -> None:
    """Tried with encoders that work everywhere, as if nothing were known of them."""
    made, notes = named_encoder("libx264", "h264", preset="fast", quality=30, size=(64, 64))
    assert (made.name, made.codec, notes) == ("libx264", "h264", ())
    assert dict(made.options) == {"bf": "0", "preset": "fast", "crf": "30", "b": "0"}
    made, _ = named_encoder("libx265", "hevc", preset=None, quality=None, size=(64, 64))
    assert dict(made.options) == {"bf": "0"}


def test_the_option_for_a_quality_is_found_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    def only(known: str) -> None:
        def trial(encoder: Encoder, _size: tuple[int, int]) -> Trial:
            return Trial(None, frozenset(name for name, _ in encoder.options if name not in {"bf", "b", known}))

        monkeypatch.setattr(encoders, "tried", trial)

    for known in ("crf", "cq", "qp"):
        only(known)
        made, _ = choose_encoder(None, "mp4", encoder="h264_nvenc", quality=25)
        assert dict(made.options) == {"bf": "0", known: "25", "b": "0"}
    only("preset")
    with pytest.raises(InputError, match=r"h264_nvenc has no constant quality .*; leave --quality out"):
        choose_encoder(None, "mp4", encoder="h264_nvenc", quality=25)


def test_a_preset_that_an_encoder_has_no_option_for_is_refused() -> None:
    with pytest.raises(InputError, match=r"libvpx-vp9 has no presets; leave --preset out"):
        named_encoder("libvpx-vp9", "vp9", preset="fast", quality=None, size=(64, 64))


@pytest.mark.parametrize(("codec", "size"), [("hevc", (16, 4)), ("h264", (64, 20_000))])
def test_a_size_that_an_encoder_does_not_take(codec: str, size: tuple[int, int]) -> None:
    with pytest.raises(
        InputError, match=rf"{SOFTWARE[codec]} does not encode frames of {size[1]} × {size[0]} pixels \(.*\), exp"
    ):
        choose_encoder(codec, "mp4", size=size)


def test_usual_sizes_cost_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def trial(_encoder: Encoder, size: tuple[int, int]) -> Trial:
        sizes.append(size)
        return Trial(None)

    monkeypatch.setattr(encoders, "tried", trial)
    for size in ((64, 4096), (63, 64), (64, 4098)):
        choose_encoder("h264", "mp4", size=size)
    assert sizes == [(63, 64), (64, 4098)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("h264", "webm", {}), r"h264 does not go into a \.webm, expected vp9 or av1; choose another ending"),
        (("mpeg2", "mp4", {}), r"codec is 'mpeg2', expected one of h264, hevc, av1, vp9"),
        (
            (None, "mp4", {"encoder": "x265"}),
            r"encoder is 'x265', expected auto or FFmpeg's name of one, such as",
        ),
        ((None, "mp4", {"encoder": "hardware"}), r"encoder is 'hardware', expected .* name it, e\.g\. h264_nvenc"),
        ((None, "mp4", {"encoder": "mpeg4"}), r"encoder 'mpeg4' makes mpeg4, expected one for h264, hevc, av1, vp9"),
        ((None, "mp4", {"encoder": "aac"}), r"encoder 'aac' makes aac, expected one for h264, hevc, av1, vp9"),
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
