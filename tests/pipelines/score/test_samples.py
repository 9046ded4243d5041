from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch

from tests.helpers.nets import TINY_SPEC
from tests.helpers.videos import flat_frames, write_video
from vidcam.pipelines.score.clips import Entry, read_clips
from vidcam.pipelines.score.samples import Failure, Sample, failure, load_sample


def entry(path: Path, **said: object) -> Entry:
    return read_clips([{"path": str(path), **said}], out=path.parent / "out").entries[0]


def greys(path: Path, count: int = 10) -> Path:
    return write_video(path, flat_frames([10 * index for index in range(count)], 16, 16), fps=Fraction(25))


def shown(sample: Sample | Failure) -> list[int]:
    assert isinstance(sample, Sample)
    return [round(value * 255) for value in sample.tensor[0, :, 8, 8].tolist()]


def test_the_central_window_by_hand(tmp_path: Path) -> None:
    """Ten frames, a window of four: it starts at frame 3."""
    sample = load_sample(entry(greys(tmp_path / "a.mkv")), TINY_SPEC)
    assert shown(sample) == [30, 40, 50, 60]
    assert isinstance(sample, Sample)
    assert sample.tensor.shape == (3, 4, 16, 16)
    assert sample.tensor.dtype == torch.float32
    assert sample.start_seconds == pytest.approx(0.12)
    assert sample.inside is None


def test_the_window_starts_at_start(tmp_path: Path) -> None:
    assert shown(load_sample(entry(greys(tmp_path / "a.mkv"), start=0.04), TINY_SPEC)) == [10, 20, 30, 40]


def test_boxes_are_read_at_the_sampled_frames(tmp_path: Path) -> None:
    boxes = [{"start": 4, "end": 6, "boxes": [[0, 0, 4, 4], [0, 0, 2, 2]]}]
    sample = load_sample(entry(greys(tmp_path / "a.mkv"), boxes=boxes), TINY_SPEC)
    assert isinstance(sample, Sample)
    assert sample.inside is not None
    assert sample.inside.sum(axis=(1, 2)).tolist() == [0, 16, 4, 0]


def test_boxes_out_of_view_are_none(tmp_path: Path) -> None:
    boxes = [{"start": 0, "end": 1, "boxes": [[0, 0, 4, 4]]}]
    sample = load_sample(entry(greys(tmp_path / "a.mkv"), boxes=boxes), TINY_SPEC)
    assert isinstance(sample, Sample)
    assert sample.inside is None


def test_a_reason_has_no_folder_name_with_odd_characters(tmp_path: Path) -> None:
    home = tmp_path / "odd\nname"
    home.mkdir()
    (home / "text.mp4").write_text("no video")
    found = load_sample(entry(home / "text.mp4"), TINY_SPEC)
    assert isinstance(found, Failure)
    assert found.reason.startswith("'text.mp4' cannot be read")


def test_problems_of_a_file_are_warnings(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    path = greys(tmp_path / "cut.mkv")
    path.write_bytes(path.read_bytes()[:-200])
    for clip in ("text.mp4", "nowhere.mp4"):
        found = load_sample(entry(tmp_path / clip), TINY_SPEC)
        assert isinstance(found, Failure)
        assert found.reason.startswith(f"'{clip}'")
        assert str(tmp_path) not in found.reason
    sample = load_sample(entry(path), TINY_SPEC)
    assert isinstance(sample, Sample)
    assert sample.warnings


def test_a_start_after_the_end_and_invalid_boxes_are_failures(tmp_path: Path) -> None:
    path = greys(tmp_path / "a.mkv")
    late = load_sample(entry(path, start=9.0), TINY_SPEC)
    assert isinstance(late, Failure)
    assert "a window cannot start at 9 s" in late.reason
    odd = load_sample(entry(path, boxes="no.json"), TINY_SPEC)
    assert isinstance(odd, Failure)
    assert "boxes 'no.json' cannot be read" in odd.reason


def test_a_reason_is_one_line_without_the_path() -> None:
    clip = Entry(0, "/somewhere/a.mp4", "a.mp4")
    assert failure(clip, ValueError("'/somewhere/a.mp4'\nis odd")).reason == r"'a.mp4'\nis odd"
    assert failure(clip, OSError()).reason == "OSError"


def test_the_region_has_the_shape_of_the_input(tmp_path: Path) -> None:
    boxes = [{"start": 0, "end": 10, "boxes": [[0, 0, 16, 16]] * 10}]
    sample = load_sample(entry(greys(tmp_path / "a.mkv"), boxes=boxes), TINY_SPEC)
    assert isinstance(sample, Sample)
    assert sample.inside is not None
    assert np.all(sample.inside)


def test_a_reason_names_the_address_and_no_copy(tmp_path: Path) -> None:
    """The copy of what an address leads to lies in a temporary folder, whose name means nothing to anybody."""
    address = "memory://scores/broken.mp4"
    with fsspec.open(address, "wb") as file:
        file.write(b"no video")
    found = load_sample(Entry(0, address, address), TINY_SPEC)
    assert isinstance(found, Failure)
    assert found.reason.startswith(f"'{address}' cannot be read as video")
    assert "vidcam-" not in found.reason


def test_the_video_of_a_file_address_has_a_fingerprint(tmp_path: Path) -> None:
    path = greys(tmp_path / "a.mkv")
    named, plain = (load_sample(Entry(0, source, "a"), TINY_SPEC) for source in (path.as_uri(), str(path)))
    assert isinstance(named, Sample)
    assert isinstance(plain, Sample)
    assert named.content_hash == plain.content_hash != ""
