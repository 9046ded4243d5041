"""The Parquet parts of a run: writing, resuming and errors."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.score_results import PROVENANCE, SETTINGS
from vidcam.errors import OutputError
from vidcam.pipelines.score import store as module
from vidcam.pipelines.score.columns import Columns, as_cell, score_columns
from vidcam.pipelines.score.settings import Settings
from vidcam.pipelines.score.store import ResultStore, check_folder, open_store
from vidcam.system.signals import interruptible

COLUMNS: Columns = {"clip": "whole", "path": "text", "drop": "number", "empty": "flag", "batch_size": "whole"}


@pytest.fixture(autouse=True)
def two_clips_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLIPS_PER_PART", 2)


def opened(out: Path, settings: Settings = SETTINGS, *, overwrite: bool = False) -> AbstractContextManager[ResultStore]:
    return open_store(out, settings, COLUMNS, overwrite=overwrite)


def assert_refused(out: Path, sentence: str, settings: Settings = SETTINGS) -> None:
    with pytest.raises(OutputError, match=sentence), opened(out, settings):
        pass


def row(clip: int, **values: object) -> dict[str, object]:
    return {"clip": clip, "path": f"{clip}.mp4", "batch_size": 4, **values}


def filled(out: Path, count: int, **values: object) -> None:
    """A complete run of some clips."""
    with opened(out) as store:
        for clip in range(count):
            store.add([row(clip, **values)])
        store.flush()


def test_rows_are_read_in_order_and_missing_values_are_none(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for clip in range(3):
            store.add([row(clip, drop=clip / 3, empty=True), row(clip)])
        assert len(list(store.rows())) == 4  # two clips are a part, the third waits
        store.flush()
        rows = list(store.rows())
    assert [found["clip"] for found in rows] == [0, 0, 1, 1, 2, 2]
    assert rows[2] == {"clip": 1, "path": "1.mp4", "drop": 1 / 3, "empty": True, "batch_size": 4, "content_hash": None}
    assert rows[3]["drop"] is None
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == [
        ".lock",
        "part-00000000-00000002.parquet",
        "part-00000002-00000003.parquet",
        "settings.json",
    ]


def test_a_run_resumes_after_the_last_part(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for clip in range(3):
            store.add([row(clip, batch_size=4 - clip)])
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
    monkeypatch.setattr(module, "SECONDS_PER_PART", 0.0)
    with opened(tmp_path) as store:
        store.add([row(0)])
        assert [found["clip"] for found in store.rows()] == [0]


def test_an_empty_run_has_an_empty_table(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.flush()
        assert not list(store.tables(["drop", "path"]))
        assert store.last_batch_size is None


def test_different_settings_are_refused_by_name(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    other = replace(SETTINGS, fill="blur", methods=("gradcam",))
    sentence = r"\(methods was gradcam, gradcam\+\+, is gradcam; fill was black, is blur\); choose another folder"
    assert_refused(tmp_path, sentence, other)
    with opened(tmp_path) as store:
        assert store.done == 1


def test_overwriting_starts_again(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / "scores.csv").write_text("former")
    with opened(tmp_path, replace(SETTINGS, fill="blur"), overwrite=True) as again:
        assert again.done == 0
    assert not (tmp_path / "scores.csv").exists()
    assert json.loads((tmp_path / "scores" / "settings.json").read_text())["fill"] == "blur"


def test_overwriting_deletes_the_overlays_of_a_run_only(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / "worst").mkdir()
    (tmp_path / "worst" / "video.mp4").write_text("former")
    with opened(tmp_path, overwrite=True) as again:
        assert again.done == 0
    assert not (tmp_path / "worst").exists()
    mine = tmp_path / "elsewhere" / "worst"
    mine.mkdir(parents=True)
    with pytest.raises(OutputError, match="worst exists, but not the settings"), opened(mine.parent, overwrite=True):
        pass
    assert mine.exists()


class Interrupted(list[dict[str, object]]):
    """Rows that raise an interrupt while they are added."""

    def __iter__(self) -> Iterator[dict[str, object]]:
        for row in super().__iter__():
            yield row
            signal.raise_signal(signal.SIGINT)


def test_an_interrupt_while_rows_are_added_counts_the_clip(tmp_path: Path) -> None:
    with opened(tmp_path) as store, interruptible():
        with pytest.raises(KeyboardInterrupt):
            store.add(Interrupted([row(0)]))
        store.flush()
    with opened(tmp_path) as again:
        assert again.done == 1
        assert [found["clip"] for found in again.rows()] == [0]


def test_the_last_batch_size_is_that_of_the_last_scored_clip(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for clip, size in enumerate((4, 2, None, None)):
            store.add([row(clip, batch_size=size)])
        assert store.last_batch_size == 2


@pytest.mark.parametrize("name", ["scores.csv", "report.md", "alpha.png"])
def test_results_without_settings_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("somebody's")
    assert_refused(tmp_path, f"{name} exists, but not the settings")


def test_two_runs_cannot_use_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert_refused(tmp_path, "is in use by another vidcam score")
    with opened(tmp_path) as store:
        assert store.done == 0


def test_checking_a_folder_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    assert check_folder(out, SETTINGS, overwrite=False) is None
    assert not out.parent.exists()
    filled(tmp_path, 1)
    before = {path: path.read_bytes() for path in (tmp_path / "scores").iterdir()}
    assert check_folder(tmp_path, SETTINGS, overwrite=False) == SETTINGS
    other = replace(SETTINGS, fill="blur")
    with pytest.raises(OutputError, match=r"\(fill was black, is blur\)"):
        check_folder(tmp_path, other, overwrite=False)
    assert check_folder(tmp_path, other, overwrite=True) is None
    check_folder(tmp_path, replace(SETTINGS, model=None), overwrite=False)  # only the model itself knows its name
    assert {path: path.read_bytes() for path in (tmp_path / "scores").iterdir()} == before


def test_an_unusable_folder_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written \(Not a directory\)"):
        check_folder(tmp_path / "file" / "out", SETTINGS, overwrite=False)
    (tmp_path / "report.md").write_text("somebody's")
    with pytest.raises(OutputError, match=r"report\.md exists, but not the settings"):
        check_folder(tmp_path, SETTINGS, overwrite=False)
    with opened(tmp_path / "out"), pytest.raises(OutputError, match="is in use by another vidcam score"):
        check_folder(tmp_path / "out", SETTINGS, overwrite=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"batch_size": "4"}', '{"batch_size": 0}'])
def test_damaged_settings_are_refused_before_the_run(text: str, tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / "scores" / "settings.json").write_text(text)
    with pytest.raises(OutputError, match=r"settings\.json is damaged .*pass --overwrite to start again"):
        check_folder(tmp_path, SETTINGS, overwrite=False)
    assert check_folder(tmp_path, SETTINGS, overwrite=True) is None


def test_provenance_is_recorded_once(tmp_path: Path) -> None:
    newer = replace(PROVENANCE, torch="9")
    with opened(tmp_path) as store:
        assert not store.settings.provenance
        for provenance in (PROVENANCE, PROVENANCE, newer, newer):
            store.record_provenance(provenance)
            store.add([row(store.done)])
        assert store.settings.provenance == (PROVENANCE, replace(newer, from_clip=2))


def test_a_gap_and_damaged_settings_are_refused(tmp_path: Path) -> None:
    filled(tmp_path, 4)
    (tmp_path / "scores" / "part-00000000-00000002.parquet").unlink()
    assert_refused(tmp_path, "lacks the part of clips 0 to 2")
    (tmp_path / "scores" / "settings.json").write_text("{")
    assert_refused(tmp_path, r"settings\.json is damaged")


def test_a_damaged_part_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    part = tmp_path / "scores" / "part-00000000-00000002.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    assert_refused(tmp_path, r"00000002\.parquet is damaged \(.*\); pass --overwrite")
    part.write_bytes(bytes(200) + whole[200:])
    assert_refused(tmp_path, "is damaged")


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
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
        "retention_auc",
    ]
