"""What the model is shown again to measure its maps: which windows, how many clips, and the numbers by plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.jobs import job_of
from tests.helpers.nets import TINY_SPEC, BrightnessNet, PooledHead, pooled_model, seeded
from tests.helpers.videos import Frames, noise_frames
from tests.pipelines.test_windows import Reel
from vidcam.cam.explain import explain
from vidcam.errors import NonFiniteError
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import analyse
from vidcam.pipelines.explain.measure import Measured, clip_budget, measure, measured_windows, window_budget
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.verdict.versions import HeatOfClips, frame_mean, hidden, steps
from vidcam.pipelines.windows import window_tensors
from vidcam.preprocess import fill_for, to_pixels
from vidcam.sampling import plan_windows
from vidcam.spec import ModelSpec

METHODS = ("gradcam", "gradcam++")
SPEC = replace(TINY_SPEC, classes=4, frames=8)


def _measured(
    net: nn.Module,
    frames: Frames,
    *,
    spec: ModelSpec = SPEC,
    layer: str = "block2",
    forwards: int | None = None,
    targets: tuple[int, ...] = (2,),
    methods: tuple[str, ...] = METHODS,
) -> tuple[list[tuple[Measured, ...]], int]:
    """The measures, and the number of clips that the network was shown for them."""
    reel = Reel(frames)
    model = Model(spec, net, tuple(f"class {index}" for index in range(spec.classes)), "by hand")
    request = ExplainRequest(
        methods=methods,
        targets=targets,
        layers=(layer,),
        batch_size=3,
        verdict_forwards=forwards,
        baseline_clips=torch.zeros(1, 3, spec.frames, 16, 16),
        budget=9,
        overlap=0.0,
    )
    job = job_of(reel, model, request)
    results = analyse(job)
    shown: list[int] = []
    handle = net.register_forward_pre_hook(lambda _net, clips: shown.append(len(clips[0])))
    measured = measure(job, results)
    handle.remove()
    return measured, sum(shown)


def _first_clip(frames: Frames) -> Tensor:
    reel = Reel(frames)
    windows = plan_windows(reel.info, frames=8, fps=SPEC.fps, overlap=0.0)
    return next(iter(window_tensors(reel, windows, SPEC, SPEC.geometry((16, 16)))))[None]


def _log_share(net: nn.Module, clip: Tensor, target: int) -> float:
    with torch.no_grad():
        return float(net(clip).double().log_softmax(dim=1)[0, target])


def test_parts_are_hidden_and_frames_reordered_as_by_a_plain_loop() -> None:
    net, frames = seeded(PooledHead).eval(), noise_frames(8, 16, 16)
    ((measured,),), _ = _measured(net, frames)
    clip = _first_clip(frames)
    alone = explain(net, clip, layer="block2", target=2, methods=METHODS)
    heats = {method: alone.heat(method) for method in METHODS}
    pixels = to_pixels(clip, SPEC.scaling).permute(0, 2, 3, 4, 1).numpy()
    keys = set()
    for key, mask in steps(HeatOfClips(heats, alone.volumes["gradcam"], pixels, 0)):
        fill = fill_for(clip, "black", SPEC.scaling) if key[1] == "half" else frame_mean(clip)
        expected = _log_share(net, hidden(clip, mask(), fill), 2)
        assert measured.logs[key] == pytest.approx(expected, abs=1e-5)
        keys.add(key)
    assert measured.log_original == pytest.approx(_log_share(net, clip, 2), abs=1e-5)
    frozen = clip[:, :, [4] * 8]
    assert measured.logs["frozen", "frames"] == pytest.approx(_log_share(net, frozen, 2), abs=1e-5)
    backwards = clip.flip(2)
    assert measured.logs["reversed", "frames"] == pytest.approx(_log_share(net, backwards, 2), abs=1e-5)
    assert set(measured.logs) - keys == {(change, "frames") for change in ("frozen", "shuffled", "reversed")}


def test_shuffled_cells_are_those_of_the_layer_beside_a_fine_map_too() -> None:
    """As large as the layer's, so no easier to beat, in whatever order the methods are named."""
    net, frames = seeded(PooledHead).eval(), noise_frames(8, 16, 16)
    ((plain,),), _ = _measured(net, frames, methods=("gradcam",))
    for methods in (("gradcam", "occlusion"), ("occlusion", "gradcam")):
        ((measured,),), _ = _measured(net, frames, methods=methods)
        assert measured.logs["random", "half"] == plain.logs["random", "half"]
        assert measured.logs["gradcam", "half"] == plain.logs["gradcam", "half"]


def test_the_map_of_the_mirrored_window_is_mirrored_back() -> None:
    net, frames = seeded(PooledHead).eval(), noise_frames(8, 16, 16)
    ((measured,),), _ = _measured(net, frames)
    clip = _first_clip(frames)
    mirrored = clip.flip(-1)
    with torch.no_grad():
        scores, top = net(mirrored)[0], int(net(clip)[0].argmax())
    target = int(scores.argmax()) if top == 2 else 2
    order = [index for index in scores.argsort(descending=True).tolist() if index != target]
    own, plain, other = (
        explain(net, shown, layer="block2", target=index, methods=METHODS).volumes
        for shown, index in ((mirrored, target), (clip, 2), (mirrored, order[0]))
    )
    for method in METHODS:
        r = np.corrcoef(own[method][..., ::-1].ravel(), plain[method].ravel())[0, 1]
        assert measured.mirror[method] == pytest.approx(r, abs=1e-4)
        change = 1.0 - np.corrcoef(own[method].ravel(), other[method].ravel())[0, 1]
        assert measured.class_change[method] == pytest.approx(change, abs=1e-4)


