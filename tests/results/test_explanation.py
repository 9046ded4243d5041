from __future__ import annotations

import dataclasses
import math
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vidcam.errors import NameNotFoundError, ShapeError
from vidcam.results.clip_arrays import map_arrays, per_clip_arrays
from vidcam.results.explanation import AUDIT_FIELDS, AlphaAudit, Explanation


def audit(clips: int, seed: int = 0) -> AlphaAudit:
    rng = np.random.default_rng(seed)
    return AlphaAudit(
        positive=rng.random((clips, 5)),
        nonzero=rng.random((clips, 5)),
        product=rng.random((clips, 5)),
        clamped=rng.random(clips),
        agreement=rng.random(clips),
        uniform=rng.random(clips) > 0.5,
    )


def explanation(clips: int = 4, *, contrast: bool = True, exact: bool | None = True, seed: int = 0) -> Explanation:
    rng = np.random.default_rng(seed)
    return Explanation(
        volumes={
            "gradcam": rng.random((clips, 2, 3, 4)).astype(np.float32),
            "gradcam++": rng.random((clips, 2, 3, 4)).astype(np.float32),
        },
        logits=rng.normal(size=(clips, 6)).astype(np.float32),
        target=rng.integers(0, 6, clips),
        contrast=rng.integers(0, 6, clips) if contrast else None,
        layer="Mixed_5c",
        input_size=(8, 12, 16),
        alpha={"gradcam++": audit(clips, seed)},
        alpha_exact=exact,
    )


def assert_same(first: Explanation, second: Explanation) -> None:
    """Compare every array bit by bit, and its dtype."""
    assert first.methods == second.methods
    assert list(first.alpha) == list(second.alpha)
    pairs: list[tuple[Any, Any]] = [(first.logits, second.logits), (first.target, second.target)]
    pairs += [(first.volumes[name], second.volumes[name]) for name in first.methods]
    pairs += [(getattr(first.alpha[n], f), getattr(second.alpha[n], f)) for n in first.alpha for f in AUDIT_FIELDS]
    if first.contrast is not None and second.contrast is not None:
        pairs.append((first.contrast, second.contrast))
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs, strict=True)
    for name in ("layer", "input_size", "alpha_exact"):
        assert getattr(first, name) == getattr(second, name)
    assert (first.contrast is None) == (second.contrast is None)


def test_heat_is_upsampled_then_normalised_per_clip() -> None:
    made = explanation()
    volume = torch.from_numpy(made.volume("gradcam"))[:, None]
    upsampled = functional.interpolate(volume, (8, 12, 16), mode="trilinear", align_corners=False)[:, 0].numpy()
    heat = made.heat("gradcam")
    assert heat.dtype == np.float32
    for index in range(4):
        low, high = upsampled[index].min(), upsampled[index].max()
        np.testing.assert_allclose(heat[index], (upsampled[index] - low) / (high - low), rtol=0, atol=1e-5)
        assert (heat[index].min(), heat[index].max()) == (0, 1)


def test_heat_of_a_small_map() -> None:
    volume = np.array([1.0, 5.0]).reshape(1, 2, 1, 1)
    made = Explanation({"m": volume}, np.zeros((1, 2)), np.zeros(1, np.int64), None, "l", (4, 1, 1))
    np.testing.assert_allclose(made.heat("m").ravel(), [0, 0.25, 0.75, 1])


def test_heat_of_a_batch_equals_that_of_each_clip_alone() -> None:
    made = explanation()
    together = made.heat("gradcam++")
    for index in range(4):
        np.testing.assert_allclose(
            map_arrays(made, itemgetter([index])).heat("gradcam++")[0], together[index], atol=1e-6
        )


def test_an_image_network_has_no_time_axis() -> None:
    volume = np.array([[[0.0, 2.0]]])
    made = Explanation({"m": volume}, np.zeros((1, 2)), np.zeros(1, np.int64), None, "l", (1, 4))
    np.testing.assert_allclose(made.heat("m"), [[[0, 0.25, 0.75, 1]]])


CONSTANT_SIZES = [((2, 7, 7), (16, 112, 112)), ((1, 1, 1), (16, 9, 9)), ((2, 7, 7), (16, 224, 224))]
ROUNDED_SIZES = [((2, 10, 10), (16, 224, 224)), ((4, 10, 10), (16, 312, 312)), ((1, 3, 3), (10, 10, 10))]


