"""Clip sets: folders, manifests and iterables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vidcam.errors import InputError
from vidcam.pipelines.score.clips import read_clips

ROWS: list[dict[str, Any]] = [
    {"path": "b/two.mp4", "start": 1.5, "label": "yoga", "group": "g", "boxes": "boxes.json", "fps": 25},
    {"path": "a.mp4", "start": None, "label": None, "group": None, "boxes": None, "fps": 30},
]


def as_csv(path: Path) -> Path:
    lines = ["fps,file,start,label,group,boxes", "25,b/two.mp4,1.5,yoga,g,boxes.json", "30,a.mp4,,,,"]
    path.write_text("\n".join(lines), "utf-8-sig")
    return path


def as_jsonl(path: Path) -> Path:
    path.write_text("\n\n".join(json.dumps(row) for row in ROWS), "utf-8")
    return path


def as_parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet])
def test_a_manifest_in_each_format(write: Any, tmp_path: Path) -> None:
    path = write(tmp_path / f"set.{write.__name__.removeprefix('as_')}")
    clips = read_clips(path, out=tmp_path / "out")
    first, second = clips.entries
    assert (first.index, first.name, first.start_seconds) == (0, "b/two.mp4", 1.5)
    assert (first.label, first.group, first.boxes) == ("yoga", "g", str(tmp_path / "boxes.json"))
    assert first.source == str(tmp_path / "b/two.mp4")
    assert (second.index, second.name, second.start_seconds) == (1, "a.mp4", None)
    assert (second.label, second.group, second.boxes) == ("", "a.mp4", "")
    assert clips.ignored_columns == ("fps",)


def test_a_folder_gives_its_media_files_sorted_without_results(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.avi", "sub/c.MKV", "notes.txt", ".hidden.mp4", ".cache/d.mp4", "out/worst/b.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clips = read_clips(tmp_path, out=tmp_path / "out")
    assert [entry.name for entry in clips.entries] == ["a.avi", "b.mp4", "sub/c.MKV"]
    assert [entry.group for entry in clips.entries] == ["a.avi", "b.mp4", "sub/c.MKV"]


def test_results_may_lie_beside_the_clips(tmp_path: Path) -> None:
    (tmp_path / "worst").mkdir()
    for name in ("a.mp4", "worst/a.mp4"):
        (tmp_path / name).touch()
    assert [entry.name for entry in read_clips(tmp_path, out=tmp_path).entries] == ["a.mp4"]


def test_python_iterates_over_paths_and_mappings(tmp_path: Path) -> None:
    given = (clip for clip in ["a.mp4", Path("b.mp4"), {"path": "c.mp4", "boxes": [{"start": 0}]}])
    clips = read_clips(given, out=tmp_path)
    assert [entry.name for entry in clips.entries] == ["a.mp4", "b.mp4", "c.mp4"]
    assert clips.entries[2].boxes == '[{"start": 0}]'


def test_absolute_paths_are_named_relative_to_their_common_folder(tmp_path: Path) -> None:
    clips = read_clips([tmp_path / "a" / "one.mp4", tmp_path / "b" / "one.mp4", "here.mp4"], out=tmp_path)
    assert [entry.name for entry in clips.entries] == ["a/one.mp4", "b/one.mp4", "here.mp4"]
    assert [entry.group for entry in clips.entries] == ["a/one.mp4", "b/one.mp4", "here.mp4"]
    assert clips.entries[0].source == str(tmp_path / "a" / "one.mp4")


def test_the_digest_depends_on_the_manifest_and_not_on_its_folder(tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
        (home / "set.csv").write_text("path,label\na.mp4,yoga\n")
    one, two = (read_clips(home / "set.csv", out=tmp_path).digest for home in homes)
    (homes[1] / "set.csv").write_text("path,label\na.mp4,archery\n")
    assert one == two != read_clips(homes[1] / "set.csv", out=tmp_path).digest


def test_boxes_as_text_stay_text(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text('{"path": "a.mp4", "boxes": "[{}]"}')
    assert read_clips(tmp_path / "set.jsonl", out=tmp_path).entries[0].boxes == "[{}]"


def test_zero_is_a_value_and_nan_is_not(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("start", "label", "group", "boxes"), float("nan"))
    given = [{"path": "a.mp4", "label": 0, "group": 0, "start": 0}, {"path": "b.mp4", **nothing}]
    first, second = read_clips(given, out=tmp_path).entries
    assert (first.label, first.group, first.start_seconds) == ("0", "0", 0.0)
    assert (second.label, second.group, second.start_seconds, second.boxes) == ("", "b.mp4", None, "")


def test_path_is_preferred_to_file(tmp_path: Path) -> None:
    given = [{"path": "a.mp4", "file": "b.mp4"}, {"path": "", "file": "c.mp4"}]
    assert [entry.name for entry in read_clips(given, out=tmp_path).entries] == ["a.mp4", "c.mp4"]


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text('{"path": "a.mp4"}\r\n', "utf-8-sig")
    assert [entry.name for entry in read_clips(tmp_path / "set.jsonl", out=tmp_path).entries] == ["a.mp4"]


def test_boxes_may_be_arrays_and_must_be_json(tmp_path: Path) -> None:
    tube = {"start": np.int64(0), "end": 1, "boxes": np.array([[0.0, 1.0, 2.0, 3.0]])}
    (entry,) = read_clips([{"path": "a.mp4", "boxes": [tube]}], out=tmp_path).entries
    assert json.loads(entry.boxes) == [{"start": 0, "end": 1, "boxes": [[0.0, 1.0, 2.0, 3.0]]}]
    with pytest.raises(InputError, match=r"clip 0: boxes \(list\) are not JSON .*pass a list of tubes"):
        read_clips([{"path": "a.mp4", "boxes": [object()]}], out=tmp_path)


def test_the_digest_depends_on_the_content_of_a_box_file(tmp_path: Path) -> None:
    digests = []
    for home, boxes in (("one", "[]"), ("two", "[]"), ("three", "[{}]"), ("four", None)):
        (tmp_path / home).mkdir()
        (tmp_path / home / "set.csv").write_text("path,boxes\na.mp4,boxes.json\n")
        if boxes is not None:
            (tmp_path / home / "boxes.json").write_text(boxes)
        digests.append(read_clips(tmp_path / home / "set.csv", out=tmp_path).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_names_that_are_not_utf8_are_escaped_only_in_tables(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"x\xff.mp4")).touch()
    (tmp_path / "set.jsonl").write_text('{"path": "\\ud800.mp4", "label": "\\udcff", "group": "\\ud801"}')
    (of_folder,) = read_clips(tmp_path, out=tmp_path / "out").entries
    (of_manifest,) = read_clips(tmp_path / "set.jsonl", out=tmp_path).entries
    assert (of_folder.name, of_folder.group) == ("x\\xff.mp4", "x\\xff.mp4")
    assert os.fsencode(of_folder.source).endswith(b"x\xff.mp4")
    for said in (of_manifest.name, of_manifest.label, of_manifest.group):
        said.encode()


BAD_ROWS = {
    "set.csv": "path,start,label,group\na.mp4,0,yoga,g\nb.mp4,soon,yoga,g\n,1,yoga,\nc.mp4,-1\nd.mp4\n",
    "set.jsonl": '{"path": "a.mp4"}\n{"path": "b.mp4", "start": "soon"}\n[1]\n{"path": "c.mp4", "start": -1}\n'
    '{"path": "d.mp4"}\n',
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_keeps_its_position_and_has_a_reason(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(BAD_ROWS[name])
    entries = read_clips(tmp_path / name, out=tmp_path / "out").entries
    assert [entry.index for entry in entries] == [0, 1, 2, 3, 4]
    names = [entry.name for entry in entries]
    assert names == ["a.mp4", "b.mp4", {"set.csv": "line 4", "set.jsonl": "line 3"}[name], "c.mp4", "d.mp4"]
    problems = [entry.problem for entry in entries]
    assert problems[0] == problems[4] == ""
    assert "start is 'soon'; it must be 0 s or more" in problems[1]
    assert "the path is missing" in problems[2] or "not a JSON object" in problems[2]
    assert "start is" in problems[3]
    assert str(tmp_path) not in " ".join(problems)


def test_an_item_that_is_not_a_path_is_a_bad_row(tmp_path: Path) -> None:
    first, second = read_clips(["a.mp4", 7], out=tmp_path).entries
    assert (first.problem, second.name) == ("", "clip 1")
    assert second.problem == "clip 1: expected a path or a mapping with 'path', got int"


def test_the_digest_depends_on_a_problem(tmp_path: Path) -> None:
    digests = {read_clips(["a.mp4", {"path": "b.mp4", "start": start}], out=tmp_path).digest for start in ("x", "y")}
    assert len(digests) == 2


REFUSED = [
    ("set.jsonl", "[" * 100_000, "line 1: not a JSON object"),
    ("set.csv", "label\nyoga\n", "line 2: the path is missing; fill in the column 'path'"),
    ("set.csv", "path,start\na.mp4,soon\n", r"line 2: start is 'soon'; it must be 0 s or more"),
    ("set.csv", "path,start\na.mp4,-1\n", "start is '-1'; it must be 0 s or more"),
    ("set.csv", "path\n", "has no clips; pass a folder of videos"),
    ("set.csv", "path,start\n,1\na.mp4,x\n", r"no usable clips \(line 2: the path is missing"),
    ("set.jsonl", "{", "line 1: not a JSON object"),
    ("set.parquet", "no parquet", "is not a valid Parquet file"),
    ("set.xlsx", "", r"neither a folder nor a manifest"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), REFUSED)
def test_an_unreadable_manifest_is_refused(name: str, content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_clips(tmp_path / name, out=tmp_path / "out")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.csv cannot be read"):
        read_clips(tmp_path / "no.csv", out=tmp_path)
    with pytest.raises(InputError, match="the iterable has no clips"):
        read_clips([], out=tmp_path)
    (tmp_path / "bytes.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"bytes.csv cannot be read .*utf-8"):
        read_clips(tmp_path / "bytes.csv", out=tmp_path)


@pytest.mark.parametrize("address", ["https://example.org/a.mp4", "memory://a.mp4", "zip://a.mp4::b.zip"])
def test_addresses_of_a_manifest_are_off_unless_asked_for(tmp_path: Path, address: str) -> None:
    (tmp_path / "set.csv").write_text(f"path\n{address}\nb.mp4\n")
    first, second = read_clips(tmp_path / "set.csv", out=tmp_path).entries
    assert first.problem == "line 2: the path is an address; pass --addresses to read those of a manifest"
    assert not second.problem
    asked, _ = read_clips(tmp_path / "set.csv", out=tmp_path, addresses=True).entries
    assert (asked.problem, asked.source, asked.name) == ("", address, address)
    (of_caller,) = read_clips([address], out=tmp_path).entries
    assert not of_caller.problem


def test_a_file_address_and_a_name_like_an_address_are_paths(tmp_path: Path) -> None:
    (tmp_path / "memory::a.mp4").write_bytes(b"x")
    (tmp_path / "set.csv").write_text("path\nfile:///b.mp4\nmemory::a.mp4\n")
    first, second = read_clips(tmp_path / "set.csv", out=tmp_path).entries
    assert (first.problem, first.source) == ("", "file:///b.mp4")
    assert (second.problem, second.source) == ("", str(tmp_path / "memory::a.mp4"))
