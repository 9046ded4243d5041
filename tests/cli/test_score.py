"""`vidcam score`: what is printed where, exit codes, and that nothing which was scored is lost."""

from __future__ import annotations

import json
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.clipsets import two_clips_a_part, write_set
from tests.helpers.processes import Command
from vidcam.cli.app import main

HIDDEN = "tests.helpers.nets:hidden_model"

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), 5)


def score(manifest: Path, out: Path, *more: str) -> list[str]:
    return ["score", str(manifest), "-o", str(out), "--model", HIDDEN, "--method", "gradcam", *more]


def test_a_table_on_standard_output_and_the_rest_on_standard_error(
    manifest: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert main(score(manifest, tmp_path / "out", "--batch-size", "auto")) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0].startswith("2 groups of clips cannot show which map keeps more: it takes 8 or more.")
    assert lines[1].startswith("Accuracy: top-1 ")
    assert [line.split()[0] for line in lines[3:6]] == ["rank", "1", "2"]
    first = next(place for place, line in enumerate(lines) if line.split()[:3] == ["method", "drop", "%"])
    assert [line.split()[0] for line in lines[first + 1 : first + 4]] == ["gradcam", "random", "centre"]
    assert "5 of 5 clips scored, 0 failed" in output.err
    assert "Holm's correction over 4 comparisons" in output.err
    assert (tmp_path / "out" / "summary.json").exists()


def test_one_document_with_json(manifest: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = score(manifest, tmp_path, "--json", "--no-controls", "--measures", "drop", "--fill", "mean")
    assert main([*arguments, "--seed", "3", "--batch-size", "2", "--workers", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["methods"]) == ["gradcam"]
    settings = document["settings"]
    assert (settings["fill"], settings["seed"], settings["batch_size"]) == ("mean", 3, 2)
    assert document["command"].startswith("vidcam score ")
    assert document["command"].endswith("--batch-size 2 --workers 1")


def test_failed_clips_are_said_and_make_the_exit_code_1(tmp_path: Path, capsys: Capture) -> None:
    manifest = write_set(tmp_path / "set", 4, broken={1, 2})
    assert main(score(manifest, tmp_path / "out")) == 1
    error = capsys.readouterr().err
    assert "2 of 4 clips scored, 2 failed" in error
    assert "nowhere.mp4: 'nowhere.mp4' does not exist" in error
    assert main(score(manifest, tmp_path / "out")) == 1  # it stays so when run again
    for name in ("text.mp4", "nowhere.mp4"):
        shutil.copy(tmp_path / "set" / "video1.mkv", tmp_path / "set" / name)
    assert main(score(manifest, tmp_path / "out", "--retry-failed")) == 0


def test_changed_settings_are_unusable_input(manifest: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(score(manifest, tmp_path)) == 0
    assert main(score(manifest, tmp_path, "--fill", "blur")) == 2
    assert "fill was black, is blur" in capsys.readouterr().err
    assert main(score(manifest, tmp_path, "--fill", "blur", "--overwrite")) == 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--batch-size", "many"), "--batch-size is 'many'; expected auto or a whole number"),
        (("--measures", "nothing"), "--measures is nothing; use default, all or some of"),
        (("--method", "guided-gradcam"), "cannot be scored, its values are signed"),
    ],
)
def test_what_cannot_be_is_refused(
    more: tuple[str, ...], sentence: str, manifest: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert main(score(manifest, tmp_path / "out", *more)) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _has_parts(out: Path, count: int) -> bool:
    return len(list(out.glob("scores/part-*"))) >= count


@pytest.mark.slow
def test_what_was_scored_survives_being_killed(tmp_path: Path) -> None:
    """Killed twice while it scores, then completed: the table is that of an undisturbed run."""
    manifest = write_set(tmp_path / "set", 18, broken={7})
    assert Command(score(manifest, tmp_path / "whole"), tmp_path).wait().code == 1
    out = tmp_path / "out"
    for parts in (1, 4):
        command = Command(score(manifest, out), tmp_path, prepare=two_clips_a_part)
        command.signal_when(partial(_has_parts, out, parts), signal.SIGKILL)
        assert command.wait().code == -signal.SIGKILL
        assert not (out / "scores.csv").exists()
    assert Command(score(manifest, out), tmp_path).wait().code == 1
    assert (out / "scores.csv").read_bytes() == (tmp_path / "whole" / "scores.csv").read_bytes()


@pytest.mark.slow
def test_an_interrupt_keeps_every_clip_that_was_scored(tmp_path: Path) -> None:
    manifest, out = write_set(tmp_path / "set", 24), tmp_path / "out"
    command = Command(score(manifest, out), tmp_path, prepare=two_clips_a_part)
    command.signal_when(lambda: list(out.glob("scores/part-*")), signal.SIGINT)
    done = command.wait()
    assert done.code == 130
    assert "interrupted; nothing half-written was left" in done.err
    assert not list(out.glob("scores/.*part.parquet"))
    assert Command(score(manifest, out), tmp_path).wait().code == 0


def test_shards_are_scored_and_merged(manifest: Path, tmp_path: Path, capsys: Capture) -> None:
    folders = [str(tmp_path / f"shard{number}") for number in (1, 2)]
    for number, folder in enumerate(folders, start=1):
        assert main(score(manifest, Path(folder), "--shard", f"{number}/2")) == 0
    assert "vidcam score --merge FOLDER… -o FOLDER" in capsys.readouterr().err
    assert main(["score", "--merge", *folders, "-o", str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    assert "5 of 5 clips scored" in output.err
    assert any(line.split()[:1] == ["gradcam"] for line in output.out.splitlines())
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("a", "b"), "2 sets are named, a first; score one, or pass --merge for shards"),
        (("a", "--merge", "--fill", "mean"), "--fill has no meaning with --merge, which scores nothing"),
        (("a", "--merge"), "a has no shard; pass folders that"),
        (("a", "--engine", "dask"), "--engine is 'dask'; it must be one of local, ray"),
        (("a", "--threads", "0"), "--threads is 0; it must be at least 1"),
        (("a", "--shard", "1/2", "--against", "b"), "--against compares whole sets; leave it out with --shard"),
    ],
)
def test_shards_that_cannot_be(arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["score", *arguments, "-o", str(tmp_path / "out")]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
