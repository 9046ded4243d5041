"""The windows of an explained video: numbers, targets, batches, and the part that they cover."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.clips import frames_of, model_input
from tests.helpers.loading import load_video
from tests.helpers.nets import brightness_model, pooled_model
from tests.helpers.videos import click_seconds, write_video
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.explain.conftest import EVERYTHING, PAIR
from vidcam.cam.explain import explain
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import Explainer, explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions
from vidcam.sampling import plan_windows
from vidcam.system.json_files import as_plain
from vidcam.video.reader import open_video, probe


def test_probabilities_of_the_windows(make_video: VideoMaker, tmp_path: Path) -> None:
    """Compute top5, windows and volumes from the clips by hand."""
    model, source = pooled_model(), make_video()
    options = ExplainOptions(methods=PAIR, outputs=("data",), batch_size=3)
    result = Explainer(model, options).explain(source, tmp_path / "out")
    with open_video(source) as reader:
        windows = plan_windows(reader.info, frames=8, fps=model.spec.fps)
        inputs = [model_input(frames_of(reader, window.times)[0], model.spec) for window in windows]
    with torch.no_grad():
        probabilities = torch.cat([model.module(clip).double().softmax(dim=1) for clip in inputs])
    target = int(probabilities.mean(dim=0).argmax())
    entry = as_plain(result.document)["targets"][0]
    assert entry["index"] == target
    assert entry["probability"] == pytest.approx(float(probabilities[:, target].mean()), rel=1e-5)
    for n, clip in enumerate(inputs):
        alone = explain(model.module, clip, layer="dropout", methods=["gradcam++"], target=target)
        volume = result.explanation.explanations[0].volumes["gradcam++"][n]
        np.testing.assert_allclose(alone.volumes["gradcam++"][0], volume, atol=1e-5 * volume.max())


class _Fickle(nn.Module):
    """Class 0 for bright clips, class 1 for dark ones: the video's class differs from that of its first windows."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d((4, 8, 8))
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        brightness = self.relu(self.pool(clip.mean(dim=1, keepdim=True))).mean(dim=(1, 2, 3, 4))
        return torch.stack([40 * brightness - 2, 2 - 40 * brightness + 10 * brightness**2], dim=1)


def test_windows_explained_for_another_class_are_run_again(tmp_path: Path) -> None:
    frames = np.zeros((150, 64, 64, 3), dtype=np.uint8)
    frames[:40, 16:48, 16:48] = 200
    source = write_video(tmp_path / "fickle.mp4", frames)
    model = Model(brightness_model().spec, _Fickle(), ("bright", "dark"), "by hand")
    options = ExplainOptions(methods=PAIR, outputs=("data",), batch_size=1)
    undecided = Explainer(model, options).explain(source, tmp_path / "a")
    assert as_plain(undecided.document)["targets"][0]["label"] == "dark"
    assert as_plain(undecided.document)["windows"][0]["label"] == "bright"
    named = explain_video(
        source,
        tmp_path / "b",
        model=model,
        methods=PAIR,
        outputs=("data",),
        batch_size=1,
        targets=("dark",),
    )
    for method in ("gradcam", "gradcam++"):
        np.testing.assert_array_equal(
            undecided.explanation.explanations[0].volumes[method], named.explanation.explanations[0].volumes[method]
        )
    assert as_plain(undecided.document)["targets"] == as_plain(named.document)["targets"]


