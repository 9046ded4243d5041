"""The training of the shipped transformers: repeatability and augmentation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from scripts.research import pool, train_tiny, train_transformers
from scripts.research.transformer_maps import kind_of, network_of
from tests.helpers.motion import tiny_input
from tests.scripts.research.test_train_tiny import one_thread
from vidcam.models.registry import load_model

__all__ = ["one_thread"]


@pytest.mark.parametrize("name", train_transformers.NAMES)
def test_two_runs_give_the_same_bytes(name: str) -> None:
    easy, single = (train_transformers.make_pool(0, 6, targets=targets) for targets in (4, 1))
    trainings = [train_transformers.Training(name, seed=seed, steps=3, easy_steps=1, batch=4) for seed in (1, 1, 2)]
    first, second, other = (
        train_tiny.weights(train_transformers.trained(training, easy, single)) for training in trainings
    )
    assert first == second
    assert first != other
    assert len(first) < 1e6


def test_an_augmented_clip_has_the_stated_class() -> None:
    """A trained model is the judge."""
    model = load_model("tiny_vit", device="cpu")
    clips = train_transformers.make_pool(900_000, 40)
    generator = torch.Generator().manual_seed(0)
    augmented = [
        pool.augmented(clip, int(label), generator, train_transformers.CHANGES)
        for clip, label in zip(clips.frames, clips.labels, strict=True)
    ]
    with torch.inference_mode():
        predicted = model.module(tiny_input(torch.stack([clip for clip, _ in augmented]))).argmax(dim=1)
    assert (predicted == torch.tensor([label for _, label in augmented])).double().mean() > 0.93
    for classes in train_transformers.CHANGES:
        assert [classes[other] for other in classes] == list(range(4))


def test_files_of_other_depths_and_seeds(tmp_path: Path) -> None:
    options = ["--steps", "5", "--clips", "10", "--held-out", "8", "--depth", "1", "--seed", "3"]
    run = CliRunner().invoke(train_transformers.train_transformers, [str(tmp_path), *options])
    assert run.exit_code == 0, run.output
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["tiny_vit_cls_depth1_seed3.safetensors", "tiny_vit_depth1_seed3.safetensors"]
    kinds = [kind_of(network_of(load_file(tmp_path / name))) for name in files]
    assert kinds == ["class token, depth 1", "mean of tokens, depth 1"]
    assert "| left |" in run.output
