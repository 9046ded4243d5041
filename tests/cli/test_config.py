"""`--config`: a run out of a file, and the file that stands beside each result."""

from __future__ import annotations

import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.odd import images
from vidcam.cli.app import commands, main
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.score.run import score_clips

POOLED = "tests.helpers.nets:pooled_model"
HIDDEN = "tests.helpers.nets:hidden_model"

Capture = pytest.CaptureFixture[str]


def explain(video: Path, out: Path, *arguments: object) -> int:
    return main(["explain", str(video), "-o", str(out), *map(str, arguments)])


def settings(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


OPTIONS = {
    "defaults": (),
    "all": (
        *("--target", "two", "--target", "above:0.3", "--method", "gradcam,layercam", "--layer", "block1"),
        *("--layer", "block2", "--fusion", "max", "--start", "0.25", "--end", "1.5", "--overlap", "0.25"),
        *("--score", "probability", "--fill", "blur", "--batch-size", "3"),
    ),
    "contrast": ("--target", "1", "--contrast", "three", "--score-scale", "0.5", "--at", "0.5"),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_run_is_repeated_to_the_last_byte(options: tuple[str, ...], video: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "out", tmp_path / "out2"
    assert explain(video, first, "--model", POOLED, "--outputs", "data", *options) == 0
    assert explain(video, second, "--config", first / "video.toml") == 0
    assert (first / "video.npz").read_bytes() == (second / "video.npz").read_bytes()
    assert (first / "video.toml").read_bytes() == (second / "video.toml").read_bytes()


def test_the_file_states_what_was_chosen_for_the_user(video: Path, tmp_path: Path) -> None:
    assert explain(video, tmp_path / "out", "--model", "tiny_r3d", "--outputs", "data") == 0
    found = settings(tmp_path / "out" / "video.toml")
    assert found["model"] == "tiny_r3d"
    assert found["methods"] == ["neutral-gradcam", "gradcam"]
    assert found["layer"] == ["layer3"]
    assert found["batch_size"] == 4
    assert found["device"] == "cpu"
    assert "overwrite" not in found
    assert "targets" not in found


@pytest.mark.parametrize(("typed", "stated"), [("25", 25), ("30000/1001", "30000/1001"), ("12.5", "25/2")])
def test_a_rate_stays_exact(typed: str, stated: object, tmp_path: Path) -> None:
    shots, first = images(tmp_path / "shots", count=20), tmp_path / "out"
    assert explain(shots, first, "--model", POOLED, "--outputs", "data", "--fps", typed) == 0
    assert settings(first / "shots.toml")["fps"] == stated
    assert explain(shots, tmp_path / "out2", "--config", first / "shots.toml") == 0
    assert (first / "shots.npz").read_bytes() == (tmp_path / "out2" / "shots.npz").read_bytes()


def test_a_rate_may_be_a_number(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(f'model = "{POOLED}"\nfps = 12.5\noutputs = ["data"]\n')
    assert explain(images(tmp_path / "shots", count=20), tmp_path / "out", "--config", config) == 0
    assert settings(tmp_path / "out" / "shots.toml")["fps"] == "25/2"


def test_paths_are_relative_to_the_file(video: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "names.txt").write_text("\n".join("abcdefgh"))
    arguments = ("--model", "tiny_r3d", "--weights", "random", "--labels", tmp_path / "names.txt", "--target", "c")
    assert explain(video, tmp_path / "out", *arguments, "--outputs", "data") == 0
    found = settings(tmp_path / "out" / "video.toml")
    assert (found["weights"], found["labels"]) == ("random", "../names.txt")
    assert explain(video, tmp_path / "out2", "--config", tmp_path / "out" / "video.toml", "--json") == 0
    capsys.readouterr()


def test_the_command_line_wins(video: Path, tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f'model = "{POOLED}"\nmethods = ["gradcam", "layercam"]\ntargets = [1, "three"]\noutputs = "data"\n'
        "overlap = 0\nfill = 'blur'\n"
    )
    arguments = ("--config", config, "--method", "gradcam++", "--fill", "mean", "--json")
    assert explain(video, tmp_path / "out", *arguments) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert [target["label"] for target in result["targets"]] == ["two", "three"]
    assert list(result["targets"][0]["methods"]) == ["gradcam++"]
    assert result["fill"] == "mean"
    assert settings(tmp_path / "out" / "video.toml")["overlap"] == 0.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('metods = "gradcam"', "key 'metods' not found; the nearest are 'methods'"),
        ('out = "here"', "key 'out' not found"),
        ("overlap = true", "overlap is True, expected text or a number"),
        ("overwrite = 1", "overwrite is 1, expected true or false"),
        ("overlap = [0.5]", "overlap is [0.5], expected text or a number"),
        ("[fill]\nname = 'blur'", "fill is {'name': 'blur'}, expected text or a number"),
        ("overlap = 'much'", "'--overlap': 'much' is not a valid float"),
        ("overlap = 2", "overlap is 2"),
        ("overlap", "is no TOML file"),
        (None, "cannot be read (No such file"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    text: str | None, sentence: str, video: Path, tmp_path: Path, capsys: Capture
) -> None:
    config = tmp_path / "run.toml"
    if text is not None:
        config.write_text(text)
    assert explain(video, tmp_path / "out", "--config", config, "--model", POOLED) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("command", "function"), [("explain", explain_video), ("score", score_clips)])
def test_keys_are_keywords_of_the_python_api(command: str, function: Any) -> None:
    keys = {option.name for option in commands.commands[command].params if isinstance(option, click.Option)}
    known = set(inspect.signature(function).parameters) - {"source", "clips", "out", "progress", "spec"}
    of_several_videos = {"truth", "only_wrong", "engine", "threads"} if command == "explain" else set()
    assert keys - {"out", "as_json", "config", "against", "merge"} - of_several_videos == known


def test_a_file_of_somebody_else_is_not_replaced(video: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "video.toml").write_text("mine = true\n")
    assert explain(video, out, "--model", POOLED, "--outputs", "data", "--overwrite") == 2
    assert "video.toml is in the way" in capsys.readouterr().err
    assert (out / "video.toml").read_text() == "mine = true\n"


def test_a_score_is_repeated(tmp_path: Path, capsys: Capture) -> None:
    clips, first, second = write_set(tmp_path / "set", 4), tmp_path / "out", tmp_path / "out2"
    options = ["--model", HIDDEN, "--method", "gradcam,gradcam++", "--measures", "drop,retention", "--no-controls"]
    assert main(["score", str(clips), "-o", str(first), *options, "--seed", "3"]) == 0
    found = settings(first / "run.toml")
    assert found["methods"] == ["gradcam", "gradcam++"]
    assert (found["measures"], found["seed"], found["controls"]) == (["drop", "retention"], 3, False)
    assert main(["score", str(clips), "-o", str(second), "--config", str(first / "run.toml")]) == 0
    assert (first / "scores.csv").read_bytes() == (second / "scores.csv").read_bytes()
    assert (first / "run.toml").read_bytes() == (second / "run.toml").read_bytes()
    assert main(["score", str(clips), "-o", str(first), "--config", str(first / "run.toml")]) == 0  # resumes
    assert main(["score", str(clips), "-o", str(tmp_path / "x"), "--config", str(clips.parent / "no.toml")]) == 2
    capsys.readouterr()


def test_a_run_file_of_ones_own_stays_in_a_folder_of_scores(tmp_path: Path) -> None:
    clips, out = write_set(tmp_path / "set", 2), tmp_path / "out"
    out.mkdir()
    mine = f'model = "{HIDDEN}"\nmethods = "gradcam"\nmeasures = ["drop"]  # quick\n'
    (out / "run.toml").write_text(mine)
    assert main(["score", str(clips), "-o", str(out), "--config", str(out / "run.toml")]) == 0
    assert (out / "run.toml").read_text() == mine
