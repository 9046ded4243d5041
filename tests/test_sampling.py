from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.media import VideoInfo
from vidcam.sampling import Window, central_start, frames_on_display, plan_windows, rounding_seconds

I3D_RATE = Fraction(25, 2)
few = settings(deadline=None, derandomize=True, max_examples=40)


def video(pts: list[float] | NDArray[np.float64], duration: float, fps: Fraction = Fraction(25)) -> VideoInfo:
    stamps = np.asarray(pts, dtype=np.float64)
    return VideoInfo(
        "a.mp4", (90, 160), 0, fps, stamps, float(duration), Fraction(1, 90000), "h264", "yuv420p", has_audio=False
    )


def steady(count: int, fps: Fraction | int) -> VideoInfo:
    rate = Fraction(fps)
    return video([float(i / rate) for i in range(count)], float(count / rate), rate)


def milliseconds(count: int, fps: int) -> VideoInfo:
    """Return a video with time stamps rounded to milliseconds, as in Matroska."""
    stamps = [round(1000 * i / fps) / 1000 for i in range(count + 1)]
    return video(stamps[:-1], stamps[-1], Fraction(fps))


def indices(info: VideoInfo, window: Window) -> list[int]:
    positions = np.searchsorted(info.pts_seconds, window.times)
    assert np.array_equal(info.pts_seconds[positions], window.times)  # the video's own stamps, to the last bit
    return [int(index) for index in positions]


TEN_SECONDS = steady(250, 25)


def test_windows_of_ten_seconds() -> None:
    windows = plan_windows(TEN_SECONDS, frames=16, fps=I3D_RATE)
    assert len(windows) == 15  # 14 whole steps of 0.64 s lie below 8.72, and the last
    starts = [window.start_seconds for window in windows]
    assert starts == pytest.approx([*(i * 0.64 for i in range(14)), 8.72])
    assert [window.end_seconds for window in windows] == pytest.approx([start + 1.28 for start in starts])
    for window, start in zip(windows, starts, strict=True):
        first = round(start * 25)
        assert indices(TEN_SECONDS, window) == list(range(first, first + 32, 2))


def test_no_duplicate_window_if_the_steps_fit_exactly() -> None:
    windows = plan_windows(steady(80, 25), frames=16, fps=I3D_RATE)  # 3.2 s = 1.28 + 3 · 0.64
    assert [window.start_seconds for window in windows] == pytest.approx([0, 0.64, 1.28, 1.92])


def test_a_video_of_one_window_length_has_one_window() -> None:
    (window,) = plan_windows(steady(32, 25), frames=16, fps=I3D_RATE)
    assert (window.start_seconds, window.end_seconds) == pytest.approx((0, 1.28))


@pytest.mark.parametrize(("overlap", "count"), [(0.0, 8), (0.25, 11), (0.5, 15), (0.75, 29)])
def test_overlap_sets_the_step(overlap: float, count: int) -> None:
    windows = plan_windows(TEN_SECONDS, frames=16, fps=I3D_RATE, overlap=overlap)
    starts = [window.start_seconds for window in windows]
    assert len(starts) == count
    assert np.diff(starts)[:-1] == pytest.approx(1.28 * (1 - overlap))
    assert 0 < starts[-1] - starts[-2] <= 1.28 * (1 - overlap) + 1e-9
    assert windows[-1].end_seconds == pytest.approx(10.0)


def test_central_start() -> None:
    assert central_start(TEN_SECONDS, frames=16, fps=I3D_RATE) == pytest.approx(4.36)
    assert central_start(steady(5, 25), frames=16, fps=I3D_RATE) == 0


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(50), Fraction(7)])
def test_without_fps_frames_are_consecutive(fps: Fraction) -> None:
    info = steady(500, fps)
    windows = plan_windows(info, frames=16, fps=None)
    firsts = [indices(info, window)[0] for window in windows]
    for window, first in zip(windows, firsts, strict=True):
        assert indices(info, window) == list(range(first, first + 16))
    assert firsts == [*range(0, 484, 8), 484]


