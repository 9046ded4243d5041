"""Where captions are drawn, and which pixels they change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.rendered import captions_drawn
from tests.helpers.saved import hot_video
from vidcam.geometry import Geometry
from vidcam.pipelines.render.captions import CaptionDrawer
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, Kind, RenderStyle, ShownMap
from vidcam.render.caption_text import CaptionPlace
from vidcam.results.verdict import Verdict
from vidcam.results.video import VideoExplanation

SIZE = (256, 640)
MAP = ShownMap(0, "gradcam")
MOMENTS = (0.0, 0.7, 1.5, 2.2, 2.9)
CORNERS = [(top, left) for top in ("top", "bottom") for left in ("left", "right")]
HALVES = {"top": slice(0, 2), "bottom": slice(2, 4), "left": slice(0, 2), "right": slice(2, 4)}


def video(*hot: tuple[str, str], heat: float = 1.0) -> VideoExplanation:
    """A video of three windows, whose map is hot in some quarters of the frame; the model sees the whole frame."""
    made = hot_video("video.mp4", np.linspace(0.0, 2.9, 30), 3.0)
    volume = np.zeros((3, 2, 4, 4), np.float32)
    for rows, columns in hot:
        volume[1, :, HALVES[rows], HALVES[columns]] = heat  # only in the middle of the video
    volumes = {"gradcam": volume, "gradcam++": volume}
    return replace(
        made,
        geometry=Geometry(SIZE, SIZE, SIZE, 0, 0),
        explanations=tuple(replace(each, volumes=volumes) for each in made.explanations),
        bounds={"gradcam": (0.0, 1.0), "gradcam++": (0.0, 1.0)},
    )


def drawn(
    made: VideoExplanation, place: CaptionPlace, *, kind: Kind = "overlay", shown: ShownMap = MAP, second: float = 1.5
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture without and with its caption."""
    renderer = FrameRenderer(made, RenderStyle())
    frame = np.random.default_rng(0).integers(100, 200, (*SIZE, 3), dtype=np.uint8)
    context = FrameContext(renderer, second, frame)
    bare = context.picture(kind, shown)
    captions = CaptionDrawer(renderer, kind, [shown], place)
    return bare, captions.draw(bare.copy(), shown, context.second)


def changed(made: VideoExplanation, **options: object) -> tuple[slice, slice]:
    """The rectangle that a caption inside the frame changes."""
    bare, picture = drawn(made, "inside", **options)  # type: ignore[arg-type]
    differs = (bare != picture).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@pytest.mark.parametrize("cool", CORNERS)
def test_the_box_is_in_the_corner_without_heat(cool: tuple[str, str]) -> None:
    rows, columns = changed(video(*(corner for corner in CORNERS if corner != cool)))
    assert (rows.start < SIZE[0] - rows.stop) == (cool[0] == "top")
    assert (columns.start < SIZE[1] - columns.stop) == (cool[1] == "left")


def test_of_equal_corners_the_first_one_is_taken() -> None:
    rows, columns = changed(video())
    assert (rows.start, columns.start) == (5, 5)
    rows, columns = changed(video(("top", "left")))
    assert rows.start == 5
    assert columns.stop == SIZE[1] - 5


def test_the_least_heat_over_the_whole_video_decides_also_where_no_corner_is_cool() -> None:
    made = video(*CORNERS)
    made.explanations[0].volumes["gradcam"][0, :, 2:, :2] = 0.5  # half a window more at the bottom left
    made.explanations[0].volumes["gradcam"][0, :, :2] = 0.9
    made.explanations[0].volumes["gradcam"][0, :, 2:, 2:] = 0.6
    rows, columns = changed(made)
    assert rows.stop == SIZE[0] - 5
    assert columns.start == 5


def test_on_the_scale_of_windows_the_heat_of_each_counts_the_same() -> None:
    """Top left is the hottest in two weak windows, top right in a strong one."""
    made = video(("top", "right"), ("bottom", "left"), ("bottom", "right"))
    volume = made.explanations[0].volumes["gradcam"]
    volume[[0, 2], :, :2, :2] = volume[[0, 2], :, 2:] = 0.1
    assert changed(made)[1].start == 5
    assert changed(replace(made, scale="window"))[1].stop == SIZE[1] - 5


def test_the_box_keeps_its_place_and_size_while_its_text_changes() -> None:
    made = video(("top", "left"), ("bottom", "right"))
    places = {repr(changed(made, second=second)) for second in MOMENTS}
    assert len(places) == 1


def test_pixels_outside_the_box_are_unchanged() -> None:
    made = video()
    bare, picture = drawn(made, "inside")
    box = changed(made)
    assert (box[0].stop - box[0].start) * (box[1].stop - box[1].start) <= SIZE[0] * SIZE[1] / 6
    picture[box] = bare[box]
    np.testing.assert_array_equal(picture, bare)


