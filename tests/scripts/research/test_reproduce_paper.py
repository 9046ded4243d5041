"""The papers' tables from folders of a user: each in its row, and the made set without any."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torchvision.models import get_model

from scripts.research.reproduce_paper import reproduce_paper
from vidcam.motion.shapes import SHAPE_LABELS
from vidcam.pipelines.study.shape_set import IMAGES, two_classes, write_shape_set


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as of Pascal VOC, and weights and labels of a network for its classes."""
    folder = write_shape_set(two_classes(2), tmp_path_factory.mktemp("images") / "set")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = get_model("squeezenet1_1", weights=None, num_classes=len(SHAPE_LABELS))
    torch.save(network.state_dict(), folder / "weights.pth")
    (folder / "labels.txt").write_text("\n".join(SHAPE_LABELS))
    return folder


@pytest.mark.slow
def test_each_call_adds_its_rows(images: Path, tmp_path: Path) -> None:
    call = partial(CliRunner().invoke, reproduce_paper, catch_exceptions=False)
    network = ["-o", str(tmp_path), "--model", "torchvision:squeezenet1_1"]
    network += ["--weights", str(images / "weights.pth"), "--labels", str(images / "labels.txt")]
    for arguments in (["--voc", str(images)], ["--imagenet", str(images / IMAGES)]):
        result = call([*network, *arguments])
        assert result.exit_code == 0, result.output
    page = (tmp_path / "tables.md").read_text("utf-8")
    assert "| VOC | label in the top 5 |" in page
    assert "| ImageNet | predicted class | 2 of 2 in 2 groups |" in page
    assert page.count("**ours**: torchvision:squeezenet1_1 on VOC") >= 5
    assert "with boxes | 0.25 |" in page
    assert result.output.strip() == page.strip()


@pytest.mark.slow
def test_without_data_the_shape_set_is_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(reproduce_paper, ["-o", str(tmp_path), "--images", "8"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "**ours**: tiny_gap on shape set" in result.output
    assert len(list((tmp_path / "made" / "8" / IMAGES).iterdir())) == 8


def test_a_missing_file_of_weights_is_one_sentence(images: Path, tmp_path: Path) -> None:
    arguments = ["-o", str(tmp_path), "--voc", str(images), "--weights", str(tmp_path / "nowhere.pth")]
    result = CliRunner().invoke(reproduce_paper, [*arguments, "--model", "torchvision:squeezenet1_1"])
    assert result.exit_code == 1
    assert "nowhere.pth" in result.output
