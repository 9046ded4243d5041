"""The training of the shipped models: repeatability and augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from scripts.research import accuracy, pool, train_tiny
from tests.helpers.motion import clips_and_labels, tiny_input
from vidcam.models.families.tiny import TINY_SPECS, build
from vidcam.models.registry import load_model

NAMES = tuple(spec.name for spec in TINY_SPECS)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in training."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_give_the_same_bytes(name: str) -> None:
    held_out = pool.make_pool(0, 6)
    first, second, other = (
        train_tiny.weights(train_tiny.trained(train_tiny.Training(name, steps=3, batch=4, seed=seed), held_out))
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other
    assert len(first) < 2e6


def test_folded_weights_give_the_same_logits() -> None:
    network = build("tiny_c3d")
    assert isinstance(network, nn.Sequential)
    normed = train_tiny.with_norms(network)
    clips = torch.randn(4, 3, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    normed.train()
    for _ in range(3):  # so that the running figures are other than at the start
        normed(clips)
    normed.eval()
    with torch.inference_mode():
        expected = normed(clips)
    train_tiny.fold(normed, network)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(clips), expected, rtol=1e-4, atol=1e-5)


def test_an_augmented_clip_has_the_stated_class() -> None:
    """A trained model is the judge: it has learned the motions, not the table."""
    model = load_model("tiny_r3d", device="cpu")
    frames, labels = clips_and_labels(16)
    generator = torch.Generator().manual_seed(0)
    augmented = [
        pool.augmented(clip, int(label), generator)
        for clip, label in zip(frames, labels, strict=True)
        for _ in range(3)
    ]
    with torch.inference_mode():
        predicted = model.module(tiny_input(torch.stack([clip for clip, _ in augmented]))).argmax(dim=1)
    stated = torch.tensor([label for _, label in augmented])
    assert (predicted == stated).double().mean() > 0.93
    assert set(stated.tolist()) == set(range(8))


def test_every_change_is_its_own_inverse() -> None:
    for classes in (pool.BACKWARDS, pool.LEFT_FOR_RIGHT, pool.UP_FOR_DOWN, pool.ROWS_FOR_COLUMNS):
        assert [classes[other] for other in classes] == list(range(8))


def test_accuracies_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0, 0.0], [3.0, 2.0, 0.0, 4.0], [1.0, 1.0, 0.0, 0.0]])
    labels = torch.tensor([0, 1, 1])
    assert accuracy.accuracy(logits, labels) == pytest.approx(1 / 3)
    assert accuracy.accuracy_within_pairs(logits, labels) == pytest.approx((1 + 0 + 0.5) / 3)


def test_shuffled_and_still_frames_come_from_the_clip() -> None:
    frames = torch.arange(2 * 5).view(2, 5, 1, 1, 1).to(torch.uint8)
    generator = torch.Generator().manual_seed(3)
    shuffled = accuracy.shuffled(frames, generator)
    assert shuffled.flatten(1).sort(dim=1).values.tolist() == frames.flatten(1).tolist()
    assert shuffled.tolist() != frames.tolist()
    still = accuracy.still(frames, generator).flatten(1)
    assert (still == still[:, :1]).all()
    assert 0 <= still[0, 0] < 5 <= still[1, 0] < 10