@pytest.mark.parametrize("fps", [30, 15, 60])
def test_stamps_rounded_to_milliseconds_lose_no_frame(fps: int) -> None:
    info = milliseconds(400, fps)
    step = fps // 15
    for window in plan_windows(info, frames=16, fps=Fraction(15), overlap=0.0):
        # 0, 33, 67, 100 ms: the second slot is at 66.67, a third of a millisecond before its frame
        first = indices(info, window)[0]
        assert indices(info, window) == list(range(first, first + 16 * step, step))


def test_long_frames_fill_several_slots() -> None:
    info = video([0, 0.1, 0.5, 0.55, 2.0], 3.0)
    windows = plan_windows(info, frames=4, fps=Fraction(2), overlap=0.0)
    assert [window.start_seconds for window in windows] == [0, 1]
    assert [window.times.tolist() for window in windows] == [[0, 0.5, 0.55, 0.55], [0.55, 0.55, 2, 2]]


def test_frames_on_display() -> None:
    info = video([0, 0.1, 0.5], 1.0)
    moments = np.array([-1, 0, 0.0989, 0.0991, 0.1, 0.4, 0.4992, 0.9, 7])
    assert frames_on_display(info, moments).tolist() == [0, 0, 0, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5]


def test_the_last_frame_of_a_short_video_is_held() -> None:
    info = steady(4, 16)
    (window,) = plan_windows(info, frames=8, fps=Fraction(16))
    assert (window.start_seconds, window.end_seconds) == (0, 0.25)
    assert indices(info, window) == [0, 1, 2, 3, 3, 3, 3, 3]


def test_a_single_frame_fills_every_slot() -> None:
    (window,) = plan_windows(video([0], 0.04), frames=16, fps=I3D_RATE)
    assert window.times.tolist() == [0.0] * 16
    assert (window.start_seconds, window.end_seconds) == (0, 0.04)


def test_one_window_from_a_given_start() -> None:
    (window,) = plan_windows(TEN_SECONDS, frames=16, fps=I3D_RATE, clip_start_seconds=3.0)
    assert (window.start_seconds, window.end_seconds) == pytest.approx((3, 4.28))
    assert indices(TEN_SECONDS, window) == list(range(75, 107, 2))


def test_a_late_window_is_filled_with_the_last_frame() -> None:
    (window,) = plan_windows(TEN_SECONDS, frames=16, fps=I3D_RATE, clip_start_seconds=9.84)
    assert window.end_seconds == 10.0
    assert indices(TEN_SECONDS, window) == [246, 248, *[249] * 14]


@pytest.mark.parametrize("start", [-0.1, 10.0, 1e9, float("nan"), float("inf")])
def test_a_window_must_start_inside_the_video(start: float) -> None:
    with pytest.raises(InputError, match=r"a window cannot start at .* s: .*a\.mp4 is 10\.000 s long"):
        plan_windows(TEN_SECONDS, frames=16, fps=None, clip_start_seconds=start)


@pytest.mark.parametrize("overlap", [-0.01, 1.0, 5.0, float("nan")])
def test_overlap_outside_its_range(overlap: float) -> None:
    with pytest.raises(InputError, match=r"overlap is .*, expected 0 <= overlap < 1; 0\.5 shows"):
        plan_windows(TEN_SECONDS, frames=16, fps=None, overlap=overlap)


@pytest.mark.parametrize(
    ("start", "end", "times"), [(1.0, 1.0, [1.0]), (2.0, 1.0, [1.0]), (0.0, 1.0, []), (0.0, 1.0, [[0.5]])]
)
def test_a_window_needs_a_length_and_frames(start: float, end: float, times: list[float]) -> None:
    with pytest.raises(ShapeError, match=r"a window needs start < end and times \(T,\), got \["):
        Window(start, end, np.array(times))


