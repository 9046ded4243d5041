"""What a newcomer types first: it works, or one sentence says what to type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.videos import noise_frames, write_video
from vidcam.errors import InputError, ShapeError
from vidcam.models.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return vidcam.load_model("tiny_r3d", device="cpu")


@pytest.fixture(scope="module")
def clip(model: Model) -> Tensor:
    return torch.rand(1, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "video.mp4"
    return write_video(path, noise_frames(24, 64, 64), codec="libx264", pixel_format="yuv420p")


class TestExplain:
    def test_a_loaded_model_explains_at_its_own_layer(self, model: Model, clip: Tensor) -> None:
        explanation = vidcam.explain(model, clip, methods="gradcam")
        plain = vidcam.explain(model.module, clip, methods=["gradcam"], layer=model.spec.layer)
        assert explanation.layer == model.spec.layer
        np.testing.assert_array_equal(explanation.volumes["gradcam"], plain.volumes["gradcam"])

    def test_a_label_is_its_index(self, model: Model, clip: Tensor) -> None:
        by_label = vidcam.explain(model, clip, target=model.labels[3], contrast=model.labels[1].upper())
        by_index = vidcam.explain(model, clip, target=3, contrast=1)
        assert by_label.target.tolist() == [3]
        for method in by_index.volumes:
            np.testing.assert_array_equal(by_label.volumes[method], by_index.volumes[method])

    def test_one_label_for_each_clip(self, model: Model, clip: Tensor) -> None:
        explanation = vidcam.explain(model, clip.repeat(2, 1, 1, 1, 1), target=[model.labels[3], model.labels[0]])
        assert explanation.target.tolist() == [3, 0]

    def test_methods_in_one_text(self, model: Model, clip: Tensor) -> None:
        assert vidcam.explain(model, clip, methods="gradcam, layercam").methods == ("gradcam", "layercam")

    @pytest.mark.parametrize("is_plain", [False, True])
    def test_a_missing_batch_axis_is_added_and_said(self, model: Model, clip: Tensor, *, is_plain: bool) -> None:
        explanation = vidcam.explain(model.module if is_plain else model, clip[0], methods="gradcam", target=2)
        whole = vidcam.explain(model.module if is_plain else model, clip, methods="gradcam", target=2)
        np.testing.assert_array_equal(explanation.volumes["gradcam"], whole.volumes["gradcam"])
        assert any("batch axis" in note for note in explanation.notes)
        assert not any("batch axis" in note for note in whole.notes)

    def test_an_image_network_keeps_its_four_axes(self) -> None:
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        assert len(vidcam.explain(network, torch.rand(5, 3, 8, 8), methods="gradcam")) == 5

    def test_an_array_is_a_tensor(self, model: Model, clip: Tensor) -> None:
        from_array = vidcam.explain(model, clip.numpy(), methods="gradcam")  # type: ignore[arg-type]
        np.testing.assert_array_equal(
            from_array.volumes["gradcam"], vidcam.explain(model, clip, methods="gradcam").volumes["gradcam"]
        )

    def test_neutral_gradcam_of_a_model_takes_grey_and_says_so(self, model: Model, clip: Tensor) -> None:
        explanation = vidcam.explain(model, clip, methods="neutral-gradcam")
        grey = (127.5 - torch.tensor(model.spec.scaling.mean)) / torch.tensor(model.spec.scaling.std)
        baseline = grey.view(1, 3, 1, 1, 1).expand_as(clip)
        given = vidcam.explain(model, clip, methods="neutral-gradcam", baseline=baseline)
        np.testing.assert_allclose(explanation.volumes["neutral-gradcam"], given.volumes["neutral-gradcam"], atol=1e-6)
        assert any("grey" in note for note in explanation.notes)

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            (("tiny_r3d", (1, 3, 16, 56, 56)), InputError, r"vidcam\.load_model\('tiny_r3d'\)"),
            ((None, (1, 4, 3, 16, 56, 56)), ShapeError, r"six axes.*clip\.flatten\(0, 1\)"),
            ((None, (1, 3, 8, 56, 56)), ShapeError, r"takes \(N, 3, 16"),
            ((None, (1, 16, 56, 56, 3)), ShapeError, r"takes \(N, 3, 16"),
            ((3, (1, 3, 16, 56, 56)), InputError, "model is of type int; pass an nn.Module"),
        ],
    )
    def test_what_to_type_instead(
        self, arguments: tuple[object, tuple[int, ...]], error: type[Exception], words: str, model: Model
    ) -> None:
        network, shape = arguments
        with pytest.raises(error, match=words):
            vidcam.explain(model if network is None else network, torch.zeros(shape))  # type: ignore[arg-type]

    def test_pixels_are_not_a_models_input(self, model: Model, clip: Tensor) -> None:
        with pytest.raises(InputError, match=r"uint8; pass scaled floats.*explain_video"):
            vidcam.explain(model, (255 * clip).to(torch.uint8))

    def test_a_plain_module_has_no_labels(self, model: Model, clip: Tensor) -> None:
        with pytest.raises(InputError, match=r"'yoga' is a label.*class index or a vidcam\.Model"):
            vidcam.explain(model.module, clip, target="yoga")


class TestOtherCalls:
    def test_the_layers_of_a_model(self, model: Model) -> None:
        assert model.spec.layer in {layer.name for layer in vidcam.list_layers(model)}
        with pytest.raises(InputError, match="clip is missing; a plain module needs one"):
            vidcam.list_layers(model.module)

    def test_the_baseline_of_a_model_is_grey(self, model: Model, clip: Tensor) -> None:
        baseline = vidcam.compute_baseline(model)
        explanation = vidcam.explain(model, clip, methods="neutral-gradcam", baseline=baseline)
        expected = vidcam.explain(model, clip, methods="neutral-gradcam")
        np.testing.assert_array_equal(explanation.volumes["neutral-gradcam"], expected.volumes["neutral-gradcam"])


class TestExplainVideo:
    def test_a_module_with_its_spec(self, model: Model, video: Path, tmp_path: Path) -> None:
        mine = vidcam.explain_video(
            video, tmp_path / "mine", model=model.module, spec=model.spec, labels=model.labels, methods="gradcam"
        )
        named = vidcam.explain_video(video, tmp_path / "named", model=model, methods="gradcam")
        np.testing.assert_array_equal(
            mine.explanation.explanations[0].volumes["gradcam"], named.explanation.explanations[0].volumes["gradcam"]
        )
        assert mine.top5 == named.top5

    def test_labels_of_a_module_may_be_left_out(self, model: Model, video: Path, tmp_path: Path) -> None:
        result = vidcam.explain_video(
            video, tmp_path, model=model.module, spec=model.spec, methods="gradcam", outputs="data", targets="class 2"
        )
        assert result.explanation.labels == ("class 2",)

    def test_one_method_target_and_output_need_no_list(self, model: Model, video: Path, tmp_path: Path) -> None:
        result = vidcam.explain_video(
            video, tmp_path, model=model, methods="gradcam", targets=model.labels[1], outputs="data"
        )
        assert [path.suffix for path in result.paths] == [".npz", ".csv", ".json"]
        assert result.explanation.labels == (model.labels[1],)

    def test_it_prints_in_a_line(self, model: Model, video: Path, tmp_path: Path) -> None:
        result = vidcam.explain_video(video, tmp_path, model=model, methods="gradcam", outputs="data")
        assert len(repr(result)) < 200
        assert "video.mp4" in repr(result)

    @pytest.mark.parametrize(
        ("keywords", "words"),
        [
            ({"model": nn.Identity()}, r"pass spec=vidcam\.ModelSpec"),
            ({"model": 3}, "model is of type int; pass a name"),
            ({"model": "tiny_r3d", "labels": ["a"]}, "labels has 1 entries, expected 8"),
        ],
    )
    def test_what_to_type_instead(self, keywords: dict[str, object], words: str, video: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=words):
            vidcam.explain_video(video, tmp_path, **keywords)  # type: ignore[arg-type]
        assert not list(tmp_path.iterdir())