def test_the_caption_has_the_verdict_on_its_own_map(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = captions_drawn(monkeypatch)
    bad = Verdict("unreliable", "keeps 3 %", 0.1)
    drawn(replace(video(), verdicts=({"gradcam": bad}, {})), "inside")
    drawn(replace(video(), verdicts=({"gradcam++": bad}, {})), "inside")
    assert [caption.word for caption in captions] == ["unreliable", "not checked"]


@pytest.mark.parametrize("kind", ["overlay", "map", "contour", "heat"])
def test_a_margin_leaves_the_frame_as_it_is(kind: Kind) -> None:
    bare, picture = drawn(video(), "margin", kind=kind)
    np.testing.assert_array_equal(picture[: SIZE[0]], bare)
    assert picture.shape[0] > SIZE[0]
    assert picture.shape[0] % 2 == 0
    assert picture.shape[1] == SIZE[1]
    assert picture[SIZE[0] :].max() == 255


def test_none_draws_nothing() -> None:
    bare, picture = drawn(video(), "none")
    np.testing.assert_array_equal(picture, bare)


def test_the_time_is_that_of_the_picture() -> None:
    made = video()
    early, late = (drawn(made, "margin", second=second)[1][SIZE[0] :] for second in (1.1, 1.9))  # of one window
    columns = np.flatnonzero((early != late).any(axis=(0, 2)))
    rows = np.flatnonzero((early != late).any(axis=(1, 2)))
    assert 0 < columns.size <= 11  # one digit
    assert rows.size <= 11
    one, other = (drawn(made, "margin", second=second)[1][SIZE[0] :] for second in (1.12, 1.18))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("kind", "has_colours"), [("overlay", True), ("heat", True), ("contour", True), ("cells", True), ("map", False)]
)
def test_the_bar_has_the_colours_of_the_map(kind: Kind, has_colours: bool) -> None:
    margin = drawn(video(), "margin", kind=kind)[1][SIZE[0] :]
    is_coloured = np.ptp(margin.astype(int), axis=2) > 40
    assert is_coloured.any() == has_colours


class Values:
    """Guided values that are zero."""

    def values(self, method: str, second: float, *, target: int) -> NDArray[np.float32]:
        return np.zeros((*SIZE, 3), np.float32)

    def scale(self, method: str, *, target: int) -> float:
        return 0.25


def test_a_guided_map_has_a_caption_too() -> None:
    """Its heat is that of the map that it multiplies, its bar goes from -scale to scale."""
    shown = ShownMap(0, "guided-gradcam")
    renderer = FrameRenderer(video(("top", "left")), RenderStyle(), Values())
    assert renderer.colour_bar("overlay", shown).raw == (-0.25, 0.25)
    bare = FrameContext(renderer, 1.5, np.zeros((*SIZE, 3), np.uint8)).picture("overlay", shown)
    picture = CaptionDrawer(renderer, "overlay", [shown], "inside").draw(bare.copy(), shown, 1.5)
    differs = (bare != picture).any(axis=2)
    assert not differs[:, : SIZE[1] // 3].any()
    assert differs[:100, SIZE[1] // 2 :].any()


def test_side_by_side_all_maps_have_their_captions_in_one_corner() -> None:
    made = video(("top", "left"), ("bottom", "left"))
    renderer, maps = FrameRenderer(made, RenderStyle()), [MAP, ShownMap(0, "gradcam++"), ShownMap(1, "gradcam")]
    captions = CaptionDrawer(renderer, "overlay", maps, "inside")
    places = set()
    for shown in (None, *maps):
        picture = captions.draw(np.full((*SIZE, 3), 99, np.uint8), shown, 1.5)
        rows, columns = (np.flatnonzero((picture != 99).any(axis=axes)) for axes in ((1, 2), (0, 2)))
        places.add((int(rows[0]), SIZE[1] - int(columns[-1])))
    assert places == {(5, 6)}


def test_a_frame_without_room_gets_a_note() -> None:
    small = replace(video(), geometry=Geometry((48, 64), (48, 64), (48, 64), 0, 0))
    renderer = FrameRenderer(small, RenderStyle())
    captions = CaptionDrawer(renderer, "overlay", [MAP], "inside")
    frame = np.zeros((48, 64, 3), np.uint8)
    assert captions.draw(frame, MAP, 1.0) is frame
    assert captions.notes == ("frames of 64 × 48 are too small for captions",)
    assert CaptionDrawer(renderer, "overlay", [MAP], "none").notes == ()


@pytest.mark.parametrize(("size", "has_advice"), [((400, 140), False), ((240, 240), True)])
def test_the_margin_is_advised_only_if_it_shows_more(size: tuple[int, int], has_advice: bool) -> None:
    """In a frame of 140 × 400 both the box and the margin lack the colour bar."""
    made = video()
    bounds = dict.fromkeys(made.bounds, (0.0, 1.23e-5))
    made = replace(made, geometry=Geometry(size, size, size, 0, 0), bounds=bounds)
    captions = CaptionDrawer(FrameRenderer(made, RenderStyle()), "overlay", [ShownMap(0, "gradcam++")], "inside")
    (note,) = captions.notes
    assert "the colour bar" in note
    assert ("--captions margin" in note) == has_advice
