"""What a player shows of transparency, animated images, interlaced films, odd turns and holes: read, or said."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, features

from tests.helpers.clips import frames_of
from tests.helpers.odd import COUNT, alpha_frames, greys, h264, level
from tests.helpers.videos import patch_matrix, write_video
from vidcam.errors import MediaError
from vidcam.video import open_video, probe
from vidcam.video.animation import AnimationWriter

# ---- transparency


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_webm_with_transparency_is_shown_on_black(tmp_path: Path, codec: str) -> None:
    path, options = tmp_path / "a.webm", {"auto-alt-ref": "0", "b": "4M", "g": "10"}
    unit = Fraction(1, 25)
    write_video(path, alpha_frames(), codec=codec, pixel_format="yuva420p", options=options, time_base=unit)
    order = np.sort(np.random.default_rng(1).permutation(COUNT)[:12])
    with open_video(path) as reader:
        whole = np.stack([frame for _, frame in reader.frames()])
        some, _ = frames_of(reader, reader.info.pts_seconds[order] + 1e-6)
        assert (reader.notes, reader.info.frame_count) == ((), COUNT)
    np.testing.assert_array_equal(some, whole[order])
    for index, frame in enumerate(whole):
        np.testing.assert_allclose(frame[:20], level(index), atol=4)
        np.testing.assert_allclose(frame[28:], level(index) * 128 / 255, atol=4)


# ---- animated images

DURATIONS = [40, 60, 40, 100, 40, 120, 40, 80]


def animation(path: Path, *, has_alpha: bool = False, durations: Sequence[int] = DURATIONS) -> Path:
    shown = alpha_frames()[:8] if has_alpha else greys(8)
    first, *others = (Image.fromarray(frame) for frame in shown)
    every: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".avif": {"quality": 100}}
    exact = every.get(path.suffix, {})
    form = "PNG" if path.suffix == ".apng" else None
    first.save(path, format=form, save_all=True, append_images=others, duration=list(durations), loop=0, **exact)
    return path


@pytest.mark.parametrize("suffix", [".webp", ".apng", ".avif", ".gif"])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_animated_images(tmp_path: Path, suffix: str, has_alpha: bool) -> None:
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("Pillow was built without AVIF")
    if suffix == ".gif" and has_alpha:
        pytest.skip("GIF has no half transparent pixels")
    with open_video(animation(tmp_path / f"a{suffix}", has_alpha=has_alpha)) as reader:
        whole = np.stack([frame for _, frame in reader.frames()])
        back, _ = frames_of(reader, reader.info.pts_seconds[[5, 6, 7]] + 1e-6)
        first, _ = frames_of(reader, np.array([0.0]))
        info = reader.info
        assert reader.notes == ()
    np.testing.assert_allclose(info.pts_seconds, np.cumsum([0, *DURATIONS[:-1]]) / 1000, atol=1e-3)
    if suffix != ".apng":  # FFmpeg does not say how long the last frame of an APNG is shown
        assert info.duration_seconds == pytest.approx(sum(DURATIONS) / 1000, abs=1e-3)
    expected = np.array([level(index) for index in range(8)])
    np.testing.assert_allclose(whole[:, :20].mean(axis=(1, 2, 3)), expected, atol=2)
    shade = 128 / 255 if has_alpha else 1
    np.testing.assert_allclose(whole[:, 28:].mean(axis=(1, 2, 3)), expected * shade, atol=2)
    np.testing.assert_array_equal(back, whole[5:])
    np.testing.assert_array_equal(first[0], whole[0])


def test_the_webp_that_vidcam_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "film.webp"
    with AnimationWriter(path, size=(48, 64), count=10, duration_seconds=0.4) as writer:
        for index, frame in enumerate(greys(10)):
            writer.write(frame, index / 25)
    info = probe(path)
    np.testing.assert_allclose(info.pts_seconds, np.arange(10) / 25, atol=1e-9)
    assert (info.codec, info.size, info.fps) == ("webp", (48, 64), Fraction(25))


HOURS = 4 * 3_600_000


@pytest.mark.parametrize(
    ("durations", "repaired", "times"),
    [
        ([40] * 3 + [HOURS] + [40] * 4, [40] * 8, "by 1.44e+04 s; this jump is"),
        ([HOURS] * 8, [40] * 8, "8 times, by up to 1.44e+04 s; these jumps are"),
        ([50_000] * 8, [50_000] * 8, None),
    ],
)
def test_a_frame_that_lasts_for_hours(
    tmp_path: Path, durations: list[int], repaired: list[int], times: str | None
) -> None:
    info = probe(animation(tmp_path / "a.webp", durations=durations))
    np.testing.assert_allclose(info.pts_seconds, np.cumsum([0, *repaired[:-1]]) / 1000, atol=1e-9)
    assert info.duration_seconds == pytest.approx(sum(repaired) / 1000)
    assert [times in note for note in info.notes] == [True] if times else info.notes == ()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_webp_that_is_cut_short(tmp_path: Path, share: float) -> None:
    path = animation(tmp_path / "a.webp")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MediaError, match="cannot be read as an animated image"):
        open_video(path)


def test_an_animation_of_too_many_large_frames_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.video.animated.MAX_PIXELS_IN_ALL", 48 * 64 * 7)
    with pytest.raises(MediaError, match=r"has 8 frames of 64×48 pixels; .* convert it to MP4"):
        open_video(animation(tmp_path / "a.webp"))


# ---- interlaced


def interlaced(path: Path) -> Path:
    """Twenty frames; the upper field of each is darker than the lower one."""
    with av.open(str(path), "w") as container:
        options = {"flags": "+ildct+ilme", "field_order": "tt", "b": "4M"}
        stream = container.add_stream("mpeg2video", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        graph = av.filter.Graph()
        source = graph.add_buffer(width=64, height=48, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25))
        marked, sink = graph.add("setfield", "tff"), graph.add("buffersink")
        source.link_to(marked)
        marked.link_to(sink)
        graph.configure()
        for index, frame in enumerate(greys(20)):
            frame[1::2] += 60
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            picture.pts = index
            graph.push(picture)
            container.mux(stream.encode(graph.pull()))  # type: ignore[arg-type]
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mpg", "a.ts", "a.mkv"])
def test_an_interlaced_film_is_said(tmp_path: Path, name: str) -> None:
    with open_video(interlaced(tmp_path / name)) as reader:
        assert sum("the video is interlaced: each frame holds two moments" in note for note in reader.notes) == 1
        _, frame = next(reader.frames())
        assert frame[1::2].mean() - frame[::2].mean() > 30  # both fields are shown, as the note says


# ---- odd turns


@pytest.mark.parametrize(("degrees", "shown"), [(30, 0), (60, 90), (-100, 270)])
def test_other_turns_than_quarter_turns_are_said(tmp_path: Path, degrees: int, shown: int) -> None:
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    info = probe(patch_matrix(h264(tmp_path / "a.mp4", greys(5)), (cosine, -sine, sine, cosine)))
    assert info.rotation_degrees == shown
    (note,) = info.notes
    assert f"shown at {shown}°, the nearest quarter turn" in note


def test_a_shear_is_said(tmp_path: Path) -> None:
    (note,) = probe(patch_matrix(h264(tmp_path / "a.mp4", greys(5)), (1, 0, 1, 1))).notes
    assert "or a shear" in note


# ---- holes in a folder


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["a1.png", "a2.png", "a4.png"], "number 3 is missing; "),
        (["a08.png", "a09.png", "a12.png"], "numbers 10–11 are missing; "),
        (["0.png", "10.png", "20.png", "40.png"], "number 30 is missing; "),
        (["0.png", "10.png", "20.png"], None),
        (["a1.png", "b3.png"], None),
        (["one.png", "two.png"], None),
        (["7.png"], None),
    ],
)
def test_holes_of_a_folder_are_said(tmp_path: Path, names: list[str], note: str | None) -> None:
    for name, frame in zip(names, greys(len(names)), strict=True):
        Image.fromarray(frame).save(tmp_path / name)
    expected = () if note is None else (f"{note}the images around a hole follow each other directly",)
    assert probe(tmp_path, fps=Fraction(25)).notes == expected