@pytest.mark.parametrize(
    ("forwards", "targets", "windows", "clips"),
    [
        (1, (2,), 1, 4),
        (5, (2,), 1, 5),
        (12, (2,), 1, 12),
        (21, (2,), 1, 12),
        (22, (2,), 2, 22),
        (99, (2,), 3, 32),
        (9, (2, 0), 1, 9),
        (17, (2, 0), 1, 17),
    ],
)
def test_the_budget_counts_every_clip_that_is_run_again(
    forwards: int, targets: tuple[int, ...], windows: int, clips: int
) -> None:
    """Two clips a method, one with its cells shuffled, five for all targets; two more in the first window."""
    measured, shown = _measured(seeded(PooledHead).eval(), noise_frames(24, 16, 16), forwards=forwards, targets=targets)
    assert (len(measured), shown) == (windows, clips)
    assert all(len(window) == len(targets) for window in measured)


def test_a_small_budget_leaves_out_the_least_telling_versions_of_all_targets() -> None:
    halves = {("gradcam", "half"), ("gradcam++", "half"), ("centre", "half")}
    for forwards, more in ((6, set()), (7, {("frozen", "frames")}), (9, {("frozen", "frames"), ("gradcam", "place")})):
        (window,), _ = _measured(seeded(PooledHead).eval(), noise_frames(8, 16, 16), forwards=forwards, targets=(2, 0))
        assert [set(of_target.logs) for of_target in window] == [halves | more] * 2
        assert all(set(of_target.mirror) == set(METHODS) for of_target in window)


@pytest.mark.parametrize(
    ("seconds", "forwards", "clips"), [(30.0, None, 16), (31.0, None, 4), (31.0, 52, 52), (3600.0, None, 16)]
)
def test_of_a_long_video_a_tenth_of_the_windows_is_run_again_unless_a_number_is_given(
    seconds: float, forwards: int | None, clips: int
) -> None:
    """A window begins every 0.64 s."""
    model, request = pooled_model(), ExplainRequest(methods=METHODS, verdict_forwards=forwards)
    job = job_of(Reel(noise_frames(8, 16, 16)), model, request)
    windows = job.windows[:1] * int(seconds / 0.64)
    assert clip_budget(replace(job, windows=windows, span_seconds=(2.0, 2.0 + seconds))) == clips


def test_a_model_of_single_frames_has_no_motion_to_measure() -> None:
    assert window_budget(14, crops=1, targets=1, methods=2, has_time=False) == (1, 8)
    assert window_budget(16, crops=1, targets=1, methods=2, has_time=False) == (2, 8)
    assert window_budget(16, crops=3, targets=1, methods=2, has_time=True) == (1, 5)


@pytest.mark.parametrize(
    ("frames", "overlap", "expected"),
    [
        (24, 0.0, [0, 1, 2]),
        (24, 0.5, [0, 2, 4]),
        (22, 0.5, [0, 2, 4]),  # 6 of 8 frames of the last window are left over
        (18, 0.5, [0, 2]),  # 2 of 8
        (24, 0.25, [0, 2]),
        (5, 0.5, [0]),
    ],
)
def test_measured_windows_do_not_overlap(frames: int, overlap: float, expected: list[int]) -> None:
    windows = plan_windows(Reel(noise_frames(frames, 4, 4)).info, frames=8, fps=None, overlap=overlap)
    assert measured_windows(windows, 99) == expected


@pytest.mark.parametrize(
    ("most", "expected"), [(0, []), (1, [4]), (2, [2, 6]), (3, [0, 4, 6]), (4, [0, 2, 4, 6]), (9, [0, 2, 4, 6])]
)
def test_few_measured_windows_are_spread_over_the_video(most: int, expected: list[int]) -> None:
    windows = plan_windows(Reel(noise_frames(32, 4, 4)).info, frames=8, fps=None, overlap=0.5)
    assert len(windows) == 7
    assert measured_windows(windows, most) == expected


def test_a_model_in_training_mode_is_measured_in_evaluation_mode_and_keeps_its_mode() -> None:
    frames = noise_frames(8, 16, 16)
    training = seeded(PooledHead).train()
    buffers = [buffer.clone() for buffer in training.buffers()]
    assert _measured(training, frames) == _measured(seeded(PooledHead).eval(), frames)
    assert training.training
    assert all(torch.equal(old, new) for old, new in zip(buffers, training.buffers(), strict=True))


class _RestlessNet(BrightnessNet):
    """Scores are infinite where nothing moves."""

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip) + clip.diff(dim=2).abs().amax(dim=(1, 2, 3, 4)).log()[:, None]


def test_changed_windows_with_nonfinite_scores_are_refused() -> None:
    spec = replace(TINY_SPEC, classes=2)
    with pytest.raises(NonFiniteError, match="the logits of a changed window contain NaN or infinity"):
        _measured(_RestlessNet(), noise_frames(4, 16, 16), spec=spec, layer="relu", targets=(0,))
