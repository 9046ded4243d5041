"""`vidcam labels`: index and label, without a network where that can be."""

from __future__ import annotations

import json

import pytest

from vidcam.cli.app import main
from vidcam.motion import LABELS

POOLED = "tests.helpers.nets:pooled_model"

Capture = pytest.CaptureFixture[str]


def test_labels_of_a_built_in_model_build_no_network(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.models.registry.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    assert main(["labels", "tiny_r3d"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["index", "label"]
    assert [line.split(maxsplit=1)[1].strip() for line in lines[1:]] == list(LABELS)


def test_one_document(capsys: Capture) -> None:
    assert main(["labels", "tiny_r3d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"index": k, "label": name} for k, name in enumerate(LABELS)]


def test_a_filter_ignores_case_and_keeps_the_index(capsys: Capture) -> None:
    assert main(["labels", "i3d", "--filter", "GUITAR", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"index": 232, "label": "playing guitar"} in rows
    assert all("guitar" in row["label"] for row in rows)
    assert main(["labels", "i3d", "--filter", "xyzzy"]) == 2
    assert "--filter 'xyzzy' is in none of the 400 labels of 'i3d'" in capsys.readouterr().err


def test_labels_of_a_model_of_ones_own(capsys: Capture) -> None:
    assert main(["labels", POOLED, "--json"]) == 0
    assert [row["label"] for row in json.loads(capsys.readouterr().out)] == ["one", "two", "three", "four"]


def test_an_unknown_model(capsys: Capture) -> None:
    assert main(["labels", "tiny_r3dd"]) == 2
    assert "model 'tiny_r3dd' not found; the nearest are 'tiny_r3d'" in capsys.readouterr().err