def test_batch_size_does_not_matter(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video()
    results = [
        explain_video(
            source,
            tmp_path / f"{size}",
            model=pooled_model(),
            methods=PAIR,
            outputs=("data",),
            batch_size=size,
            targets=("two",),
        )
        for size in (1, 4)
    ]
    one, four = (result.explanation.explanations[0].volumes["gradcam++"] for result in results)
    np.testing.assert_allclose(one, four, atol=1e-5 * one.max())


def test_at_explains_one_window(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(methods=PAIR, at=0.8, outputs=OUTPUTS)
    result = Explainer(brightness_model(), options).explain(make_video(sound=True), tmp_path / "out")
    (window,) = as_plain(result.document)["windows"]
    assert (window["start_seconds"], window["end_seconds"]) == (0.8, pytest.approx(2.08))
    with open_video(tmp_path / "out" / "video_bright-thing_gradcam.mp4") as video:
        assert video.info.frame_count == 32
        assert video.info.duration_seconds == pytest.approx(1.28, abs=1e-3)
    assert click_seconds(tmp_path / "out" / "video_bright-thing_gradcam.mp4") == pytest.approx(0.2, abs=0.03)


def test_a_window_may_start_while_a_frame_is_displayed(make_video: VideoMaker, tmp_path: Path) -> None:
    """The first drawn frame is the one displayed at the start, with the map of that moment."""
    options = ExplainOptions(at=0.815, outputs=("map",), methods=("gradcam",))
    result = Explainer(brightness_model(), options).explain(make_video(), tmp_path / "out")
    assert as_plain(result.document)["windows"][0]["start_seconds"] == 0.815
    with open_video(result.paths[0]) as video:
        peaks = [int(frame.max()) for _, frame in video.frames()]
    assert len(peaks) == 33  # stamps 0.80 to 2.08
    assert min(peaks) > 150


@pytest.mark.parametrize("count", [1, 2, 9])
def test_videos_shorter_than_a_window(count: int, make_video: VideoMaker, tmp_path: Path) -> None:
    result = Explainer(brightness_model(), EVERYTHING).explain(make_video(count=count), tmp_path / "out")
    assert len(as_plain(result.document)["windows"]) == 1
    with open_video(tmp_path / "out" / "video_bright-thing_gradcam++.mp4") as video:
        assert video.info.frame_count == count


@pytest.mark.parametrize("count", [1, 12])
def test_frames_closer_than_rounding_are_all_drawn(count: int, tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "fast.mkv", np.zeros((count, 32, 32, 3), np.uint8), fps=Fraction(1000), time_base=Fraction(1, 1000)
    )
    content = path.read_bytes()  # made ten times as fast: the unit of time is a tenth of a millisecond
    place = content.index(bytes.fromhex("2ad7b1"))
    assert content[place + 3 : place + 7] == bytes.fromhex("830f4240")
    path.write_bytes(content[: place + 4] + (10**5).to_bytes(3, "big") + content[place + 7 :])
    options = ExplainOptions(methods=("gradcam++",), outputs=("overlay",))
    result = Explainer(pooled_model(), options).explain(path, tmp_path / "out")
    assert probe(path).frame_count == count
    assert probe(path).pts_seconds[-1] == pytest.approx((count - 1) * 1e-4)
    assert probe(result.paths[0]).frame_count == count


def test_a_part_of_a_video(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(start=0.5, end=2.5, methods=("gradcam",), outputs=("overlay", "data"))
    result = Explainer(brightness_model(), options).explain(make_video(), tmp_path / "out")
    assert as_plain(result.document)["windows"][0]["start_seconds"] == pytest.approx(0.5)
    assert as_plain(result.document)["windows"][-1]["end_seconds"] == pytest.approx(2.5)
    with open_video(result.paths[0]) as video:
        assert video.info.frame_count == 51  # from the frame on display at 0.5 s, which began at 0.48 s
        assert video.info.duration_seconds == pytest.approx(2.02)
    origin = load_video(tmp_path / "out" / "video.npz").origin
    assert origin is not None
    assert (origin.path, origin.span_seconds) == (str(tmp_path / "video.mp4"), (0.5, 2.5))


def test_each_window_for_its_own_top_class(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(targets=("per-window", "1"), outputs=("overlay", "data"), methods=("gradcam",))
    result = Explainer(pooled_model(), options).explain(make_video(), tmp_path / "out")
    explanation = result.explanation.explanations[0]
    np.testing.assert_array_equal(explanation.target, explanation.logits.argmax(axis=1))
    first, second = as_plain(result.document)["targets"]
    assert (first["label"], first["index"], second["index"]) == ("per-window", None, 1)
    assert first["probability"] == pytest.approx(explanation.probability.mean())
    assert result.paths[0].name == "video_per-window_gradcam.mp4"
    saved = load_video(tmp_path / "out" / "video.npz")
    assert saved.labels[0] == "per-window"
    assert {int(index) for index in explanation.target} | {1} <= set(saved.class_labels)
