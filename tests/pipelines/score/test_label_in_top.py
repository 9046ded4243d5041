"""The class that is explained: the predicted one, or a label among the most probable classes."""

from __future__ import annotations

import csv
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch

from vidcam.errors import InputError
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.samples import Sample, load_sample
from vidcam.pipelines.study.shape_set import COCO, MANIFEST, two_classes, write_shape_set

OPTIONS = partial(ScoreOptions, methods=("gradcam", "gradcam++"), measures="drop,localization", controls=False)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("tiny_gap", weights="random")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shape_set(two_classes(5), tmp_path_factory.mktemp("images") / "set")


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_three_formats_of_the_same_boxes_give_the_same_bytes(model: Model, images: Path, tmp_path: Path) -> None:
    tables = set()
    for name in (".", COCO, MANIFEST):
        out = tmp_path / name.strip(".")
        score_set(images / name, out, OPTIONS(label_in_top=5), model=model)
        tables.add((out / "scores.csv").read_bytes())
    assert len(tables) == 1


def test_labels_among_the_top_classes_are_explained(model: Model, images: Path, tmp_path: Path) -> None:
    """Y is the label's probability, and an image counts once for each of its labels, in one group."""
    result = score_set(images, tmp_path, OPTIONS(label_in_top=3), model=model)
    ranks: dict[tuple[str, str], int] = {}
    for entry in read_clips(images, out=tmp_path).entries:
        sample = load_sample(entry, model.spec)
        assert isinstance(sample, Sample)
        with torch.no_grad():
            probabilities = model.module(model.input_of(sample.tensor[None])).softmax(dim=1)[0].double()
        index = model.label_index(entry.label)
        ranks[entry.name, entry.label] = int((probabilities > probabilities[index]).sum())
        for row in rows_of(tmp_path):
            if (row["path"], row["label"], row["status"]) == (entry.name, entry.label, "scored"):
                assert row["class"] == entry.label
                assert row["predicted"] == model.label(int(probabilities.argmax()))
                assert row["correct"] == str(ranks[entry.name, entry.label] == 0).lower()
                assert float(row["probability"]) == pytest.approx(float(probabilities[index]), rel=1e-5)
                assert row["pointing"]
    statuses = {(row["path"], row["label"]): (row["status"], row["reason"]) for row in rows_of(tmp_path)}
    left_out = ("left out", "the label is not among the 3 most probable classes")
    assert statuses == {key: ("scored", "") if rank < 3 else left_out for key, rank in ranks.items()}
    assert 0 < result.summary.n < 10
    assert result.summary.groups == len({name for (name, _), rank in ranks.items() if rank < 3})


def test_zero_explains_the_predicted_class(model: Model, images: Path, tmp_path: Path) -> None:
    score_set(images, tmp_path, OPTIONS(label_in_top=0), model=model)
    rows = rows_of(tmp_path)
    assert Counter(row["status"] for row in rows) == {"scored": 20}
    by_image = {row["path"]: row["class"] for row in rows}
    assert all(row["class"] == by_image[row["path"]] for row in rows)


def test_an_unknown_label_and_none_are_left_out(model: Model, images: Path, tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("path,label\na.png,dragon\na.png,\na.png,ring\n")
    (tmp_path / "a.png").write_bytes(next((images / "JPEGImages").iterdir()).read_bytes())
    score_set(tmp_path / "set.csv", tmp_path / "out", OPTIONS(label_in_top=8), model=model)
    reasons = {row["label"]: row["reason"] for row in rows_of(tmp_path / "out")}
    assert reasons == {"dragon": "the model has no label 'dragon'", "": "the clip has no label", "ring": ""}


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(InputError, match="--label-in-top is -1; it must be at least 0"):
        ScoreOptions(label_in_top=-1)


def test_a_folder_of_images_is_a_set_and_videos_come_first(images: Path, tmp_path: Path) -> None:
    names = [entry.name for entry in read_clips(images / "JPEGImages", out=tmp_path).entries]
    assert names == sorted(path.name for path in (images / "JPEGImages").iterdir())
    for name in ("a.png", "b.mp4"):
        (tmp_path / name).touch()
    assert [entry.name for entry in read_clips(tmp_path, out=tmp_path / "out").entries] == ["b.mp4"]
