"""The first pass over a video: the leading class, windows that run again, the mode of the model."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.jobs import job_of
from tests.helpers.nets import TINY_SPEC, BrightnessNet, PooledHead, pooled_model, seeded
from tests.helpers.videos import Frames, flat_frames, noise_frames
from tests.pipelines.test_windows import Reel
from vidcam.errors import InputError, RunError
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import WindowResults, analyse
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.spec import ModelSpec
from vidcam.system.progress import silent

LEVELS = 8
METHODS = ("gradcam", "hirescam")
SLOPES = (1e-3, 2e-3, 3e-3)


class TableNet(nn.Module):
    """The brightness of a flat clip chooses a row of a table of probabilities; class k has the gradient SLOPES[k].

    So the map of class k is the brightness times SLOPES[k], and says which class it is of. Notes its batches.
    """

    def __init__(self, rows: list[tuple[float, float, float]]) -> None:
        super().__init__()
        self.table = torch.tensor(rows, dtype=torch.float64).log().float() + 1  # logits, no logarithms of probabilities
        self.pool, self.relu = nn.AvgPool3d((4, 8, 8)), nn.ReLU()
        self.batches: list[int] = []

    def forward(self, clip: Tensor) -> Tensor:
        self.batches.append(len(clip))
        brightness = self.relu(self.pool(clip.mean(dim=1, keepdim=True))).flatten(1).mean(dim=1)
        row = (brightness.detach() * LEVELS - 1).round().long().clamp(0, len(self.table) - 1)
        scores: Tensor = self.table[row] + 4 * (brightness - brightness.detach())[:, None] * torch.tensor(SLOPES)
        return scores


def _levels(*levels: int) -> Frames:
    """Four frames, one window, of each level."""
    return flat_frames([round(255 * (level + 1) / LEVELS) for level in levels for _ in range(4)], 16, 16)


def _run(
    module: nn.Module,
    frames: Frames,
    *,
    spec: ModelSpec = TINY_SPEC,
    targets: tuple[int, ...] = (),
    methods: tuple[str, ...] = ("gradcam",),
    layer: str = "relu",
    batch_size: int = 1,
    overlap: float = 0.0,
    told: list[tuple[str, float, float | None]] | None = None,
) -> tuple[WindowResults, ...]:
    reel = Reel(frames)
    model = Model(spec, module, tuple(f"class {index}" for index in range(spec.classes)), "by hand")
    request = ExplainRequest(methods=methods, targets=targets, layers=(layer,), batch_size=batch_size, overlap=overlap)
    progress = silent if told is None else lambda *step: told.append(step)
    return analyse(job_of(reel, model, request, progress=progress))


def _explained_class(answer: WindowResults) -> list[int]:
    """The class of each window's map, read from its magnitude."""
    volumes = answer.explanation.volumes["gradcam"]
    brightness = np.array(volumes.reshape(len(volumes), -1).max(axis=1), dtype=np.float64)
    return [
        int(np.abs(np.array(SLOPES) * level - value).argmin())
        for level, value in zip(_LEADING, brightness, strict=True)
    ]


_ROWS = [(0.9, 0.05, 0.05), (0.2, 0.75, 0.05), (0.05, 0.9, 0.05), (0.3, 0.4, 0.3)]
_VIDEO = (0, 1, 2, 2, 3)  # class 0 leads after one and two windows, class 1 from the third on
_LEADING = [(level + 1) / LEVELS for level in _VIDEO]


def test_windows_are_explained_for_the_leading_class_and_again_for_the_final_one() -> None:
    net, told = TableNet(_ROWS), list[tuple[str, float, float | None]]()
    (answer,) = _run(net, _levels(*_VIDEO), told=told)
    assert answer.explanation.target.tolist() == [1] * 5
    assert _explained_class(answer) == [1] * 5
    assert told == [
        *(("explaining windows", done, 5) for done in (1, 2, 3, 4, 5)),
        ("explaining windows again", 1, 2),  # the first two, while class 0 led, though the second alone says class 1
        ("explaining windows again", 2, 2),
    ]
    assert net.batches == [1] * (5 + 2)


def test_the_class_of_a_video_has_the_highest_mean_probability_not_the_most_windows() -> None:
    rows = [(0.4, 0.35, 0.25), (0.01, 0.98, 0.01)]
    (answer,) = _run(TableNet(rows), _levels(0, 0, 1))
    assert answer.explanation.target.tolist() == [1, 1, 1]  # means 0.27 and 0.56, though class 0 wins two windows


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8])
def test_results_are_in_order_for_every_batch_size(batch_size: int) -> None:
    (answer,) = _run(TableNet(_ROWS), _levels(*_VIDEO), batch_size=batch_size)
    expected = np.array([_ROWS[level] for level in _VIDEO])
    np.testing.assert_allclose(answer.explanation.probabilities(), expected, atol=1e-6)
    np.testing.assert_allclose(np.exp(answer.log_original), expected[:, 1], atol=1e-6)
    assert _explained_class(answer) == [1] * 5


