"""Shards of a set and their merging: the bytes of one run, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from tests.pipelines.score.test_run import greedy_model
from vidcam.errors import InputError, OutputError
from vidcam.models.model import Model
from vidcam.pipelines.explain import disk_arrays
from vidcam.pipelines.report.video_folders import VideoFolders
from vidcam.pipelines.score import store, table
from vidcam.pipelines.score.merge import merge_shards
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.shards import Shard, read_record

QUICK = ScoreOptions(methods=("gradcam", "gradcam++"))
CLIPS = 17


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), CLIPS, broken={2, 5})


@pytest.fixture(scope="module")
def whole(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run."""
    out = tmp_path_factory.mktemp("whole")
    score_set(clips, out, QUICK, model=hidden_model())
    return out


@pytest.fixture(scope="module")
def quarters(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four shards, of which the second is interrupted and resumed."""
    folder = tmp_path_factory.mktemp("quarters")

    def interrupt(_stage: str, done: float, _total: float | None) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_set(clips, folder / "2", replace(QUICK, shard="2/4"), model=hidden_model(), progress=interrupt)
    return [shard(clips, folder / str(number), f"{number}/4") for number in range(1, 5)]


def shard(clips: Path, out: Path, text: str, options: ScoreOptions = QUICK, model: Model | None = None) -> Path:
    score_set(clips, out, replace(options, shard=text), model=model or hidden_model())
    return out


def assert_same_results(out: Path, whole: Path) -> None:
    names = sorted(path.name for path in whole.iterdir() if path.is_file())
    assert names == sorted(path.name for path in out.iterdir() if path.is_file())
    assert [name for name in names if (out / name).read_bytes() != (whole / name).read_bytes()] == []
    settings = "scores/settings.json"
    assert (out / settings).read_bytes() == (whole / settings).read_bytes()


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected I/N with I from 1 to N"):
        Shard.parse(text)


@pytest.mark.parametrize("total", [16, 17, 31, 1000])
def test_shards_are_all_clips_once_and_of_about_one_size(total: int) -> None:
    shards = [Shard(number, 16).clips(total) for number in range(1, 17)]
    assert [clip for clips in shards for clip in clips] == list(range(total))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_merged_shards_have_the_bytes_of_one_run(quarters: list[Path], whole: Path, tmp_path: Path) -> None:
    merged = merge_shards(quarters[::-1], tmp_path)
    assert merged.notes == ()
    assert_same_results(tmp_path, whole)


@pytest.mark.slow
def test_sixteen_shards_and_one_have_the_bytes_of_one_run(clips: Path, whole: Path, tmp_path: Path) -> None:
    for of in (1, 16):
        folders = [shard(clips, tmp_path / f"{number}-{of}", f"{number}/{of}") for number in range(1, of + 1)]
        out = whole.with_name(f"of-{of}")  # beside it: the page links to the videos
        merge_shards(folders, out)
        assert_same_results(out, whole)


def test_a_shard_has_parts_and_no_report(quarters: list[Path]) -> None:
    assert [path.name for path in quarters[1].iterdir()] == ["scores"]


def test_a_table_on_disk_gives_the_same_bytes(
    quarters: list[Path], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(table, "_PARTS_IN_MEMORY", 2)
    monkeypatch.setattr(disk_arrays, "SMALL_BYTES", 0)
    kept = merge_shards(quarters, tmp_path).scored.table
    assert_same_results(tmp_path, whole)
    assert kept.values("gradcam", "drop").shape == (CLIPS - 2,)
    assert sorted(path.suffix for path in (tmp_path / "scores").iterdir() if path.suffix != ".parquet") == ["", ".json"]


def test_a_shard_records_the_folders_of_its_own_clips(tmp_path: Path) -> None:
    clips = write_set(tmp_path / "set", 4)
    for name in ("first", "second"):
        (clips.parent / name).mkdir()
        shutil.copy(clips.parent / "video0.mkv", clips.parent / name)
    paths = ["first/video0.mkv", "first/video0.mkv", "first/video0.mkv", "second/video0.mkv"]
    clips.write_text("path\n" + "\n".join(paths) + "\n")
    folders = [shard(clips, tmp_path / str(number), f"{number}/2") for number in (1, 2)]
    records = [read_record(folder) for folder in folders]
    assert [record and record.folders for record in records] == [
        VideoFolders((0,), ("../set/first",)),
        VideoFolders((2, 3), ("../set/first", "../set/second")),
    ]
    score_set(clips, tmp_path / "whole", QUICK, model=hidden_model())
    merge_shards(folders, tmp_path / "merged")
    assert_same_results(tmp_path / "merged", tmp_path / "whole")


def test_a_merge_that_was_killed_is_completed(quarters: list[Path], whole: Path, tmp_path: Path) -> None:
    merge_shards(quarters, tmp_path)
    for path in sorted((tmp_path / "scores").glob("part-*"))[-2:]:
        path.unlink()
    (tmp_path / "scores.csv").unlink()
    merge_shards(quarters, tmp_path)
    assert_same_results(tmp_path, whole)


def test_the_command_of_the_whole_set_resumes_a_merged_folder(
    quarters: list[Path], clips: Path, tmp_path: Path
) -> None:
    merge_shards(quarters, tmp_path)
    again = score_set(clips, tmp_path, replace(QUICK, sanity=1), model=hidden_model())
    assert again.forwards == (0, 0)
    assert again.summary.sanity is not None


def test_missing_and_doubled_shards_are_named(quarters: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shards are missing: 1, 3-4 of 4; score them with --shard I/4"):
        merge_shards(quarters[1:2], tmp_path / "out")
    copy = shutil.copytree(quarters[1], tmp_path / "copy")
    with pytest.raises(InputError, match=r"shard 2/4 is there 2 times \(.*2, .*copy\); pass one of them"):
        merge_shards([*quarters, copy], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_shard_that_is_not_complete_is_named(quarters: list[Path], tmp_path: Path) -> None:
    copy = shutil.copytree(quarters[3], tmp_path / "copy")
    sorted((copy / "scores").glob("part-*"))[-1].unlink()
    with pytest.raises(InputError, match=r"shard 4/4 in .*copy has \d of its 5 clips; run its command again"):
        merge_shards([*quarters[:3], copy], tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch_size": 3}, r"batch_size was 4, is 3"),
        ({"threads": 2}, r"threads was 1, is 2"),
        ({"fill": "mean"}, r"fill was black, is mean"),
    ],
)
def test_shards_of_other_settings_are_refused_by_name(
    change: dict[str, object], sentence: str, clips: Path, tmp_path: Path
) -> None:
    options = replace(QUICK, threads=1)
    former = torch.get_num_threads()
    folders = [
        shard(clips, tmp_path / "1", "1/9", options),
        shard(clips, tmp_path / "2", "2/9", replace(options, **change)),  # type: ignore[arg-type]
    ]
    assert torch.get_num_threads() == former
    with pytest.raises(InputError, match=rf"have other settings \({sentence}\)"):
        merge_shards(folders, tmp_path / "out")


def test_a_folder_keeps_its_shard(quarters: list[Path], clips: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="has scores of shard 2/4; choose another folder"):
        shard(clips, quarters[1], "3/4")
    with pytest.raises(OutputError, match="has scores of shard 2/4"):
        score_set(clips, quarters[1], QUICK, model=hidden_model())
    with pytest.raises(OutputError, match="has scores of the whole set"):
        shard(clips, whole, "2/4")
    with pytest.raises(InputError, match="has no shard; pass folders that"):
        merge_shards([whole], tmp_path / "out")
    with pytest.raises(InputError, match="has other scores; choose another folder"):
        merge_shards(quarters, whole)
    with pytest.raises(InputError, match=f"the set has only {CLIPS} clips"):
        shard(clips, tmp_path / "many", "1/18")


def test_a_batch_cut_for_lack_of_memory_is_said(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CLIPS_PER_PART", 2)
    options = replace(QUICK, batch_size=8)
    folders = [shard(clips, tmp_path / str(number), f"{number}/2", options, model=greedy_model()) for number in (1, 2)]
    first, second = merge_shards(folders, tmp_path / "out").notes
    assert first == (
        "memory ran out in shard 1/2: its batch was cut from 8 to 2, see batch_size in scores.csv; "
        "log probabilities may differ from one run by 1e-5, retention by more where a rank turns"
    )
    assert second.startswith("memory ran out in shard 2/2")


def test_unequal_machines_are_said(quarters: list[Path], tmp_path: Path) -> None:
    copy = shutil.copytree(quarters[0], tmp_path / "copy")
    record = copy / "scores" / "shard.json"
    record.write_text(record.read_text().replace('"machine": "', '"machine": "other '))
    (note,) = merge_shards([copy, *quarters[1:]], tmp_path / "out").notes
    assert note.startswith("the shards ran on unequal processors (other ")
