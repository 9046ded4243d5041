"""The first pass over a video: the leading class, windows that run again, faithfulness, the mode of the model."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import TINY_SPEC, BrightnessNet, PooledHead, pooled_model, seeded
from tests.helpers.videos import Frames, flat_frames, noise_frames
from tests.pipelines.test_windows import Reel
from vidcam.cam.explain import explain
from vidcam.errors import InputError, NonFiniteError, RunError
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import VideoJob, WindowResults, analyse, measured_windows
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.explain.request import VERDICT_FORWARDS, ExplainRequest
from vidcam.pipelines.windows import window_tensors
from vidcam.preprocess import fill_for
from vidcam.sampling import plan_windows
from vidcam.spec import ModelSpec
from vidcam.system.progress import StageTimer, silent

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
    verdict_forwards: int = VERDICT_FORWARDS,
    told: list[tuple[str, float, float | None]] | None = None,
) -> tuple[WindowResults, ...]:
    reel = Reel(frames)
    model = Model(spec, module, tuple(f"class {index}" for index in range(spec.classes)), "by hand")
    windows = plan_windows(reel.info, frames=spec.frames, fps=spec.fps, overlap=overlap)
    request = ExplainRequest(
        methods=methods, targets=targets, layers=(layer,), batch_size=batch_size, verdict_forwards=verdict_forwards
    )
    return analyse(
        model,
        VideoJob(reel, windows, Crops((spec.geometry(reel.info.size),)), (0.0, reel.info.duration_seconds)),
        request,
        clock=StageTimer(),
        progress=silent if told is None else lambda *step: told.append(step),
    )


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
    assert net.batches == [1] * 2 * (5 + 2)  # once as it is and once masked


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
    assert net.batches == [3, 3, 3, 3, 1, 1, 3, 3]
    assert told[-1:] == [("explaining windows again", 3, 3)]
    np.testing.assert_allclose(answer.explanation.probabilities(), [rows[0]] * 3 + [rows[2]] * 4, atol=1e-6)


def test_no_window_runs_again_if_the_leading_class_stays() -> None:
    net = TableNet(_ROWS)
    _run(net, _levels(2, 1, 2, 1), batch_size=2)
    assert net.batches == [2, 2, 2, 2]


def test_named_targets_share_one_forward_pass_and_keep_their_order() -> None:
    net = TableNet(_ROWS)
    answers = _run(net, _levels(*_VIDEO), targets=(2, 0), batch_size=5)
    assert [answer.explanation.target.tolist() for answer in answers] == [[2] * 5, [0] * 5]
    assert [_explained_class(answer) for answer in answers] == [[2] * 5, [0] * 5]
    assert net.batches == [5, 5, 5]  # as it is, and masked for each target
    for answer, target in zip(answers, (2, 0), strict=True):
        np.testing.assert_allclose(np.exp(answer.log_original), [_ROWS[level][target] for level in _VIDEO], atol=1e-6)


def test_area_is_the_mean_of_the_heat_by_hand() -> None:
    """One bright cell of four: heat 1 there, falling linearly; its mean over the plane is a quarter."""
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    frames[:, :8, 8:] = 255
    (answer,) = _run(BrightnessNet(), frames, spec=replace(TINY_SPEC, classes=2), targets=(0,), methods=("gradcam++",))
    assert answer.area["gradcam++"] == pytest.approx([0.25], abs=1e-6)


def test_faithfulness_by_a_plain_loop() -> None:
    reel, net = Reel(noise_frames(24, 16, 16)), seeded(PooledHead).eval()
    spec = replace(TINY_SPEC, classes=4, frames=8)
    methods = ("gradcam", "gradcam++")
    (answer,) = _run(net, noise_frames(24, 16, 16), spec=spec, targets=(2,), methods=methods, layer="block2")
    windows = plan_windows(reel.info, frames=8, fps=spec.fps, overlap=0.0)
    clips = list(window_tensors(reel, windows, spec, spec.geometry((16, 16))))
    assert len(clips) == 3
    for n, clip in enumerate(clips):
        alone = explain(net, clip[None], layer="block2", target=2, methods=methods)
        black = fill_for(clip[None], "black", spec.scaling)
        for method in methods:
            heat = torch.from_numpy(alone.heat(method))
            with torch.no_grad():
                left = net(heat * clip[None] + (1 - heat) * black).double().softmax(dim=1)[0, 2]
            assert np.exp(answer.log_masked[method][n]) == pytest.approx(float(left), rel=1e-5)
            assert answer.area[method][n] == pytest.approx(float(heat.double().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("frames", "overlap", "expected"),
    [
        (24, 0.0, [1, 1, 1]),
        (24, 0.5, [1, 0, 1, 0, 1]),
        (22, 0.5, [1, 0, 1, 0, 1]),  # 6 of 8 frames of the last window are left over
        (18, 0.5, [1, 0, 1, 0]),  # 2 of 8
        (24, 0.25, [1, 0, 1, 0]),
        (5, 0.5, [1]),
    ],
)
def test_measured_windows_do_not_overlap(frames: int, overlap: float, expected: list[int]) -> None:
    windows = plan_windows(Reel(noise_frames(frames, 4, 4)).info, frames=8, fps=None, overlap=overlap)
    assert measured_windows(windows, 99).astype(int).tolist() == expected


@pytest.mark.parametrize(
    ("most", "expected"), [(0, []), (1, [4]), (2, [2, 6]), (3, [0, 4, 6]), (4, [0, 2, 4, 6]), (9, [0, 2, 4, 6])]
)
def test_few_measured_windows_are_spread_over_the_video(most: int, expected: list[int]) -> None:
    windows = plan_windows(Reel(noise_frames(32, 4, 4)).info, frames=8, fps=None, overlap=0.5)
    assert len(windows) == 7
    assert np.flatnonzero(measured_windows(windows, most)).tolist() == expected


@pytest.mark.parametrize(("forwards", "expected"), [(0, 0), (1, 1), (3, 1), (4, 2), (16, 3)])
def test_the_budget_counts_every_clip_that_is_run_again(forwards: int, expected: int) -> None:
    """A window takes two clips, one for each method, and one window is measured at least."""
    net = TableNet(_ROWS)
    (answer,) = _run(net, _levels(2, 1, 2), targets=(1,), methods=METHODS, overlap=0.5, verdict_forwards=forwards)
    assert np.isfinite(answer.log_masked["gradcam"]).sum() == np.isfinite(answer.area["hirescam"]).sum() == expected
    assert sum(net.batches) == 5 + 2 * expected


def test_a_window_that_is_not_measured_has_no_figure() -> None:
    net = TableNet(_ROWS)
    (answer,) = _run(net, _levels(2, 1, 2), targets=(1,), methods=METHODS, overlap=0.5, batch_size=2)
    for method in METHODS:
        assert np.isfinite(answer.log_masked[method]).tolist() == [True, False, True, False, True]
        assert np.isfinite(answer.area[method]).tolist() == [True, False, True, False, True]
    assert np.isfinite(answer.log_original).all()
    assert net.batches == [2, 2, 2, 2, 1, 2]  # each batch, then its measured window hidden by two maps


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
        np.testing.assert_array_equal(first.log_masked[method], second.log_masked[method])
        np.testing.assert_array_equal(first.area[method], second.area[method])
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


@pytest.mark.parametrize("at", [1, 2, 3])
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


class _LogNet(BrightnessNet):
    """Scores are infinite where a pixel is black, as all hidden pixels are."""

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip) + clip.amin(dim=(1, 2, 3, 4)).log()[:, None]


def test_masked_clips_with_nonfinite_scores_are_refused() -> None:
    frames = flat_frames([100] * 4, 16, 16)
    frames[:, :8, :8] = 250
    spec = replace(TINY_SPEC, classes=2)
    with pytest.raises(NonFiniteError, match=r"the logits of the clip masked by gradcam\+\+ contain NaN or infinity"):
        _run(_LogNet(), frames, spec=spec, targets=(0,), methods=("gradcam++",))
