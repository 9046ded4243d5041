from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import InputError, ShapeError
from vidcam.metrics.instances import instance_coverage, kept_share, peaks, recall


def two_instances() -> np.ndarray:
    """Return two instances in a row of eight cells: cells 0–1 and 4–7."""
    instances = np.zeros((2, 1, 1, 8), np.bool_)
    instances[0, ..., :2] = instances[1, ..., 4:] = True
    return instances


def test_coverage_of_two_instances() -> None:
    heat = np.array([0.0, 0.0, 0.5, 0.4, 0.9, 0.8, 0.7, 0.6]).reshape(1, 1, 8)  # 6 of 8 voxels are kept
    assert instance_coverage(heat, two_instances()).tolist() == [0.0, 1.0]
    heat = np.array([0.9, 0.1, 0.5, 0.4, 0.9, 0.8, 0.0, 0.6]).reshape(1, 1, 8)  # all but 0.1 and 0.0
    assert instance_coverage(heat, two_instances()).tolist() == [0.5, 0.75]
    assert recall(np.array([0.0, 1.0])) == 0.5
    assert recall(np.array([0.25, 0.2, 1.0, 0.0])) == 0.5
    assert recall(np.array([0.5, 0.75]), min_coverage=0.6) == 0.5


def test_peaks_of_two_instances() -> None:
    heat = np.array([0.2, 0.3, 1.0, 0.0, 0.9, 0.8, 0.0, 0.6]).reshape(1, 1, 8)
    assert peaks(heat, two_instances()).tolist() == [0.3, 0.9]
    with pytest.raises(ShapeError, match=r"instances \(M, T, H, W\) bool, got heat.shape = \(1, 1, 7\)"):
        peaks(np.ones((1, 1, 7)), two_instances())


def test_ties_at_the_cut_share_and_zeros_are_never_kept() -> None:
    np.testing.assert_allclose(kept_share(np.array([3.0, 1.0, 1.0, 1.0, 0.5]), 2), [1, 1 / 3, 1 / 3, 1 / 3, 0])
    np.testing.assert_allclose(kept_share(np.array([2.0, 0.0, 0.0, 0.0]), 3), [1, 0, 0, 0])
    np.testing.assert_allclose(instance_coverage(np.ones((1, 1, 8)), two_instances()), [6 / 8, 6 / 8])
    np.testing.assert_allclose(instance_coverage(np.zeros((1, 1, 8)), two_instances()), [0, 0])


def test_coverage_depends_on_the_order_only_and_equals_a_plain_loop() -> None:
    generator = np.random.default_rng(5)
    heat = generator.permutation(60).reshape(3, 4, 5) / 60.0
    instances = generator.random((3, 3, 4, 5)) < 0.2
    instances[:, 0, 0, :3] = np.eye(3, dtype=np.bool_)
    got = instance_coverage(heat, instances)
    np.testing.assert_allclose(instance_coverage(heat**3, instances), got)
    volume = len({index for instance in instances for index, flag in np.ndenumerate(instance) if flag})
    kept = sorted(np.ndindex(heat.shape), key=lambda index: -float(heat[index]))[:volume]
    expected = [sum(bool(instance[index]) for index in kept) / instance.sum() for instance in instances]
    np.testing.assert_allclose(got, expected)


def test_invalid_arguments() -> None:
    with pytest.raises(ShapeError, match=r"instances \(M, T, H, W\) bool, got heat.shape = \(1, 1, 7\)"):
        instance_coverage(np.ones((1, 1, 7)), two_instances())
    with pytest.raises(ShapeError, match=r"every instance must have a voxel, got \[0, 1\] voxels"):
        instance_coverage(np.ones((1, 1, 2)), np.array([False, False, True, False]).reshape(2, 1, 1, 2))
    with pytest.raises(InputError, match=r"min_coverage is 0\.0, expected 0 < min_coverage <= 1"):
        recall(np.array([1.0]), min_coverage=0.0)
