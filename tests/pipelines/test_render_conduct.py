"""`render` beyond its forms: frames of any size, options without effect, the film that stays, strips of parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.saved import COUNT, SIZE, found_box, save_hot
from tests.helpers.videos import click, click_seconds, sound_span, write_video
from tests.pipelines.test_render import BARE, PTS, copied, opened, read, render
from vidcam.errors import InputError, MediaError, OutputError
from vidcam.film import load_film
from vidcam.origin import content_hash
from vidcam.pipelines.draw import PIXEL_SECONDS
from vidcam.pipelines.render import render_film
from vidcam.pipelines.render_options import RenderOptions
from vidcam.progress import Course
from vidcam.render.colormap import colour_table
from vidcam.render.film_strip import FilmStrip, StripPicture
from vidcam.render.letters import Box, caption_box, colour_bar_box
from vidcam.render.sheet import Sheet, draw_sheet
from vidcam.timeline import Timeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


# ---- sizes: what small frames leave out, and what is too large


def words(saved: Path, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> set[tuple[str, ...]]:
    """What the captions of a poster say."""
    said: set[tuple[str, ...]] = set()

    def say(lines: tuple[str, ...], unit_px: int, room_px: int) -> Box:
        said.add(lines)
        return caption_box(lines, unit_px, room_px)

    monkeypatch.setattr("vidcam.pipelines.compose.caption_box", say)
    render(saved, out, overwrite=True, **options)
    return said


def test_a_small_frame_says_the_label_or_what_tells_cells_apart(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, beside = tmp_path / "p.png", {"style": "side-by-side"}
    assert words(saved, out, monkeypatch) == {("running",)}
    assert words(saved, out, monkeypatch, **beside, targets=("running",)) == {
        ("source",),
        ("gradcam",),
        ("gradcam++",),
    }
    both = words(saved, out, monkeypatch, **beside, methods=("gradcam++",))
    assert both == {("source",), ("running",), ("jumping",)}
    all_of_them = words(saved, out, monkeypatch, **beside)
    assert all_of_them >= {("gradcam · running",), ("gradcam++ · jumping",)}
    assert words(saved, out, monkeypatch, height=96) == set()


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (
            {},
            ("frames of 160 × 128 are too small for the colour bar and the caption's second line; a larger",),
        ),
        ({"height": 64}, ("frames of 80 × 64 are too small for the colour bar and the caption; a larger --height",)),
        ({"height": 64, "has_bar": False}, ("frames of 80 × 64 are too small for the caption; a larger --height",)),
        ({"height": 64, "has_caption": False, "style": "map"}, ()),
        ({"height": 168}, ()),
    ],
)
@pytest.mark.parametrize("name", ["p.png", "p.mp4"])
def test_what_is_left_out_is_said(
    name: str, options: dict[str, Any], notes: tuple[str, ...], saved: Path, tmp_path: Path
) -> None:
    made = render(saved, tmp_path / name, end_seconds=0.1, **options)
    assert len(made.notes) == len(notes)
    assert all(note.startswith(start) for note, start in zip(made.notes, notes, strict=True))


def test_boxes_never_cover_most_of_a_picture(saved: Path, tmp_path: Path) -> None:
    for height in range(16, 300, 12):
        out = tmp_path / f"{height}.png"
        render(saved, out, style="heat", has_outline=False, height=height)
        bare = tmp_path / f"{height}-bare.png"
        render(saved, bare, style="heat", has_outline=False, height=height, has_caption=False, has_bar=False)
        assert (opened(out) != opened(bare)).any(axis=2).mean() <= 3 / 8


@pytest.mark.parametrize("name", ["p.mp4", "p.gif", "p.png"])
@pytest.mark.parametrize("has_strip", [False, True])
def test_pictures_that_are_too_large(
    name: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_strip: bool
) -> None:
    monkeypatch.setattr("vidcam.pipelines.compose._scaled", lambda _, height: (height, 20000))  # a very wide film
    with pytest.raises(InputError, match=r"the pictures would have 20000 × \d+ pixels, expected at most 16384 a side"):
        render(saved, tmp_path / name, height=100, has_strip=has_strip)
    assert list(tmp_path.iterdir()) == []


# ---- the film is not lost, and what an option cannot do is said


def test_the_film_is_never_replaced_by_what_is_drawn_of_it(saved: Path, tmp_path: Path) -> None:
    mine = copied(saved, tmp_path)
    film, bytes_before = tmp_path / "film.mp4", (tmp_path / "film.mp4").read_bytes()
    (tmp_path / "hard.mp4").hardlink_to(film)
    (tmp_path / "soft.mp4").symlink_to(film)
    for name in ("film.mp4", "hard.mp4", "soft.mp4"):
        with pytest.raises(OutputError, match=rf"{name}' is the film that is drawn, or one of its images; expected"):
            render(mine, tmp_path / name, overwrite=True)
    assert film.read_bytes() == bytes_before
    assert len(list(tmp_path.iterdir())) == 4


def test_the_images_of_a_film_stay(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    render(saved, folder, **BARE)
    film = load_film(saved)
    assert film.origin is not None
    images = sorted(folder.glob("*.png"))
    origin = dataclasses.replace(film.origin, path="frames", content_hash=content_hash(images), fps="25")
    again = tmp_path / "again.npz"
    dataclasses.replace(film, origin=origin).save(again)
    for place in (folder, folder / "poster.png"):
        with pytest.raises(OutputError, match=r"is the film that is drawn, or one of its images"):
            render(again, place, overwrite=True)
    assert sorted(folder.glob("*.png")) == images
    render(again, folder / "film.mp4", **BARE)  # no image: the film stays what it is
    render(again, tmp_path / "p.png", **BARE)


def test_a_folder_of_any_name(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'take\.2' ends in '\.2', expected .*; for a folder of that name pass --form"
    ):
        render(saved, tmp_path / "take.2", **BARE)
    render(saved, tmp_path / "take.2", **BARE, form="frames", end_seconds=0.1)
    assert (tmp_path / "take.2" / "times.csv").is_file()
    with pytest.raises(InputError, match=r"form is 'frames' and the result 'p\.mp4', expected no ending"):
        render(saved, tmp_path / "p.mp4", **BARE, form="frames")


@pytest.mark.parametrize(
    ("name", "options", "note"),
    [
        (
            "p.gif",
            {"codec": "av1", "preset": "3"},
            ("--codec, --preset have no effect on what was asked for (gif, heat)",),
        ),
        ("p", {"quality": 3}, ("--quality has no effect on what was asked for (frames, heat)",)),
        ("p.png", {"encoder": "hardware"}, ("--encoder has no effect on what was asked for (poster, heat)",)),
        (
            "p.png",
            {"form": "sheet", "has_strip": True},
            ("--style, --caption, --bar, --strip have no effect on what was asked for (sheet, heat)",),
        ),
        ("p.mp4", {"fill": "blur"}, ("--fill has no effect on what was asked for (mp4, heat)",)),
        ("p.mp4", {"style": "map", "fill": "blur", "quality": 20}, ()),
        ("p.webp", {"quality": 20}, ()),
    ],
)
def test_options_without_effect_are_said(
    name: str, options: dict[str, Any], note: tuple[str, ...], saved: Path, tmp_path: Path
) -> None:
    assert render(saved, tmp_path / name, **{**BARE, **options}, end_seconds=0.1).notes == note


def test_the_sheet_is_of_what_was_asked_for(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets: list[Sheet] = []

    def draw(sheet: Sheet) -> bytes:
        sheets.append(sheet)
        return draw_sheet(sheet)

    monkeypatch.setattr("vidcam.pipelines.contact.draw_sheet", draw)
    asked: dict[str, Any] = {"form": "sheet", "targets": ("per-window",), "colours": "viridis"}
    render(saved, tmp_path / "s.png", **asked, start_seconds=0.5, end_seconds=0.8)
    (sheet,) = sheets
    assert sheet.target == "each window's top class"
    assert sheet.table.tolist() == colour_table("viridis").tolist()
    assert sheet.strip.span_seconds == (0.48, 0.8)
    assert [window[:2] for window in sheet.strip.windows] == [
        pytest.approx((0.3733, 0.7467), abs=1e-4),
        pytest.approx((0.7467, 1.12), abs=1e-4),
    ]
    assert sheet.strip.seconds.min() >= 0.48
    assert sheet.strip.seconds.max() < 0.8


def test_the_time_left_is_told_from_the_first_frame(saved: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float, float | None, float, float | None]] = []
    course = Course(lambda *what: told.append(what), lambda: 7.0)  # a clock that stands still: nothing but expectation
    render_film(saved, tmp_path / "p.mp4", options=RenderOptions(**BARE), progress=course)
    assert [each[1:3] for each in told] == [(done, COUNT) for done in range(1, COUNT + 1)]
    pixels = 2 * SIZE[0] * SIZE[1]
    assert told[0][4] == pytest.approx((COUNT - 1) * pixels * PIXEL_SECONDS / (1 + 20 / COUNT))
    assert told[-1][4] == 0.0


# ---- the strip of a part


def strips(monkeypatch: pytest.MonkeyPatch) -> list[FilmStrip]:
    """The strips that are drawn from now on."""
    taken: list[FilmStrip] = []

    def draw(strip: FilmStrip, size: tuple[int, int]) -> StripPicture:
        taken.append(strip)
        return StripPicture(strip, size)

    monkeypatch.setattr("vidcam.pipelines.compose.StripPicture", draw)
    return taken


def test_the_strip_of_a_part_shows_that_part(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = strips(monkeypatch)
    render(saved, tmp_path / "p.png", has_strip=True, start_seconds=0.8, end_seconds=1.0)
    (strip,) = taken
    assert strip.span_seconds == (0.8, 1.0)
    assert [window[0] for window in strip.windows] == [pytest.approx(0.7467, abs=1e-4)]
    assert strip.leaders == ["sitting 座る"]
    assert strip.probability_of == ""
    assert strip.seconds.min() == pytest.approx(0.8)
    assert strip.seconds.max() < 1.0


def test_each_curve_of_the_strip_is_that_of_its_own_map(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = load_film(saved)
    second = dataclasses.replace(
        film.explanations[1], volumes={name: volume[::-1] ** 2 for name, volume in film.explanations[1].volumes.items()}
    )
    mine = tmp_path / "two.npz"
    bounds = (film.bounds[0], {name: (0.0, high**2) for name, (_, high) in film.bounds[1].items()})
    assert film.origin is not None
    origin = dataclasses.replace(film.origin, path=str(saved.with_name("film.mp4")))
    film = dataclasses.replace(film, explanations=(film.explanations[0], second), bounds=bounds, origin=origin)
    film.save(mine)
    taken = strips(monkeypatch)
    render(mine, tmp_path / "p.png", style="side-by-side", has_strip=True)
    (strip,) = taken
    assert strip.probability_of == "running"
    for name, values in strip.evidence.items():
        method, label = name.split(", ")
        own = film.evidence(method, PTS, target=film.labels.index(label))
        np.testing.assert_allclose(values, own / own.max(), rtol=1e-6)
    assert not np.allclose(strip.evidence["gradcam, running"], strip.evidence["gradcam, per-window"])


def test_each_bar_has_the_values_of_its_own_map(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = load_film(saved)
    mine, given = tmp_path / "two.npz", []
    bounds = (film.bounds[0], {name: (0.0, 7 * high) for name, (_, high) in film.bounds[1].items()})
    assert film.origin is not None
    origin = dataclasses.replace(film.origin, path=str(saved.with_name("film.mp4")))
    dataclasses.replace(film, bounds=bounds, origin=origin).save(mine)

    def bar(table: NDArray[np.uint8], unit_px: int, raw: tuple[float, float]) -> Box:
        given.append(raw)
        return colour_bar_box(table, unit_px, raw)

    monkeypatch.setattr("vidcam.pipelines.compose.colour_bar_box", bar)
    render(mine, tmp_path / "p.png", style="side-by-side")
    assert given == [(0.0, 0.02), (0.0, 250.0), (0.0, pytest.approx(0.14)), (0.0, 1750.0)]


def test_the_film_may_be_an_address(saved: Path, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/rendered.mp4", saved.with_name("film.mp4").read_bytes())
    assert render(saved, tmp_path / "p.mp4", **BARE, source="memory://rendered.mp4").frames == COUNT
    with pytest.raises(MediaError, match=r"'memory://gone\.mp4' cannot be read"):
        render(saved, tmp_path / "q.mp4", **BARE, source="memory://gone.mp4")


def test_a_clip_that_starts_while_a_frame_is_on_display(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame from 0.04 s on is drawn with the maps of 0.05 s, where they begin."""
    film = load_film(saved)
    line = Timeline(np.array([0.05]), np.array([0.15]), np.array([[0.04, 0.08, 0.12, 0.12]]))
    assert film.origin is not None
    origin = dataclasses.replace(film.origin, path=str(saved.with_name("film.mp4")), span_seconds=(0.05, 0.15))
    first = film.explanations[0]
    one = dataclasses.replace(
        first,
        volumes={name: volume[1:2] for name, volume in first.volumes.items()},
        logits=first.logits[:1],
        target=first.target[:1],
    )
    mine = tmp_path / "clip.npz"
    dataclasses.replace(
        film, timeline=line, explanations=(one,), labels=("running",), bounds=film.bounds[:1], origin=origin
    ).save(mine)
    taken = strips(monkeypatch)
    render(mine, tmp_path / "p.png", **{**BARE, "style": "overlay", "opacity": 0.0, "has_strip": True})
    assert opened(tmp_path / "p.png")[0, 0].tolist() == [73] * 3  # the second frame, not the third
    assert taken[0].seconds.tolist() == [0.05, 0.08, 0.12]
    assert taken[0].evidence["gradcam"].tolist() == [1.0] * 3
    render(mine, tmp_path / "v.mp4", **BARE)
    frames, seconds, end = read(tmp_path / "v.mp4")
    assert (len(frames), seconds.tolist(), round(end, 6)) == (3, [0.0, 0.04, 0.08], 0.11)
    assert found_box(frames[0], colour_table()) == found_box(frames[1], colour_table())


