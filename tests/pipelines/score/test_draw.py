"""Clips of a scored set, chosen by a condition and drawn again."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from vidcam.cli.app import main
from vidcam.errors import InputError, OutputError
from vidcam.pipelines.score.draw import chosen_clips, draw_clips
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.scored_set import read_scored_set

HIDDEN = "tests.helpers.nets:hidden_model"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draw")
    manifest = write_set(folder / "set", 8, broken={2})
    options = ScoreOptions(methods=("gradcam", "gradcam++"))
    score_set(manifest, folder / "out", options, model=HIDDEN)
    return folder / "out"


def rows(scored: Path) -> list[dict[str, str]]:
    with (scored / "scores.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["status"] == "scored"]


def test_a_clip_is_chosen_if_one_of_its_rows_fulfils_the_condition(scored: Path) -> None:
    middle = sorted(float(row["drop"]) for row in rows(scored) if row["method"] == "gradcam++")[3]
    text = f"method == 'gradcam++' and drop > {middle} or path == 'video1.mkv'"
    expected = {
        int(row["clip"])
        for row in rows(scored)
        if (row["method"] == "gradcam++" and float(row["drop"]) > middle) or row["path"] == "video1.mkv"
    }
    chosen = chosen_clips(read_scored_set(scored), text, None)
    assert [clip.clip for clip in chosen] == sorted(expected)
    assert 0 < len(expected) < 7
    assert len(chosen_clips(read_scored_set(scored), None, None)) == 7


def test_the_worst_have_the_largest_mean_drop_over_the_methods(scored: Path) -> None:
    drops: dict[int, float] = {}
    for row in rows(scored):
        if row["method"].startswith("gradcam"):
            drops[int(row["clip"])] = drops.get(int(row["clip"]), 0.0) + float(row["drop"])
    chosen = [clip.clip for clip in chosen_clips(read_scored_set(scored), None, 3)]
    assert chosen == sorted(drops, key=lambda clip: -drops[clip])[:3]


def test_chosen_clips_are_drawn_into_numbered_folders(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["render", str(scored), "-o", str(tmp_path / "drawn"), "--worst", "2", "--method", "gradcam"]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["lines"]) == 2
    for number in ("1", "2"):
        endings = {path.suffix for path in (tmp_path / "drawn" / number).iterdir()}
        assert {".mp4", ".png", ".html"} <= endings
    assert main(arguments) == 2
    assert "is not empty; choose another folder (-o), or pass --overwrite" in capsys.readouterr().err
    with pytest.raises(OutputError, match="is not empty"):
        draw_clips(scored, tmp_path, worst=1)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--from-scores", "correct = false"), "= false is not understood; "),
        (("--from-scores", "drop > 2"), "none of the 7 scored clips fulfils it"),
        (("--worst", "0"), "--worst is 0; it must be at least 1"),
        (("--worst", "1", "--style", "contour"), "--style has no meaning with --from-scores"),
        (("--worst", "1", "--clips", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    more: tuple[str, ...], sentence: str, scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(scored), "-o", str(tmp_path / "drawn"), *more]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()


def test_a_set_that_was_moved_or_changed_is_named_again(scored: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved" / "out"
    shutil.copytree(scored, moved)
    with pytest.raises(InputError, match="is not there any more; pass it with --clips"):
        draw_clips(moved, tmp_path / "drawn", worst=1)
    other = write_set(tmp_path / "other", 3)
    with pytest.raises(InputError, match="has scores of another set"):
        draw_clips(moved, tmp_path / "drawn", worst=1, clips=other)
    drawn = draw_clips(moved, tmp_path / "drawn", worst=1, clips=scored.parent / "set" / "set.csv")
    assert len(drawn.lines) == 1


def test_a_model_from_python_cannot_be_loaded_again(tmp_path: Path) -> None:
    score_set(write_set(tmp_path / "set", 2), tmp_path / "out", ScoreOptions(methods="gradcam"), model=hidden_model())
    with pytest.raises(InputError, match=r"run\.toml is missing; a run with a named model writes it"):
        draw_clips(tmp_path / "out", tmp_path / "drawn", worst=1)
    with pytest.raises(InputError, match=r"is no scored set: summary\.json is missing"):
        draw_clips(tmp_path / "set", tmp_path / "drawn", worst=1)