@st.composite
def videos(draw: st.DrawFn) -> VideoInfo:
    """Draw videos with frame durations of 2…400 ms."""
    steps = np.array(draw(st.lists(st.integers(2, 400), min_size=1, max_size=60))) / 1000
    ends = np.cumsum(steps)
    return video(
        np.concatenate([[0.0], ends[:-1]]), float(ends[-1]), Fraction(len(steps) * 1000, int(1000 * sum(steps)))
    )


@few
@given(
    videos(),
    st.integers(1, 20),
    st.sampled_from([I3D_RATE, Fraction(15), Fraction(30000, 1001), Fraction(60), None]),
    st.floats(0.05, 0.9),
)
def test_windows_of_any_frame_durations(info: VideoInfo, frames: int, fps: Fraction | None, overlap: float) -> None:
    windows = plan_windows(info, frames=frames, fps=fps, overlap=overlap)
    starts = np.array([window.start_seconds for window in windows])
    ends = np.array([window.end_seconds for window in windows])
    assert starts[0] == 0
    assert ends[-1] == pytest.approx(info.duration_seconds, abs=1e-3)
    assert (ends <= info.duration_seconds).all()
    assert (np.diff(starts) > 0).all()
    covered = (starts[:, None] <= info.pts_seconds) & (info.pts_seconds < ends[:, None])
    assert covered.any(axis=0).all()  # every displayed frame lies in some window
    following = np.append(info.pts_seconds[1:], np.inf)
    for window in windows:
        shown = indices(info, window)
        if fps is None:
            assert (np.diff(shown) == (np.arange(1, frames) + shown[0] < info.frame_count)).all()
            continue
        middle = 0.5 if frames == 1 else 0.0  # a single frame represents the moments around it
        slots = window.start_seconds + (np.arange(frames) + middle) / float(fps)
        assert (window.times <= slots + 1e-3 + 1e-9).all()
        assert (following[shown] > slots + 1e-3 - 1e-9).all()


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("fps", [Fraction(5), Fraction(7), Fraction(30000, 1001), None])
def test_windows_of_one_frame_do_not_overlap(fps: Fraction | None, overlap: float) -> None:
    info = steady(253, 25)
    windows = plan_windows(info, frames=1, fps=fps, overlap=overlap)
    assert len(windows) == (253 if fps is None else math.ceil(Fraction(253, 25) * fps))
    assert [w.end_seconds for w in windows] == [*(w.start_seconds for w in windows[1:]), info.duration_seconds]
    rate = float(fps or 25)
    for window in windows[:-1]:
        assert abs(window.times[0] - (window.start_seconds + 0.5 / rate)) <= 1 / 25
    if fps is None:
        assert [window.times[0] for window in windows] == info.pts_seconds.tolist()


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_touching_windows_have_no_gap(fps: Fraction) -> None:
    info = steady(1000, fps)
    windows = plan_windows(info, frames=16, fps=None, overlap=0.0)
    covered = [any(w.start_seconds <= pts < w.end_seconds for w in windows) for pts in info.pts_seconds.tolist()]
    assert [i for i, seen in enumerate(covered) if not seen] == []


def test_consecutive_frames_of_a_variable_frame_rate() -> None:
    """A model without fps takes frames by number, whatever their time stamps."""
    stamps = np.cumsum(np.array([0.0, *np.resize([0.04, 0.01, 0.1], 39)]))
    info = video(stamps, float(stamps[-1]) + 0.04, Fraction(20))
    windows = plan_windows(info, frames=16, fps=None)
    firsts = [0, 8, 16, 24]
    assert [window.times.tolist() for window in windows] == [stamps[i : i + 16].tolist() for i in firsts]
    assert [window.start_seconds for window in windows] == [stamps[i] for i in firsts]
    assert [window.end_seconds for window in windows] == [*(stamps[i + 16] for i in firsts[:-1]), info.duration_seconds]


def test_a_window_starts_with_the_frame_on_display() -> None:
    for fps, start in ((I3D_RATE, 3.01), (None, 3.0)):
        (window,) = plan_windows(TEN_SECONDS, frames=16, fps=fps, clip_start_seconds=3.01)
        assert window.times[0] == pytest.approx(3.0)
        assert window.start_seconds == pytest.approx(start)


