"""The truth table of transformers: its clips, measures and intervals."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from scripts.research.transformer_maps import clip_of_two, heats_of, interval, measured
from vidcam.models.families.tiny_vit import TinyViT
from vidcam.models.registry import load_model


def test_measures_by_hand() -> None:
    own, other = np.zeros((2, 1, 10, 10), np.bool_), np.zeros((2, 1, 10, 10), np.bool_)
    own[:, 0, 0], other[:, 0, 1] = True, True
    heat = np.zeros((2, 1, 10, 10))
    heat[0, 0, 0], heat[0, 0, 1], heat[0, 0, 2] = 3.0, 1.0, 2.0
    np.testing.assert_allclose(measured(heat, own, other), [[1.0, 0.5], [1.0, 0.0], [0.5, 0.0], [0.75, 0.5]])


def test_pairs_of_classes_are_equally_frequent() -> None:
    counts = Counter(clip_of_two(number).labels for number in range(24))
    assert len(counts) == 12
    assert set(counts.values()) == {2}


def test_an_interval_covers_seeds_and_clips() -> None:
    assert interval(np.full((3, 5), 0.25)) == "0.25 [0.25, 0.25]"
    by_seed, by_clip = np.array([[0.0] * 50, [1.0] * 50]), np.tile(np.arange(50) % 2, (2, 1)).astype(float)
    assert interval(by_seed) == "0.50 [0.00, 1.00]"
    low, high = (float(part) for part in interval(by_clip)[6:-1].split(", "))
    assert 0.3 < low < 0.45
    assert 0.55 < high < 0.7


@pytest.mark.parametrize("name", ["tiny_vit", "tiny_vit_cls"])
def test_the_map_of_a_class_is_in_its_target(name: str) -> None:
    network = load_model(name, device="cpu").module
    assert isinstance(network, TinyViT)
    clips = [clip_of_two(number) for number in range(6)]
    own, other = (np.stack([clip.instances[index] for clip in clips]) for index in (0, 1))
    heats = heats_of(network, clips, 0)
    assert ("gradcam, last block" in heats) == (name == "tiny_vit")
    means = {method: measured(heat, own, other).mean(axis=1) for method, heat in heats.items()}
    area, points, inside, ratio = means["token-lrp"]
    assert area > 0.93
    assert points > 0.8
    assert inside > 0.4
    assert ratio > 0.9
    assert abs(means["control: centre"][3] - 0.5) < 0.2