def test_windows_that_run_again_are_batched() -> None:
    rows = [(0.9, 0.05, 0.05), (0.2, 0.75, 0.05), (0.01, 0.98, 0.01)]
    net, told = TableNet(rows), list[tuple[str, float, float | None]]()
    (answer,) = _run(net, _levels(0, 0, 0, 2, 2, 2, 2), batch_size=3, told=told)
    assert net.batches == [3, 3, 1, 3]
    assert told[-1:] == [("explaining windows again", 3, 3)]
    np.testing.assert_allclose(answer.explanation.probabilities(), [rows[0]] * 3 + [rows[2]] * 4, atol=1e-6)


def test_no_window_runs_again_if_the_leading_class_stays() -> None:
    net = TableNet(_ROWS)
    _run(net, _levels(2, 1, 2, 1), batch_size=2)
    assert net.batches == [2, 2]


def test_named_targets_share_one_forward_pass_and_keep_their_order() -> None:
    net = TableNet(_ROWS)
    answers = _run(net, _levels(*_VIDEO), targets=(2, 0), batch_size=5)
    assert [answer.explanation.target.tolist() for answer in answers] == [[2] * 5, [0] * 5]
    assert [_explained_class(answer) for answer in answers] == [[2] * 5, [0] * 5]
    assert net.batches == [5]
    for answer, target in zip(answers, (2, 0), strict=True):
        np.testing.assert_allclose(np.exp(answer.log_original), [_ROWS[level][target] for level in _VIDEO], atol=1e-6)


# ---- conduct


def test_a_model_in_training_mode_is_measured_in_evaluation_mode_and_keeps_its_mode() -> None:
    spec, frames = pooled_model().spec, noise_frames(30, 24, 24)
    evaluating, training = seeded(PooledHead).eval(), seeded(PooledHead).train()
    training.get_submodule("pool").eval()
    buffers = [buffer.clone() for buffer in training.buffers()]
    torch.default_generator.manual_seed(3)
    random = torch.get_rng_state()
    first, second = (
        _run(net, frames, spec=spec, methods=("gradcam", "gradcam++"), layer="block2", batch_size=2)[0]
        for net in (evaluating, training)
    )
    for method in ("gradcam", "gradcam++"):
        np.testing.assert_array_equal(first.explanation.volumes[method], second.explanation.volumes[method])
    assert {name for name, module in training.named_modules() if not module.training} == {"pool"}
    assert not any(module.training for module in evaluating.modules())
    assert all(torch.equal(old, new) for old, new in zip(buffers, training.buffers(), strict=True))
    assert torch.equal(random, torch.get_rng_state())


class FailingNet(BrightnessNet):
    """Raises at its n-th forward pass."""

    def __init__(self, error: BaseException, at: int = 1) -> None:
        super().__init__()
        self.error, self.at, self.runs = error, at, count(1)  # a plain number would be put back after each run

    def forward(self, clip: Tensor) -> Tensor:
        if next(self.runs) == self.at:
            raise self.error
        return super().forward(clip)


class _SilentError(RuntimeError):
    """An error without a message, like some of torch."""


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("out of memory. Tried 2 GiB.\nA hint\nA trace"), r"RuntimeError: out of memory\. Tried 2 GiB\."),
        (RuntimeError("\n  shapes differ\n more"), "RuntimeError: shapes differ"),
        (
            RuntimeError("expected 3 channels, but got 16 channels"),
            "RuntimeError: expected 3 channels, but got 16 channels",
        ),
        (_SilentError(), "_SilentError"),
    ],
)
def test_an_error_of_torch_is_one_sentence(error: Exception, reason: str, at: int) -> None:
    net = FailingNet(error, at).train()
    failed, advice = "model 'tiny' failed on a batch of 2", ""  # only if the advice is true
    if "memory" in reason:
        advice = "; use a smaller --batch-size"
    elif "channels" in reason:
        advice = "; clips are NCTHW: correct the spec's axes"
    message = rf"^{failed}: {reason} \(.*test_analyse\.py:\d+\){advice}$"
    with pytest.raises(RunError, match=message) as caught:
        _run(net, _levels(0, 1, 2, 3), spec=replace(TINY_SPEC, classes=2), batch_size=2)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error
    assert net.training


def test_a_network_that_ends_the_program_says_so() -> None:
    with pytest.raises(RunError, match=r"^model 'tiny' failed: SystemExit: 3 \(.*test_analyse\.py:\d+\)$"):
        _run(FailingNet(SystemExit(3)), _levels(0, 1), spec=replace(TINY_SPEC, classes=2))


def test_errors_of_vidcam_are_not_wrapped() -> None:
    planted = InputError("planted")
    with pytest.raises(InputError, match=r"^planted$"):
        _run(FailingNet(planted), _levels(0), spec=replace(TINY_SPEC, classes=2))
