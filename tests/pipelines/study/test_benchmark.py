"""The motion benchmark: known maps have known scores, bad maps are refused, and a version is frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import vidcam
from scripts.research.groundtruth import measures
from scripts.research.motion_maps import explain_clips
from vidcam.errors import InputError, ShapeError
from vidcam.models.registry import load_model
from vidcam.motion import MotionClip, benchmark
from vidcam.motion.box_tracks import filled_boxes
from vidcam.pipelines.study.benchmark import CLIPS, FIRST_SEED, MEASURES, VERSION, measure
from vidcam.pipelines.study.motion_set import mixed
from vidcam.system.fingerprint import digest_of

NETWORKS = {
    "tiny_r3d": "3f906abb7e5981c3db3d061fb8cc6c7d6ff2decfaef22a362d4b88849e8de418",
    "tiny_c3d": "e3f1c2b91cdfd7f28062cef7246c312fd5804f31b9e2f7467361531389884aca",
}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "motion.md"
SET = "1:549d800ae2391b5e1daa94cfc964a31a07795c3437fff3aae6ed720eceab072f"


def clips_of_the_set(count: int) -> list[MotionClip]:
    return [request.clip() for request in mixed(count, first_seed=FIRST_SEED, actors=1)]


def truth_of(clips: list[MotionClip]) -> NDArray[np.bool_]:
    return np.stack([filled_boxes(clip).any(axis=0) for clip in clips])


def flat(_network: nn.Module, clips: Tensor, _classes: Tensor) -> Tensor:
    return torch.ones_like(clips[:, 0])


def test_the_truth_has_full_marks() -> None:
    truth = truth_of(clips_of_the_set(4))
    result = benchmark(lambda _network, _clips, _classes: 7.0 * truth, name="truth", clips=4)
    for scores in result.networks:
        assert {name: (mean.value, mean.low, mean.high) for name, mean in scores.means.items()} == dict.fromkeys(
            MEASURES, (1.0, 1.0, 1.0)
        )
    cells = " | ".join(["1.000 [1.000, 1.000]"] * 4)
    assert str(result).splitlines()[2:] == [f"| truth | {name} | {cells} | 0 |" for name in NETWORKS]
    assert result.rows()[1][:2] == ("truth", "tiny_c3d")


def test_a_flat_map_has_the_share_of_the_truth() -> None:
    clips = clips_of_the_set(3)
    share = truth_of(clips).mean(axis=(1, 2, 3))
    acting = np.array([clip.acting.any(axis=0).mean() for clip in clips])
    values = measure(np.ones((3, 16, 64, 64)), clips)
    np.testing.assert_allclose(values, [share, share, share, acting])
    result = benchmark(flat, clips=3)
    assert result.name == "flat"
    for scores in result.networks:
        assert [scores.means[name].value for name in MEASURES] == pytest.approx(values.mean(axis=1).tolist())


def test_an_empty_map_counts_as_0() -> None:
    result = benchmark(lambda _network, clips, _classes: torch.zeros_like(clips[:, 0]), clips=2)
    assert [scores.empty for scores in result.networks] == [2, 2]
    assert {mean.value for scores in result.networks for mean in scores.means.values()} == {0.0}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_numbers_are_those_of_the_ground_truth_table(name: str) -> None:
    clips, model = clips_of_the_set(5), load_model(name, device="cpu")
    explained = list(explain_clips(model, clips))

    def gradcam(network: nn.Module, tensor: Tensor, classes: Tensor) -> NDArray[np.float32]:
        layer = "layer3" if hasattr(network, "layer3") else "relu4"
        heat = vidcam.explain(network, tensor, layer=layer, methods="gradcam", target=classes.tolist()).heat("gradcam")
        return np.asarray(heat, np.float32)

    (scores,) = [entry for entry in benchmark(gradcam, clips=5).networks if entry.network == name]
    expected = measures(explained, "gradcam")
    for measured in MEASURES:
        assert scores.means[measured].value == pytest.approx(expected[measured].mean(), rel=1e-6), measured


def test_a_method_gets_networks_that_it_can_differentiate_in_batches_of_20() -> None:
    batches: list[tuple[str, tuple[int, ...], list[int]]] = []

    def saliency(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
        assert not network.training
        leaf = clips.requires_grad_()
        network(leaf).gather(1, classes[:, None]).sum().backward()
        assert leaf.grad is not None
        batches.append((type(network).__name__, tuple(clips.shape[1:]), classes.tolist()))
        return leaf.grad.abs().sum(dim=1)

    with torch.no_grad():
        benchmark(saliency, clips=21)
    labels = [request.label for request in mixed(21, first_seed=FIRST_SEED, actors=1)]
    expected = [
        (network, (3, 16, 64, 64), part) for network in ("TinyR3D", "TinyC3D") for part in (labels[:20], labels[20:])
    ]
    assert batches == expected


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    section = PAGE.read_text("utf-8").partition("## The benchmark")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code.replace("benchmark(saliency)", "benchmark(saliency, clips=1)"), names)  # noqa: S102 – the page's own code
    assert [line.split(" | ")[1] for line in capsys.readouterr().out.splitlines()[2:]] == list(NETWORKS)


BAD = [
    (torch.ones(2, 1, 16, 64, 64), r"heat \(2, 1, 16, 64, 64\) of float32, expected \(2, 16, 64, 64\) numbers"),
    (np.ones((2, 8, 8, 8)), r"heat \(2, 8, 8, 8\) of float64"),
    (None, r"heat \(\) of object"),
    (np.full((2, 16, 64, 64), np.nan), r"NaN or infinity for clips \[0, 1\]"),
    (
        np.full((2, 16, 64, 64), -0.25),
        r"negative heat \(-0.25\); return its positive part",
    ),
]


@pytest.mark.parametrize(("heat", "sentence"), BAD)
def test_a_bad_heat_is_refused(heat: object, sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        benchmark(lambda *_: heat, clips=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("clips", [0, 161, 2.5])
def test_the_set_has_160_clips(clips: int) -> None:
    with pytest.raises(InputError, match=rf"clips is {clips}, expected 1 to 160"):
        benchmark(flat, clips=clips)


def test_explain_must_be_a_function() -> None:
    with pytest.raises(InputError, match="explain is 'gradcam', expected a function"):
        benchmark("gradcam")  # type: ignore[arg-type]


def test_the_networks_of_version_1_are_frozen() -> None:
    result = benchmark(flat, clips=1)
    assert result.version == VERSION == "1"
    assert {scores.network: scores.sha256 for scores in result.networks} == NETWORKS


@pytest.mark.slow
def test_the_clips_of_version_1_are_frozen() -> None:
    """If this fails, the set is another one and needs another version."""
    parts = (part for clip in clips_of_the_set(CLIPS) for part in (clip.frames.data, bytes(filled_boxes(clip))))
    assert f"{VERSION}:{digest_of(parts)}" == SET