def test_the_sound_of_a_part_begins_and_ends_with_it(tmp_path: Path) -> None:
    mine = save_hot(tmp_path, sound=click(0.5, 1.0))
    for name in ("p.mp4", "p.webm"):
        render(mine, tmp_path / name, **BARE, start_seconds=0.3, end_seconds=0.7)
        assert click_seconds(tmp_path / name) == pytest.approx(
            0.5 - 0.28, abs=0.03
        )  # a frame is on display from 0.28 on
        start, end = sound_span(tmp_path / name)
        assert -0.05 < start < 0.05
        assert end == pytest.approx(0.42, abs=0.06)


def test_no_more_is_drawn_than_was_explained(saved: Path, tmp_path: Path) -> None:
    """Windows may reach beyond the part that was asked for of explain."""
    film = load_film(saved)
    assert film.origin is not None
    origin = dataclasses.replace(film.origin, path=str(saved.with_name("film.mp4")), span_seconds=(0.08, 0.5))
    mine = tmp_path / "part.npz"
    dataclasses.replace(film, origin=origin).save(mine)
    inside = PTS[(PTS >= 0.08 - 1e-9) & (PTS < 0.5 - 1e-9)]
    for options in ({}, {"start_seconds": -1.0, "end_seconds": 9.0}):
        render(mine, tmp_path / "p.mp4", **BARE, **options, overwrite=True)
        _, seconds, end = read(tmp_path / "p.mp4")
        np.testing.assert_allclose(seconds, inside - inside[0], atol=1e-9)
        assert end == pytest.approx(0.42, abs=1e-4)
    with pytest.raises(
        InputError, match=r"nothing was explained from 0\.6 to 0\.5 s, expected a part of 0\.08 to 0\.5"
    ):
        render(mine, tmp_path / "q.mp4", **BARE, start_seconds=0.6)


