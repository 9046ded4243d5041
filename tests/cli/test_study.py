"""`vidcam study`: from explanations to a page, from answers to tables; exit codes and what stands where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.studies import answer_file, prefers, save_clips
from vidcam.cli.app import main
from vidcam.pipelines.trust.content import read_key
from vidcam.pipelines.trust.make import WrittenStudy

SHORT = ("--pairs", "4", "--singles", "2")


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> WrittenStudy:
    """A page and its key, made by the command line."""
    (tmp_path / "clips").mkdir()
    folder = save_clips(tmp_path / "clips", count=2)
    truth = str(folder / "truth.csv")
    assert main(["study", str(folder), "-o", str(tmp_path / "study.html"), "--truth", truth, "--json", *SHORT]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["methods"] == ["gradcam", "gradcam++"] or document["methods"] == ["gradcam++", "gradcam"]
    fields = {**document, "path": Path(document["path"]), "key": Path(document["key"])}
    return WrittenStudy(**fields)


def test_from_answers_to_tables(made: WrittenStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers, key = tmp_path / "answers", read_key(made.key)
    answers.mkdir()
    for number in range(4):
        answer_file(answers, made, f"rater{number}", number, prefers(key, "gradcam++" if number else "gradcam"))
    command = ["study", "collect", str(answers), "--key", str(made.key), "--resamples", "20"]
    assert main([*command, "-o", str(tmp_path / "result")]) == 0
    shown = capsys.readouterr()
    first = shown.out.splitlines()
    assert first[0].split() == ["method", "answers", "score", "strength", "log", "strength"]
    assert first[1].split()[0] == "gradcam++"
    assert "4 raters" in shown.err
    assert {path.name for path in (tmp_path / "result").iterdir()} == {"study.json", "answers.csv"}
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "result" / "study.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["study", "collect", "none"], "should have one key"),
        (["study", "collect", "none", "--key", "none.key.json"], "does not exist"),
        (["study", "serve", "none.html"], "is no page of"),
        (["study", "make", "none", "-o", "page.pdf"], "must end in .html"),
        (["study", "none.npz", "-o", "page.html", "--pairs", "-1"], "--pairs is -1"),
        (["study", "none.npz", "-o", "page.html", "--select", "best"], "--select is 'best'"),
        (["study", "make", "none.npz"], "-o"),
    ],
)
def test_what_is_refused(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["study"], ["study", "make"], ["study", "serve"], ["study", "collect"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Usage: vidcam {' '.join(command)}")
    assert max(map(len, lines)) <= 110
