"""Networks of pytorchvideo's hub: sampling of the model zoo, pathways of SlowFast, weights from a file."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vidcam.errors import InputError, NameNotFoundError, WeightsError
from vidcam.models.families import pytorchvideo_models
from vidcam.models.families.pathways import SlowFastInput
from vidcam.models.labels import kinetics400
from vidcam.models.registry import load_model


def test_sampling_and_scaling() -> None:
    specs = {name: pytorchvideo_models.entry(name).spec for name in ("slow_r50", "slowfast_r50", "x3d_s")}
    assert {name: (spec.frames, spec.fps, spec.crop_size[0]) for name, spec in specs.items()} == {
        "slow_r50": (8, Fraction(15, 4), 256),
        "slowfast_r50": (32, Fraction(15), 256),
        "x3d_s": (13, Fraction(5), 182),
    }
    assert specs["x3d_s"].scaling.mean == pytest.approx((0.45 * 255,) * 3)
    assert specs["x3d_s"].scaling.std == pytest.approx((0.225 * 255,) * 3)


def test_the_slow_pathway_has_the_first_and_the_last_frame() -> None:
    class Times(nn.Module):
        def forward(self, pathways: list[Tensor]) -> Tensor:
            return torch.cat([pathway[:, 0, :, 0, 0] for pathway in pathways], dim=1)

    clip = torch.arange(32.0).view(1, 1, 32, 1, 1)
    both = SlowFastInput(Times(), 4)(clip)[0]
    assert both[:8].tolist() == [0, 4, 8, 13, 17, 22, 26, 31]
    assert both[8:].tolist() == list(range(32))


def test_what_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NameNotFoundError, match=r"pytorchvideo model 'slow_r51' not found; the nearest are 'slow_r50'"):
        load_model("pytorchvideo:slow_r51", device="cpu")
    with pytest.raises(WeightsError, match="has no pretrained weights; pass a file with --weights FILE"):
        load_model("pytorchvideo:x3d_xs", device="cpu")
    monkeypatch.setitem(sys.modules, "pytorchvideo", None)
    monkeypatch.setitem(sys.modules, "pytorchvideo.models.hub", None)
    with pytest.raises(InputError, match=r"needs pytorchvideo, which is missing: pip install 'vidcam\[pytorchvideo\]'"):
        load_model("pytorchvideo:x3d_xs", device="cpu", weights="random")


@pytest.mark.gallery
@pytest.mark.filterwarnings("default")  # the package's own warnings
def test_weights_of_a_file(tmp_path: Path) -> None:
    hub = pytest.importorskip("pytorchvideo.models.hub", reason="needs pytorchvideo")
    torch.manual_seed(5)
    network = hub.x3d_xs(pretrained=False).eval()
    torch.save({"model_state": network.state_dict()}, tmp_path / "X3D_XS.pyth")
    model = load_model("pytorchvideo:x3d_xs", device="cpu", weights=tmp_path / "X3D_XS.pyth")
    clip = torch.randn(1, 3, *model.spec.input_size)
    with torch.no_grad():
        torch.testing.assert_close(model.module(clip), network(clip))
    assert model.labels == kinetics400()
