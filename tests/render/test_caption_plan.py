"""The size and the parts of a caption: what a small frame leaves out, and how much of a frame a box covers."""

from __future__ import annotations

import pytest

from vidcam.render.caption_plan import LARGEST_SHARE, MIN_UNIT_PX, CaptionPlan, caption_plan, unit_of
from vidcam.render.caption_text import Caption, Row

TITLE = Row("golf putting", after=" 0.1 %, rank 7", detail=" (mean 0.2 %)")
CAPTION = Caption((TITLE, Row("golf driving", "top: ", " 27 %")), "neutral-gradcam")
ENDS = [("0", "0.0321")]

SIZES = [
    (60, 80),
    (120, 160),
    (144, 176),
    (176, 144),
    (240, 320),
    (256, 340),
    (360, 204),
    (492, 354),
    (1080, 1920),
    (1920, 1080),
    (2160, 3840),
]


def plan(size: tuple[int, int], caption: Caption = CAPTION, *, in_margin: bool = False) -> CaptionPlan | None:
    return caption_plan([caption], ENDS, size, end_seconds=12.0, in_margin=in_margin)


@pytest.mark.parametrize(
    ("size", "unit"), [((240, 320), 11), ((256, 340), 11), ((1080, 1920), 30), ((2160, 3840), 60), ((1920, 1080), 30)]
)
def test_font_size_depends_on_the_frame(size: tuple[int, int], unit: int) -> None:
    assert unit_of(size) == unit >= MIN_UNIT_PX


@pytest.mark.parametrize("size", SIZES)
def test_a_box_covers_at_most_a_sixth_of_its_frame(size: tuple[int, int]) -> None:
    made = plan(size)
    if made is not None:
        height, width = made.size
        assert height * width <= size[0] * size[1] / LARGEST_SHARE
        assert height <= size[0] / 2
        assert width < size[1]


def test_small_frames_leave_out_the_bar_then_the_time_then_the_method_then_further_rows() -> None:
    large, small, tiny = plan((256, 340)), plan((144, 176)), plan((60, 80))
    assert large is not None
    assert large.missing == ()
    assert len(large.text_cells) == 2
    assert None not in (large.method_cell, large.clock, large.bar_cell)
    assert small is not None
    assert small.missing == ("further classes", "the method", "the time", "the colour bar")
    assert len(small.text_cells) == 1
    assert tiny is None
    found = [made.missing for height in range(100, 400, 4) if (made := plan((height, height * 4 // 3))) is not None]
    order = ["the colour bar", "the time", "the method", "further classes"]
    assert [len(missing) for missing in found] == sorted((len(missing) for missing in found), reverse=True)
    for missing in found:
        assert set(missing) == set(order[: len(missing)])


def test_the_details_go_before_any_other_part() -> None:
    made = [each for height in range(150, 300, 2) if (each := plan((height, height * 4 // 3))) is not None]
    found = {(each.has_detail, bool(each.missing)) for each in made}
    assert found == {(True, False), (False, False), (False, True)}


def test_the_box_has_room_for_every_text_of_the_video() -> None:
    long = Caption((Row("catching or throwing frisbee", after=" 0.1 %"),), "gradcam")
    both = caption_plan([CAPTION, long], ENDS, (1080, 1920), end_seconds=12.0)
    alone = [plan((1080, 1920), caption) for caption in (CAPTION, long)]
    assert both is not None
    assert both.size[1] == max(made.size[1] for made in alone if made is not None)
    assert len(both.text_cells) == 2


@pytest.mark.parametrize("size", [*SIZES, (121, 161), (255, 341)])
def test_a_margin_is_as_wide_as_the_frame_and_both_are_even(size: tuple[int, int]) -> None:
    made = plan(size, in_margin=True)
    if made is not None:
        assert made.size[1] == size[1]
        assert (made.size[0] + size[0]) % 2 == 0
    assert (made is None) == (size == (60, 80))


def test_a_wide_margin_has_the_bar_and_the_time_at_the_right() -> None:
    wide, narrow = plan((480, 854), in_margin=True), plan((360, 204), in_margin=True)
    assert wide is not None
    assert narrow is not None
    for made, lines in ((wide, 3), (narrow, 4)):
        assert made.missing == ()
        assert made.method_cell is not None
        assert made.clock is not None
        assert made.bar_cell is not None
        tops = sorted({cell[1] for cell in (*made.text_cells, made.method_cell, made.clock, made.bar_cell)})
        assert len(tops) == lines
        assert made.clock[0] + made.clock[2] == made.bar_cell[0] + made.bar_cell[2]
        assert (made.bar_cell[0] > made.size[1] / 2) == (made is wide)
        assert made.clock[1] == (tops[1] if made is wide else made.method_cell[1])