@pytest.mark.parametrize(("grid", "size"), [*CONSTANT_SIZES, *ROUNDED_SIZES])
def test_constant_evidence_is_all_ones(grid: tuple[int, int, int], size: tuple[int, int, int]) -> None:
    volume = np.full((1, *grid), 0.3, np.float32)
    made = Explanation({"m": volume}, np.zeros((1, 2)), np.zeros(1, np.int64), None, "l", size)
    assert made.heat("m").min() == 1


def test_a_map_without_evidence_is_zero_and_flagged() -> None:
    volume = np.zeros((3, 2, 2, 2), np.float32)
    volume[1, 0, 0, 0] = 1e-30
    made = Explanation({"m": volume}, np.zeros((3, 2)), np.zeros(3, np.int64), None, "l", (4, 8, 8))
    assert made.empty["m"].tolist() == [True, False, True]
    assert made.heat("m")[[0, 2]].max() == 0
    assert made.heat("m")[1].max() == 1
    assert np.isfinite(made.heat("m")).all()


def test_probabilities_of_small_logits() -> None:
    made = dataclasses.replace(
        explanation(2, contrast=False), logits=np.array([[0.0, math.log(3.0)], [7.0, 7.0]]), target=np.array([0, 1])
    )
    np.testing.assert_allclose(made.probabilities(), [[0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_survive_extreme_logits(dtype: type) -> None:
    logits: NDArray[Any] = np.array([[1000.0, -1000.0, 999.0], [-1000.0, -1000.0, -1000.0]]).astype(dtype)
    made = dataclasses.replace(explanation(2), logits=logits)
    probabilities = made.probabilities()
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(probabilities, torch.from_numpy(logits).double().softmax(dim=1).numpy(), rtol=1e-12)


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(NameNotFoundError, match=r"method 'gradcm' not found; the nearest are 'gradcam', 'gradcam\+\+'"):
        explanation().heat("gradcm")


@pytest.mark.parametrize("contrast", [False, True])
def test_concatenated_parts_equal_the_whole(contrast: bool) -> None:
    made = explanation(5, contrast=contrast)
    whole = map_arrays(made, np.zeros_like)
    for clips in ([3, 4], [2], [0, 1]):
        part = map_arrays(made, itemgetter(clips))
        for into, array in zip(per_clip_arrays(whole), per_clip_arrays(part), strict=True):
            into[clips] = array
    assert_same(whole, made)


def test_map_arrays_keeps_a_missing_contrast() -> None:
    made = explanation(3, contrast=False)
    assert map_arrays(made, np.copy).contrast is None


def test_a_contrast_must_fit_the_clips() -> None:
    with pytest.raises(ShapeError, match=r"contrast must be \(N,\) like target"):
        dataclasses.replace(explanation(3), contrast=np.zeros(2, dtype=np.int64))


@pytest.mark.parametrize("shape", [(2, 2, 3, 4), (4, 3, 4), (4, 1, 2, 3, 4)])
def test_volumes_must_fit_the_clips_and_the_input(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"volumes must be \(N, ...\) with N = 4 clips and 4 axes for .*'x'"):
        dataclasses.replace(explanation(4), volumes={"x": np.zeros(shape)})


@pytest.mark.parametrize("shape", [(6,), (3, 6), (4, 6, 2)])
def test_logits_must_have_one_row_per_clip(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"logits must be \(N, K\) and target \(N,\), got "):
        dataclasses.replace(explanation(4), logits=np.zeros(shape))


@pytest.mark.parametrize("name", ["positive", "nonzero", "product", "agreement", "uniform"])
def test_an_audit_is_complete(name: str) -> None:
    good = audit(3)
    with pytest.raises(ShapeError, match=rf"an audit of 3 clips must have the shapes .*, got {{'{name}': \(2,"):
        dataclasses.replace(good, **{name: getattr(good, name)[:2]})


def test_prints_shapes_not_numbers() -> None:
    text = repr(explanation(4))
    assert "gradcam++: (4, 2, 3, 4)" in text
    assert "layer='Mixed_5c'" in text
    assert len(text) < 150
