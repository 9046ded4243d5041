"""The image networks of GC++: their layers, and weights of a user for other classes than ImageNet's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import get_model

from tests.helpers.nets import random_clip
from vidcam.errors import InputError, WeightsError
from vidcam.models.families import torchvision
from vidcam.models.registry import labels_of, load_model
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.study.shape_set import two_classes, write_shape_set

VOC = "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant"
NAMES = (*VOC.split(), "sheep", "sofa", "train", "tvmonitor")

GRIDS = {"vgg16": (512, 14, 14), "alexnet": (256, 13, 13), "resnet50": (2048, 7, 7)}


@pytest.mark.parametrize("name", GRIDS)
def test_the_default_layer_is_the_last_convolution_after_its_relu(name: str) -> None:
    """Run on torch's meta device, which computes shapes only."""
    outputs: list[Tensor] = []
    with torch.device("meta"), torch.no_grad():
        module = torchvision.build(name, len(NAMES)).eval()
        layer = module.get_submodule(torchvision.spec(name).layer or "")
        layer.register_forward_hook(lambda _layer, _inputs, output: outputs.append(output))
        logits = module(torch.empty(2, 3, 1, 224, 224))
    assert [tuple(output.shape) for output in outputs] == [(2, *GRIDS[name])]
    assert logits.shape == (2, 20)
    last = [child for child in module.modules() if isinstance(child, torch.nn.Conv2d)][-1]
    assert last.out_channels == GRIDS[name][0]
    assert type(list(layer.modules())[-1]).__name__ == "ReLU" or name == "resnet50"


def test_labels_say_how_many_classes_a_file_has(tmp_path: Path) -> None:
    """A network that was trained on the 20 classes of Pascal VOC."""
    network = get_model("squeezenet1_1", weights=None, num_classes=20).eval()
    torch.save(network.state_dict(), tmp_path / "voc.pth")
    (tmp_path / "voc.txt").write_text("\n".join(NAMES))
    for labels in (NAMES, tmp_path / "voc.txt"):
        model = load_model("torchvision:squeezenet1_1", device="cpu", weights=tmp_path / "voc.pth", labels=labels)
        assert (model.labels, model.spec.classes, model.label_index("Dog")) == (NAMES, 20, 11)
    image = random_clip(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.module(image), network(image))
    assert labels_of("torchvision:squeezenet1_1", labels=tmp_path / "voc.txt") == NAMES
    with pytest.raises(WeightsError, match=r"classifier.1.weight \(20, 512, 1, 1\) instead of \(1000, 512, 1, 1\)"):
        load_model("torchvision:squeezenet1_1", device="cpu", weights=tmp_path / "voc.pth")
    with pytest.raises(WeightsError, match="has no pretrained weights; pass a file with --weights FILE"):
        load_model("torchvision:squeezenet1_1", device="cpu", labels=NAMES)


def test_a_thousand_labels_rename_the_classes_of_imagenet(tmp_path: Path) -> None:
    names = [f"n{index:08}" for index in range(1000)]
    model = load_model("torchvision:squeezenet1_1", device="cpu", weights="random", labels=names)
    assert model.spec == torchvision.spec("squeezenet1_1")
    assert model.label(3) == "n00000003"


@pytest.mark.parametrize("labels", [[], Path("nowhere.txt")])
def test_labels_that_are_none(labels: list[str] | Path) -> None:
    with pytest.raises(InputError):
        load_model("torchvision:squeezenet1_1", device="cpu", weights="random", labels=labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_a_file_of_weights_scores_images_with_boxes(name: str, tmp_path: Path) -> None:
    labels = (*NAMES, *["triangle", "square", "cross", "ring", "half-disc", "star", "crescent", "corner"])
    torch.save(get_model(name, weights=None, num_classes=28).state_dict(), tmp_path / "weights.pth")
    model = load_model(f"torchvision:{name}", device="cpu", weights=tmp_path / "weights.pth", labels=labels)
    images = write_shape_set(two_classes(1), tmp_path / "set")
    options = ScoreOptions(methods="gradcam++", measures="drop,localization", controls=False, label_in_top=28)
    result = score_set(images, tmp_path / "out", options, model=model)
    assert (result.summary.n, result.summary.failed) == (2, 0)
    assert result.summary.settings.layer == (model.spec.layer,)
    assert result.summary.methods["gradcam++"].n_with_boxes == 2
