"""Guided maps of a video: values by hand, the scale, and the written files."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.clips import frames_of, model_input
from tests.helpers.jobs import job_of
from tests.helpers.nets import brightness_model, pooled_model, random_clip
from tests.helpers.videos import noise_frames
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.test_windows import Reel
from vidcam.cam.guided import guided_saliency
from vidcam.cam.request import MapRequest
from vidcam.cli.app import main
from vidcam.errors import InputError
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer, explain_video
from vidcam.pipelines.explain.request import OUTPUTS, ExplainOptions, ExplainRequest
from vidcam.pipelines.explain.saliency import GuidedVideo
from vidcam.render.signed import guided_on_source
from vidcam.results.video import VideoExplanation
from vidcam.video.reader import open_video

METHOD = "guided-gradcam++"
OPTIONS = ExplainOptions(methods=(METHOD,), targets=("two", "four"), contrast="one", outputs=("data",), batch_size=1)


class Opened:
    """An explained video with its guided values."""

    def __init__(self, source: Path, out: Path) -> None:
        self.model = pooled_model()
        self.result: ExplainedVideo = Explainer(self.model, OPTIONS).explain(source, out)
        self.explanation = raised(self.result.explanation)
        self.reader = open_video(source)
        request = ExplainRequest(methods=(METHOD,), targets=(1, 3), contrast=0, layers=("block2",))
        self.job = job_of(self.reader, self.model, request)
        self.guided = GuidedVideo(self.job, self.explanation)

    def saliency(self, index: int, target: int) -> np.ndarray[Any, Any]:
        clip = model_input(frames_of(self.reader, self.job.windows[index].times)[0], self.model.spec)
        found: np.ndarray[Any, Any] = guided_saliency(self.model.module, clip, target, MapRequest(contrast=0))[0]
        return found


def raised(explanation: VideoExplanation) -> VideoExplanation:
    """Maps that are 1 higher, so that their minimum is above 0."""
    return replace(
        explanation,
        explanations=tuple(
            replace(each, volumes={name: volume + 1 for name, volume in each.volumes.items()})
            for each in explanation.explanations
        ),
        bounds={method: (low + 1, high + 1) for method, (low, high) in explanation.bounds.items()},
    )


def from_zero(explanation: VideoExplanation) -> VideoExplanation:
    """Maps divided by the video's maximum."""
    return replace(explanation, bounds={method: (0.0, high) for method, (_, high) in explanation.bounds.items()})


def test_values_at_moments_equal_windows_blended_by_hand(make_video: VideoMaker, tmp_path: Path) -> None:
    opened = Opened(make_video(), tmp_path / "out")
    made, line = from_zero(opened.explanation), opened.explanation.timeline
    for second in (0.0, 0.7, 1.3, 2.9):
        seen = [n for n in range(len(line)) if line.starts[n] <= second < line.ends[n]]
        for target, index in enumerate((1, 3)):
            total, weight = np.zeros(1), 0.0
            for n in seen:
                half = (line.ends[n] - line.starts[n]) / 2
                tent = max(1 - abs(second - line.starts[n] - half) / half, 1e-6)
                stack, times = opened.saliency(n, index), line.frame_seconds[n]
                plane = np.apply_along_axis(partial(np.interp, second, times), 1, stack)
                total, weight = total + tent * plane, weight + tent
            expected = guided_on_source(total / weight, opened.job.geometry)
            expected = expected * made.source_heat("gradcam++", second, target=target)[..., None]
            found = opened.guided.values(METHOD, second, target=target)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
            assert np.abs(found).max() > 0
    opened.guided.close()
    opened.reader.close()


def test_the_scale_is_a_percentile_over_the_windows(make_video: VideoMaker, tmp_path: Path) -> None:
    opened = Opened(make_video(count=60), tmp_path / "out")
    made = from_zero(opened.explanation)
    values = []
    for n in range(len(made.timeline)):
        heat = made.heat("gradcam++", made.timeline.frame_seconds[n], target=1)
        values.append(opened.saliency(n, 3) * heat[None])
    assert len(values) <= 8
    expected = np.percentile(np.abs(np.stack(values)), 99.5)
    assert opened.guided.scale(METHOD, target=1) == pytest.approx(expected, rel=1e-4)
    assert opened.guided.scale(METHOD, target=0) != opened.guided.scale(METHOD, target=1)
    opened.guided.close()
    opened.reader.close()


