"""One bad row never ends a set, in any format of a manifest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from vidcam.errors import InputError
from vidcam.geometry import Geometry
from vidcam.pipelines.score import clips as module
from vidcam.pipelines.score.boxes import read_box_tracks, region
from vidcam.pipelines.score.clips import ClipSet, read_clips
from vidcam.pipelines.score.samples import Failure, Sample, load_sample

TOO_FAR = 1e308


def of_rows(folder: Path, rows: list[dict[str, Any]]) -> ClipSet:
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_clips(path, out=folder / "out")


def test_names_of_network_shares_are_shortened_like_others(tmp_path: Path) -> None:
    clips = of_rows(tmp_path, [{"path": "//host/set/a.mp4"}, {"path": "/b.mp4"}, {"path": "c.mp4"}])
    assert [entry.name for entry in clips.entries] == ["host/set/a.mp4", "b.mp4", "c.mp4"]


@pytest.mark.parametrize("start", [int("9" * 400), "9" * 400, -1, [1], TOO_FAR])
def test_impossible_starts_fail_alone(start: Any, tmp_path: Path) -> None:
    write_set(tmp_path, 1)
    clips = of_rows(tmp_path, [{"path": "video0.mkv", "start": start}, {"path": "video0.mkv"}])
    bad, good = (load_sample(entry, hidden_model().spec) for entry in clips.entries)
    assert isinstance(bad, Failure)
    assert "start" in bad.reason
    assert len(bad.reason) < 250
    assert isinstance(good, Sample)


@pytest.mark.parametrize("box", [[TOO_FAR] * 4, [-TOO_FAR, -TOO_FAR, TOO_FAR, TOO_FAR], [0, 0, TOO_FAR, TOO_FAR]])
def test_boxes_far_outside_the_frame_are_cut(box: list[float]) -> None:
    tracks = read_box_tracks(json.dumps([{"start": 0, "end": 1, "boxes": [box]}]))
    geometry = Geometry((8, 8), (16, 16), (16, 16), 0, 0)
    inside = region(tracks, np.zeros(1), np.zeros(1), geometry)
    assert inside.all() == (box[0] == 0)
    assert inside.any() == inside.all()


def test_dates_that_python_does_not_have_fail_alone(tmp_path: Path) -> None:
    column = pa.array([0, 10**15, None], pa.timestamp("s"))
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"path": ["a.mp4", "b.mp4", "c.mp4"], "label": column}), path)
    first, bad, last = read_clips(path, out=tmp_path / "out").entries
    assert (first.label, last.label) == ("1970-01-01 00:00:00", "")
    assert bad.problem.startswith("row 2: a value cannot be read (")


def test_box_files_that_are_pipes_or_never_end_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    clips = of_rows(tmp_path, [{"path": "a.mp4", "boxes": name} for name in ("pipe", "/dev/zero")])
    assert len(clips.digest) == 64
    for entry in clips.entries:
        with pytest.raises(InputError, match="cannot be read"):
            read_box_tracks(entry.boxes)


def test_a_set_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CLIPS", 2)
    with pytest.raises(InputError, match="line 3 is too much; a set has at most 2 clips"):
        of_rows(tmp_path, [{"path": "a.mp4"}] * 3)
    monkeypatch.setattr(module, "MAX_LETTERS", 100)
    with pytest.raises(InputError, match="line 1 is too much"):
        of_rows(tmp_path, [{"path": "a.mp4", "label": "x" * 100}])


def test_a_damaged_parquet_file_is_no_missing_column(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"path": ["a.mkv"] * 50}), path, compression="zstd", use_dictionary=False)
    content = path.read_bytes()
    place = content.index(b"\x28\xb5\x2f\xfd")  # where zstd begins
    path.write_bytes(content[:place] + bytes(4) + content[place + 4 :])
    with pytest.raises(InputError, match=r"is not a valid Parquet file \((?!.*it needs a column)"):
        read_clips(path, out=tmp_path)


def test_an_error_of_parquet_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "set.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    with pytest.raises(InputError) as caught:
        read_clips(tmp_path / "set.parquet", out=tmp_path)
    assert len(str(caught.value).splitlines()) == 1
