"""Clips of another type, device or shape than the network takes: one sentence, whatever torch says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.baseline import compute_baseline
from vidcam.cam.explain import explain
from vidcam.cam.layers import list_layers
from vidcam.cam.refusals import PlainRefusal
from vidcam.errors import InputError, RunError

CLIP = random_clip(2, 3, 4, 8, 8)
HALF = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 256, 3)).half()
IMAGE = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


class Pathway(PooledHead):
    def forward(self, clips: list[Tensor]) -> Tensor:  # type: ignore[override]
        return super().forward(clips[0])


class Recurrent(nn.Module):
    """A 2-D network of frames, (N, T, C, H, W), and an LSTM; `how` is the way in which the frames reach the batch."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.rnn, self.fc = nn.Conv2d(3, 4, 1), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)
        self.how = how

    def forward(self, clip: Tensor) -> Tensor:
        if self.how == "unpacked":
            n, t, c, h, w = clip.shape
            images = clip.reshape(n * t, c, h, w)
        else:
            images = clip.permute(0, 1, 2, 3, 4).flatten(0, 1) if self.how == "permuted" else clip.flatten(0, 1)
        features = self.conv(images).relu().mean((2, 3)).unflatten(0, (len(clip), -1))
        scores: Tensor = self.fc(self.rnn(features)[0][:, -1])
        return scores


class FramesFirst(PooledHead):
    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip.permute(0, 2, 1, 3, 4))


NO_BATCH = r"clip has no batch axis: 4 axes, expected 5, .* pass clip\[None\]"

CASES: dict[str, tuple[nn.Module, Any, str]] = {
    "uint8": (seeded(PooledHead), (CLIP * 255).to(torch.uint8), "clip is torch.uint8; scale it to floats"),
    "int64": (seeded(PooledHead), CLIP.long(), "clip is torch.int64; scale it to floats"),
    "half weights": (HALF, CLIP, "clip: torch.float32, but the weights are torch.float16"),
    "half clip": (seeded(PooledHead), CLIP.half(), "clip: torch.float16, but the weights are torch.float32"),
    "double clip": (seeded(PooledHead), CLIP.double(), "clip: torch.float64, but the weights are torch.float32"),
    "uint8 pathways": (seeded(Pathway), [CLIP.to(torch.uint8)], "clip is torch.uint8"),
    "image": (IMAGE, CLIP[0, :, 0], r"clip has no batch axis: 3 axes, expected 4, .* pass clip\[None\]"),
    "video for images": (IMAGE, CLIP, r"clip is \(2, 3, 4, 8, 8\); the network takes 4 axes: images \(N, C, H, W\)"),
    "frames first": (
        seeded(PooledHead),
        CLIP.transpose(1, 2),
        r"takes 3 channels on axis 1: pass clip\.movedim\(2, 1\)",
    ),
    "colours last": (
        seeded(PooledHead),
        CLIP.movedim(1, -1),
        r"takes 3 channels on axis 1: pass clip\.movedim\(4, 1\)",
    ),
    "four colours": (seeded(PooledHead), CLIP[:, [0, 0, 1, 2]], "takes 3 channels on axis 1: pass a clip of that many"),
    "pathways": (seeded(Pathway), [CLIP[0], CLIP[0, :2]], NO_BATCH),
    **{f"frames, {how}": (Recurrent(how), CLIP[0].transpose(0, 1), NO_BATCH) for how in ("unpacked", "permuted", "")},
    "colours first": (seeded(FramesFirst), CLIP, r"takes 3 channels on axis 2: pass clip\.movedim\(1, 2\)"),
    "colours first, in the batch": (Recurrent(""), CLIP, r"3 channels on axis 2: pass clip\.movedim\(1, 2\)"),
    "sizes that do not tell": (
        seeded(FramesFirst),
        CLIP[:, :, :1].expand(-1, -1, 8, -1, -1),
        r"the first convolution receives \(2, 8, 3, 8, 8\), expected 3 channels on axis 1",
    ),
}


@pytest.mark.parametrize("layer", [None, "0"])
@pytest.mark.parametrize("name", CASES)
def test_one_sentence(name: str, layer: str | None) -> None:
    net, clip, message = CASES[name]
    if layer is not None and not isinstance(net, nn.Sequential):
        layer = "block2" if isinstance(net, PooledHead) else "conv"
    with pytest.raises(InputError, match=message):
        explain(net, clip, layer=layer)
    with pytest.raises(InputError, match=message):
        compute_baseline(net, clip, layer=layer)
    if not isinstance(clip, list):
        with pytest.raises(InputError, match=message):
            list_layers(net, clip)


def test_inputs_beside_the_clip() -> None:
    class Two(PooledHead):
        def forward(self, clip: Tensor, gain: Any) -> Any:  # type: ignore[override]
            return super().forward(clip) @ gain["of"]

    with pytest.raises(InputError, match=r"args or kwargs: torch.float64, but the weights are torch.float32"):
        explain(Two(), CLIP, layer="block2", args=({"of": torch.eye(4).double()},))


def test_another_device() -> None:
    net = nn.Linear(2, 2, device="meta")
    with (
        pytest.raises(InputError, match=r"clip is on cpu, the weights on meta; pass clip.to"),
        PlainRefusal(net, CLIP),
    ):
        raise RuntimeError("Expected all tensors to be on the same device")


def test_half_precision_that_the_device_does_not_run() -> None:
    with (
        pytest.raises(InputError, match=r"torch.float16 cannot be run on cpu; use float32"),
        PlainRefusal(HALF, CLIP.half()),
    ):
        raise RuntimeError("\"slow_conv3d_cpu\" not implemented for 'Half'")


class Converting(PooledHead):
    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip.float() / 255)


def test_a_network_that_converts_itself_is_explained() -> None:
    pixels = (CLIP.abs() * 100).clamp(max=255).to(torch.uint8)
    result = explain(seeded(Converting), pixels, layer="block2", target=1)
    expected = explain(seeded(PooledHead), pixels.float() / 255, layer="block2", target=1)
    assert (result.volumes["gradcam"] == expected.volumes["gradcam"]).all()


def test_a_network_that_ends_the_program_says_so() -> None:
    class Leaving(PooledHead):
        def forward(self, clip: Tensor) -> Tensor:
            raise SystemExit(3)

    for run in (explain, compute_baseline, list_layers):
        with pytest.raises(RunError, match=r"the network ends the program: SystemExit: 3 \(.*test_refusals.py:\d+\)"):
            run(Leaving(), CLIP)


def test_an_exit_outside_the_network_ends_the_program() -> None:
    def leave(_: Tensor) -> Tensor:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        explain(seeded(PooledHead), CLIP, target=leave)


def test_other_errors_stay_what_they_are() -> None:
    class Failing(PooledHead):
        def forward(self, clip: Tensor) -> Tensor:
            raise RuntimeError("the weights of this type are missing")

    with pytest.raises(RuntimeError, match="the weights of this type are missing"):
        explain(Failing(), CLIP, layer="block2")


def test_an_error_on_other_shapes_is_the_networks_own() -> None:
    class Grey(PooledHead):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip.mean(1, keepdim=True))

    with pytest.raises(RuntimeError, match="to have 3 channels, but got 1 channels"):
        explain(seeded(Grey), CLIP)
