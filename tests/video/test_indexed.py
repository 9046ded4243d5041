"""Damaged files: an unreadable frame shows the last readable one, and a note says so."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.odd import COUNT, ODD, damaged, level
from vidcam.video import open_video
from vidcam.video.frame_index import FrameIndex
from vidcam.video.indexed import Damage
from vidcam.video.reader import VideoReader


def read(reader: VideoReader) -> list[float]:
    return [float(frame.mean()) for _, frame in reader.frames()]


def test_a_part_that_cannot_be_decoded_shows_the_last_readable_frame(tmp_path: Path) -> None:
    with open_video(damaged(tmp_path / "a.mp4")) as reader:
        assert not reader.notes  # nothing was read yet
        levels = read(reader)
        assert reader.readable_seconds == ((0.0, 0.56), (1.04, 2.0))
        assert list(reader.notes) == ["0.560–1.040 s cannot be decoded; the last readable picture is shown instead"]
        again = [frame for _, frame in reader.frames_at(np.array([0.5, 0.6, 0.9, 1.0]))]
    np.testing.assert_allclose(levels[:14], [level(index) for index in range(14)], atol=2)
    assert levels[14:26] == [levels[13]] * 12
    np.testing.assert_allclose(levels[30:], [level(index) for index in range(30, COUNT)], atol=2)
    assert again[1] is again[2] is again[3]
    assert float(again[1].mean()) == levels[13]


def test_random_access_next_to_damage(tmp_path: Path) -> None:
    path = damaged(tmp_path / "a.mp4")
    with open_video(path) as reader:
        expected = read(reader)
    for order in ([40, 5, 18, 49, 0], [20], [49, 25, 13], [31, 30, 29]):
        with open_video(path) as reader:
            for index in order:
                _, frame = next(reader.frames_at(reader.info.pts_seconds[[index]]))
                assert float(frame.mean()) == expected[index]


def test_finding_damage_decodes_few_more_frames(tmp_path: Path) -> None:
    from vidcam.video.pyav_reader import PyAVReader

    with PyAVReader(damaged(tmp_path / "a.mp4")) as reader:
        read(reader)
        assert reader._idle[0].decoded_count <= COUNT + 2 * 10


def test_a_damaged_beginning(tmp_path: Path) -> None:
    """The video begins with the first frame that can be decoded, and a note says so."""
    with open_video(damaged(tmp_path / "a.mp4", 0, 10)) as reader:
        np.testing.assert_allclose(read(reader), [level(index) for index in range(10, COUNT)], atol=2)
        assert reader.notes == ("the first 0.400 s cannot be decoded, because no key frame comes before them",)


def test_a_damaged_end(tmp_path: Path) -> None:
    with open_video(damaged(tmp_path / "a.mp4", 40, 50)) as reader:
        levels = read(reader)
        assert reader.readable_seconds == ((0.0, 1.6),)
    assert levels[40:] == [levels[39]] * 10


def test_a_gap_that_the_demuxer_skipped(tmp_path: Path) -> None:
    with open_video(ODD["damaged.mkv"](tmp_path / "a.mkv")) as reader:
        assert reader.readable_seconds == ((0.0, 0.56), (1.2, 2.0))
        assert "0.560–1.200 s cannot be decoded" in reader.notes[0]
        assert len(read(reader)) == reader.info.frame_count < COUNT


def test_repaired_frames_give_a_note(tmp_path: Path) -> None:
    with open_video(ODD["scratched.mp4"](tmp_path / "a.mp4")) as reader:
        assert len(read(reader)) == COUNT
        assert reader.notes == ("0.560–0.680 s is damaged; the decoder's repair is shown",)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi", "cut.webm"])
def test_the_rest_of_a_cut_file_is_read(tmp_path: Path, name: str) -> None:
    with open_video(ODD[name](tmp_path / name)) as reader:
        levels = read(reader)
        assert re.search(r"the file is cut short: only the first 1\.\d+ s of 2\.000 s are there", reader.notes[0])
        end = reader.readable_seconds[0][1]
    assert 20 < len(levels) < 40
    readable = round(end * 25)
    np.testing.assert_allclose(levels[:readable], [level(index) for index in range(readable)], atol=2)


def test_a_cut_transport_stream(tmp_path: Path) -> None:
    """It states no length, so only its damaged last packet is visible."""
    with open_video(ODD["cut.ts"](tmp_path / "cut.ts")) as reader:
        assert 25 < len(read(reader)) < 35


def test_a_size_that_changes(tmp_path: Path) -> None:
    with open_video(ODD["resized.ts"](tmp_path / "a.ts")) as reader:
        sizes = {frame.shape for _, frame in reader.frames()}
        assert sizes == {(48, 64, 3)}
        assert "the frame size changes to 128×96; all frames are scaled to the first one's size" in reader.notes


def test_the_default_stream_is_used(tmp_path: Path) -> None:
    with open_video(ODD["two-streams.mkv"](tmp_path / "a.mkv")) as reader:
        assert reader.info.size == (48, 64)
        assert reader.notes == ("the file has 2 video streams; the default one, stream 1, is used",)


def frame_index(count: int = 10, gaps: tuple[tuple[int, int], ...] = ()) -> FrameIndex:
    return FrameIndex(np.arange(count) * 2, np.zeros(1, np.int64), 2 * count, 2, Fraction(1, 2), gaps=gaps)


def test_intervals() -> None:
    damage = Damage(frame_index(gaps=((16, 17),)))
    assert damage.readable() == ((0.0, 8.0), (8.5, 10.0))
    damage.mark_missing(range(2, 4))
    damage.mark_repaired(5)
    assert damage.readable() == ((0.0, 2.0), (4.0, 8.0), (8.5, 10.0))
    assert damage.notes() == (
        "2.000–4.000 s, 8.000–8.500 s cannot be decoded; the last readable picture is shown instead",
        "5.000–6.000 s is damaged; the decoder's repair is shown",
    )
    assert [damage.stand_in(index) for index in (0, 2, 3, 4)] == [0, 1, 1, 4]


def test_a_note_lists_at_most_four_intervals() -> None:
    damage = Damage(frame_index())
    for index in range(0, 10, 2):
        damage.mark_repaired(index)
    assert damage.notes()[0].startswith("0.000–1.000 s, 2.000–3.000 s, 4.000–5.000 s, 6.000–7.000 s and 1 more parts")


def test_the_first_readable_frame_is_shown_before_it() -> None:
    damage = Damage(frame_index())
    damage.mark_missing(range(3))
    assert [damage.stand_in(index) for index in (0, 2, 3)] == [3, 3, 3]
    assert damage.readable() == ((3.0, 10.0),)


def test_no_readable_frame() -> None:
    damage = Damage(frame_index())
    damage.mark_missing(range(10))
    assert damage.stand_in(4) is None
    assert damage.readable() == ()
