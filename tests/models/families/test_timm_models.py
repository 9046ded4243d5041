"""Image classifiers of timm: input as its own transform makes it, logits the mean over the frames."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vidcam
from vidcam.errors import InputError, NameNotFoundError, WeightsError
from vidcam.models.labels import imagenet
from vidcam.models.registry import load_model
from vidcam.spec import TokenGrid

needs_timm = [pytest.mark.gallery, pytest.mark.filterwarnings("default")]  # the package's own warnings


@pytest.fixture
def timm() -> Any:
    return pytest.importorskip("timm", reason="needs timm: pip install 'vidcam[timm]'")


class TestWithTimm:
    pytestmark = needs_timm

    @pytest.mark.parametrize("name", ["test_resnet", "test_vit", "resnet18.tv_in1k"])
    def test_input_is_that_of_timms_transform(self, name: str, timm: Any) -> None:
        model = load_model(f"timm:{name}", device="cpu", weights="random")
        settings = timm.data.resolve_data_config(pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict())
        transform = timm.data.create_transform(**settings)
        for size in ((190, 241), (301, 150)):
            frames = np.random.default_rng(7).integers(0, 256, (8, *size, 3), dtype=np.uint8)
            theirs = torch.stack([transform(Image.fromarray(frame)) for frame in frames])[None]
            clip = model.input_from(frames)
            assert clip.shape == theirs.shape
            assert (clip - theirs).abs().max() < 1e-5

    def test_logits_are_the_mean_over_the_frames(self, timm: Any, tmp_path: Path) -> None:
        torch.manual_seed(3)
        network = timm.create_model("test_vit").eval()
        torch.save(network.state_dict(), tmp_path / "mine.pth")
        model = load_model("timm:test_vit", device="cpu", weights=tmp_path / "mine.pth")
        clip = torch.randn(2, 8, 3, 160, 160)
        with torch.no_grad():
            expected = torch.stack([network(frame) for frame in clip.unbind(1)]).mean(0)
            torch.testing.assert_close(model.module(clip), expected, rtol=0, atol=1e-5)
        assert model.labels == imagenet()
        assert model.weights.startswith("mine.pth, sha256 ")

    def test_tokens_of_a_vit_are_found_and_probed(self, timm: Any) -> None:
        model = load_model("timm:test_vit", device="cpu", weights="random")
        assert model.spec.layout == (TokenGrid((10, 10), 1), "frames")
        reshape = vidcam.in_turn([vidcam.tokens((10, 10)), vidcam.frames(8)])
        clip = torch.randn(1, 8, 3, 160, 160)
        layer = model.spec.layer
        found = vidcam.explain(model.module, clip, methods="gradcam", layer=layer, reshape=reshape, axes="NTCHW")
        assert found.volumes["gradcam"].shape[1:] == (8, 10, 10)
        assert not [note for note in found.notes if "not verified" in note]

    def test_channels_last_blocks(self, timm: Any) -> None:
        spec = load_model("timm:swin_tiny_patch4_window7_224", device="cpu", weights="random").spec
        assert (spec.layer, spec.layout) == ("network.layers.3", ("channels-last", "frames"))

    def test_what_cannot_be_used(self, timm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(NameNotFoundError, match=r"timm model 'resnet19' not found; the nearest are .*resnet18"):
            load_model("timm:resnet19", device="cpu")
        with pytest.raises(InputError, match="has no classifier"):
            load_model("timm:vit_base_patch14_dinov2", device="cpu", weights="random")

        def refuse(*_: object) -> None:
            raise OSError("no network")

        monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
        with pytest.raises(WeightsError, match=r"\(timm/test_vit\.r160_in1k\) cannot be downloaded \(no network\)"):
            load_model("timm:test_vit", device="cpu")


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"needs timm, which is missing: pip install 'vidcam\[timm\]'"):
        load_model("timm:resnet50", device="cpu")
