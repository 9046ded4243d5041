from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from vidcam.errors import OutputError
from vidcam.pipelines.score import store as module
from vidcam.pipelines.score.columns import Columns, as_cell, score_columns
from vidcam.pipelines.score.store import Parts, open_parts
from vidcam.system.signals import interruptible

COLUMNS: Columns = {"clip": "whole", "path": "text", "drop": "number", "empty": "flag", "batch_size": "whole"}
SETTINGS = {"model": "tiny", "methods": ["gradcam", "gradcam++"], "fill": "black"}


@pytest.fixture(autouse=True)
def two_clips_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLIPS_A_PART", 2)


def opened(
    out: Path, settings: Mapping[str, Any] = SETTINGS, *, overwrite: bool = False
) -> AbstractContextManager[Parts]:
    return open_parts(out, settings, COLUMNS, overwrite=overwrite)


def assert_refused(out: Path, sentence: str, settings: Mapping[str, Any] = SETTINGS) -> None:
    with pytest.raises(OutputError, match=sentence), opened(out, settings):
        pass


def row(clip: int, **values: object) -> dict[str, object]:
    return {"clip": clip, "path": f"{clip}.mp4", "batch_size": 4, **values}


def filled(out: Path, count: int, **values: object) -> None:
    """A run that ended well after some clips."""
    with opened(out) as parts:
        for clip in range(count):
            parts.add([row(clip, **values)])
        parts.flush()


def test_rows_come_back_in_order_with_nothing_for_what_was_not_said(tmp_path: Path) -> None:
    with opened(tmp_path) as parts:
        for clip in range(3):
            parts.add([row(clip, drop=clip / 3, empty=True), row(clip)])
        assert len(list(parts.rows())) == 4  # two clips are a part, the third waits
        parts.flush()
        rows = list(parts.rows())
    assert [found["clip"] for found in rows] == [0, 0, 1, 1, 2, 2]
    assert rows[2] == {"clip": 1, "path": "1.mp4", "drop": 1 / 3, "empty": True, "batch_size": 4, "content": None}
    assert rows[3]["drop"] is None
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == [
        ".lock",
        "part-00000000-00000002.parquet",
        "part-00000002-00000003.parquet",
        "settings.json",
    ]


def test_a_run_goes_on_behind_the_last_part(tmp_path: Path) -> None:
    with opened(tmp_path) as parts:
        for clip in range(3):
            parts.add([row(clip, batch_size=4 - clip)])
    left = tmp_path / "scores" / ".part-00000002-00000004.00.part.parquet"
    left.write_text("a part in the making")
    with opened(tmp_path) as again:
        assert not left.exists()
        assert again.done == 2
        assert again.last_batch_size == 3
        again.add([row(2)])
        again.flush()
        assert [found["clip"] for found in again.rows()] == [0, 1, 2]
        assert [part["clip"].to_pylist() for part in again.tables(["clip"])] == [[0, 1], [2]]


def test_a_part_is_written_after_a_while_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_A_PART", 0.0)
    with opened(tmp_path) as parts:
        parts.add([row(0)])
        assert [found["clip"] for found in parts.rows()] == [0]


def test_an_empty_run_has_an_empty_table(tmp_path: Path) -> None:
    with opened(tmp_path) as parts:
        parts.flush()
        assert not list(parts.tables(["drop", "path"]))
        assert parts.last_batch_size is None


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    other = {**SETTINGS, "fill": "blur", "methods": ["gradcam"]}
    sentence = r"\(methods was gradcam, gradcam\+\+, is gradcam; fill was black, is blur\), expected the same to go on"
    assert_refused(tmp_path, sentence, other)
    with opened(tmp_path) as parts:
        assert parts.done == 1


def test_overwriting_begins_anew(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / "scores.csv").write_text("former")
    with opened(tmp_path, {**SETTINGS, "fill": "blur"}, overwrite=True) as again:
        assert again.done == 0
    assert not (tmp_path / "scores.csv").exists()
    assert json.loads((tmp_path / "scores" / "settings.json").read_text())["fill"] == "blur"


def test_overwriting_replaces_a_runs_overlays_and_nobody_elses(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / "worst").mkdir()
    (tmp_path / "worst" / "film.mp4").write_text("former")
    with opened(tmp_path, overwrite=True) as again:
        assert again.done == 0
    assert not (tmp_path / "worst").exists()
    mine = tmp_path / "elsewhere" / "worst"
    mine.mkdir(parents=True)
    with pytest.raises(OutputError, match="worst is there without"), opened(mine.parent, overwrite=True):
        pass
    assert mine.exists()


class Interrupted(list[dict[str, object]]):
    """Rows in the middle of which Ctrl-C is pressed."""

    def __iter__(self) -> Iterator[dict[str, object]]:
        for row in super().__iter__():
            yield row
            signal.raise_signal(signal.SIGINT)


def test_an_interrupt_while_rows_are_filed_leaves_no_clip_uncounted(tmp_path: Path) -> None:
    with opened(tmp_path) as parts, interruptible():
        with pytest.raises(KeyboardInterrupt):
            parts.add(Interrupted([row(0)]))
        parts.flush()
    with opened(tmp_path) as again:
        assert again.done == 1
        assert [found["clip"] for found in again.rows()] == [0]


def test_the_last_batch_size_is_found_behind_clips_that_failed(tmp_path: Path) -> None:
    with opened(tmp_path) as parts:
        for clip, size in enumerate((4, 2, None, None)):
            parts.add([row(clip, batch_size=size)])
        assert parts.last_batch_size == 2


@pytest.mark.parametrize("name", ["scores.csv", "report.md", "alpha.png"])
def test_files_in_the_way_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("somebody's")
    assert_refused(tmp_path, f"{name} is there without the settings")


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert_refused(tmp_path, "is being written to by another vidcam score")
    with opened(tmp_path) as parts:
        assert parts.done == 0


def test_a_gap_and_damaged_settings_are_refused(tmp_path: Path) -> None:
    filled(tmp_path, 4)
    (tmp_path / "scores" / "part-00000000-00000002.parquet").unlink()
    assert_refused(tmp_path, "lacks the part of clips 0 to 2")
    (tmp_path / "scores" / "settings.json").write_text("{")
    assert_refused(tmp_path, r"settings\.json is damaged")


def test_a_part_that_is_cut_off_or_damaged_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    part = tmp_path / "scores" / "part-00000000-00000002.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    assert_refused(tmp_path, r"00000002\.parquet is damaged \(.*\), expected a part of the scores; pass --overwrite")
    part.write_bytes(bytes(200) + whole[200:])
    with opened(tmp_path) as parts, pytest.raises(OutputError, match="is damaged"):
        list(parts.rows())


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(tmp_path / "file" / "out", r"cannot be written \(Not a directory\)")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (1 / 3, "0.333333333"),
        (7, "7"),
        ("a, b", "a, b"),
        (1e-20, "1e-20"),
    ],
)
def test_cells_by_hand(value: object, cell: str) -> None:
    assert as_cell(value) == cell


def test_columns_follow_the_measures() -> None:
    default = score_columns(("drop", "relative", "retention"), (0.25, 0.5, 0.75))
    assert [name for name in default if name.startswith(("retention", "tied"))] == [
        *("retention_0.25", "retention_0.5", "retention_0.75"),
        *("tied_0.25", "tied_0.5", "tied_0.75"),
    ]
    assert "insertion" not in default
    curve = score_columns(("drop", "curve"), (0.0, 0.5, 1.0))
    assert [name for name in curve if name.startswith("retention")] == [
        "retention_0.5",
        "retention_1",
        "retention_area",
    ]