def test_what_is_known_of_the_film_is_said(saved: Path, tmp_path: Path) -> None:
    film, cut = load_film(saved), tmp_path / "cut.mkv"
    greys = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, *SIZE, 3))
    write_video(cut, np.random.default_rng(0).integers(0, 9, greys.shape, dtype=np.uint8) + greys)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert film.origin is not None
    origin = dataclasses.replace(film.origin, path="cut.mkv", content_hash=content_hash([cut]), span_seconds=(0.0, 0.4))
    mine = tmp_path / "cut.npz"
    dataclasses.replace(film, origin=origin).save(mine)
    (note,) = render(mine, tmp_path / "p.mp4", **BARE).notes
    assert note.startswith("the file is cut short: it announces 1.6")


def test_the_sheet_tells_the_shown_target_s_own_probability_and_foil(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[Sheet] = []

    def draw(sheet: Sheet) -> bytes:
        sheets.append(sheet)
        return draw_sheet(sheet)

    monkeypatch.setattr("vidcam.pipelines.contact.draw_sheet", draw)
    film = load_film(saved)
    first, second = film.explanations
    assert film.origin is not None
    origin = dataclasses.replace(film.origin, path=str(saved.with_name("film.mp4")))
    mine = tmp_path / "foil.npz"
    contrasted = (dataclasses.replace(first, foil=np.full(3, 2)), second)
    dataclasses.replace(film, explanations=contrasted, origin=origin).save(mine)
    for target in ("running", "per-window"):
        render(mine, tmp_path / "s.png", form="sheet", targets=(target,), overwrite=True)
    sure = float(np.exp(2.0) / (np.exp(2.0) + 2.0))
    assert [sheet.target for sheet in sheets] == ["running rather than sitting 座る", "each window's top class"]
    assert sheets[0].probability == pytest.approx((sure + 2 * (1 - sure) / 2) / 3)
    assert sheets[1].probability == pytest.approx(sure)
    assert [window[2] for window in sheets[1].strip.windows] == pytest.approx([sure] * 3)