def test_the_video_is_grey_outside_the_view(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(methods=("guided-gradcam",), outputs=("overlay",))
    result = Explainer(brightness_model(), options).explain(make_video(count=40), tmp_path / "out")
    assert [path.name for path in result.paths] == ["video_bright-thing_guided-gradcam.mp4", "video.json"]
    with open_video(result.paths[0]) as video:
        frames = [frame for _, frame in video.frames()]
    assert len(frames) == 40
    outside = np.concatenate([frame[:, :14] for frame in frames] + [frame[:, -14:] for frame in frames])
    assert np.abs(outside.astype(int) - 128).max() <= 4
    assert max(int(frame.max()) for frame in frames) > 200


def test_from_the_command_line(make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--method", METHOD, "--method", "cam", "--layer", "block2", "--layer", "dropout", "--fusion", "max"]
    more = [
        "--score",
        "probability",
        "--score-scale",
        "0.5",
        "--json",
        "--target",
        "two",
        "--outputs",
        ",".join(OUTPUTS),
    ]
    arguments = [
        "explain",
        str(make_video(count=40)),
        "-o",
        str(tmp_path / "out"),
        "--model",
        "tests.helpers.nets:pooled_model",
    ]
    assert main([*arguments, *asked, *more]) == 0
    (document,) = json.loads(capsys.readouterr().out)["results"]
    assert (document["score"], document["score_scale"], document["fusion"]) == ("probability", 0.5, "max")
    assert document["model"]["layer"] == "block2 + dropout"
    methods = document["targets"][0]["methods"]
    assert list(methods) == [METHOD, "cam"]
    assert methods[METHOD]["verdict"]["word"] == "not checked"
    assert methods["cam"]["verdict"]["checks"]["kept"] > 0
    assert list(methods[METHOD]["alpha_by_layer"]) == ["block2", "dropout"]
    assert methods[METHOD]["alpha_by_layer"]["block2"]["positive"]["max"] <= 0.5
    assert methods[METHOD]["alpha_exact"] is False
    assert (methods["cam"]["alpha"], methods["cam"]["alpha_exact"]) == (None, None)
    assert (tmp_path / "out" / methods[METHOD]["overlay"]).is_file()
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"video.npz", "video.png", "video.json"}


def test_a_note_names_the_layer_only_if_it_was_chosen_automatically(make_video: VideoMaker, tmp_path: Path) -> None:
    said = "Layer 'block2' was chosen: the last block with a grid in space and time."
    source = make_video(count=20)
    for layer, expected in ((None, True), ("block2", False)):
        options = ExplainOptions(methods=("gradcam",), outputs=("data",), layer=layer)
        result = Explainer(pooled_model(), options).explain(source, tmp_path / str(layer))
        assert (said in result.audit) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "median"}, "fusion is 'median', expected one of mean, max, sum"),
        ({"score": "margin"}, "score is 'margin', expected logit, probability or negative"),
        ({"score_scale": -1.0, "methods": ("gradcam",)}, "score_scale is -1.0, expected a finite number >= 0"),
        ({"decoder": "magic"}, "--decoder is 'magic'; it must be one of auto, pyav, decord"),
        ({"methods": ("cam",), "layer": "block1"}, "cam needs global average pooling"),
        ({"methods": ("gradcam++softmax",), "contrast": "one", "targets": ("two",)}, "no contrast"),
    ],
)
def test_invalid_options_are_refused(
    options: dict[str, Any], message: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        explain_video(make_video(count=20), tmp_path / "out", model=pooled_model(), **options)
    assert not (tmp_path / "out").exists()


def test_channels_are_rgb_for_models_of_any_order() -> None:
    """The same network with BGR input and exchanged first kernels gives the same picture."""
    rgb, bgr = pooled_model(), pooled_model()
    bgr = replace(bgr, spec=replace(bgr.spec, scaling=replace(bgr.spec.scaling, channels="bgr")))
    first = bgr.module.get_parameter("block1.0.weight")
    with torch.no_grad():
        first.copy_(first.flip(1))
    clip = random_clip(1, 3, *rgb.spec.input_size)
    video: Any = SimpleNamespace(explanations=[SimpleNamespace(target=np.array([1]))])
    request = ExplainRequest(methods=("gradcam",))
    reel = Reel(noise_frames(16, 16, 16))
    values = [
        GuidedVideo(job_of(reel, model, request), video)._guided(tensor, [0])
        for model, tensor in ((rgb, clip), (bgr, clip.flip(1)))
    ]
    assert values[0].shape == (1, 1, *rgb.spec.input_size, 3)
    assert np.abs(values[0][..., 0] - values[0][..., 2]).max() > 0
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4, atol=1e-6 * np.abs(values[0]).max())