@pytest.mark.parametrize("fps", [I3D_RATE, None])
def test_a_part_of_a_video(fps: Fraction | None) -> None:
    windows = plan_windows(TEN_SECONDS, frames=16, fps=fps, start_seconds=2.0, end_seconds=6.0)
    assert windows[0].start_seconds == pytest.approx(2.0)
    assert windows[-1].end_seconds == pytest.approx(6.0)
    assert all(window.times.min() >= 2.0 and window.times.max() < 6.0 for window in windows)
    whole = plan_windows(TEN_SECONDS, frames=16, fps=fps)
    part = plan_windows(TEN_SECONDS, frames=16, fps=fps, start_seconds=0.0, end_seconds=99.0)
    assert [window.start_seconds for window in part] == [window.start_seconds for window in whole]


@pytest.mark.parametrize(("start", "end", "first"), [(4.0, 4.1, 4.0), (9.9, 10.0, 8.72), (9.9, 12.0, 8.72)])
def test_a_short_part_has_one_window_inside_the_video(start: float, end: float, first: float) -> None:
    (window,) = plan_windows(TEN_SECONDS, frames=16, fps=I3D_RATE, start_seconds=start, end_seconds=end)
    assert window.start_seconds == pytest.approx(first)


def test_a_part_for_windows_of_one_frame() -> None:
    windows = plan_windows(TEN_SECONDS, frames=1, fps=Fraction(5), start_seconds=2.0, end_seconds=3.0)
    assert [round(window.start_seconds, 3) for window in windows] == [2.0, 2.2, 2.4, 2.6, 2.8]


@pytest.mark.parametrize("end", [3.0, 2.0])
def test_start_must_be_before_end(end: float) -> None:
    with pytest.raises(InputError, match=rf"--start \(3 s\) must be before --end \({end:g} s\)"):
        plan_windows(TEN_SECONDS, frames=16, fps=I3D_RATE, start_seconds=3.0, end_seconds=end)


@pytest.mark.parametrize(("start", "end"), [(-1.0, 4.0), (10.0, None), (math.nan, 4.0)])
def test_start_must_be_inside_the_video(start: float, end: float | None) -> None:
    with pytest.raises(InputError, match=r"--start \(.* s\) must be inside the video: .* is 10\.000 s long"):
        plan_windows(TEN_SECONDS, frames=16, fps=I3D_RATE, start_seconds=start, end_seconds=end)


# ---- films of 1000 and more frames a second


@pytest.mark.parametrize("fps", [960, 1000, 2000, 10_000])
@pytest.mark.parametrize("is_timed", [True, False])
def test_fast_films_are_sampled_frame_by_frame(fps: int, is_timed: bool) -> None:
    info = steady(100, fps)
    windows = plan_windows(info, frames=16, fps=Fraction(fps) if is_timed else None)
    assert [indices(info, window)[0] for window in windows] == [*range(0, 84, 8), 84]
    for window in windows:
        first = indices(info, window)[0]
        assert indices(info, window) == list(range(first, first + 16))
    assert windows[-1].end_seconds == info.duration_seconds
    for index in (0, 1, 57, 99):
        found = plan_windows(info, frames=1, fps=None, clip_start_seconds=index / fps)[0]
        assert indices(info, found) == [index]


def test_a_short_distance_somewhere_does_not_change_the_rest() -> None:
    """One pair of frames lies 0.1 ms apart; the others still tolerate the rounding of a millisecond."""
    info = video([0.0, 0.0334, 0.0335, 0.067, 0.1], 0.134)
    assert frames_on_display(info, np.array([0.0333, 0.06667, 0.0996])).tolist() == [0.0334, 0.067, 0.1]
    assert rounding_seconds(info) == pytest.approx(0.00005)
    assert rounding_seconds(TEN_SECONDS) == 0.001
