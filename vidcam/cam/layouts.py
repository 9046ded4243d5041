"""Which axis of an output holds the channels, by the module that made a tensor of this shape last.

`Linear`, `LayerNorm`, `Embedding` and attention work on the last axis. Their outputs are tokens, or grids with the
channels last, and never (N, D, t, h, w). A block's output has the shape of its last sum, so the shape is enough to
tell: after `x + mlp(norm(x))` the last module with this shape is the `Linear` of the MLP.
"""

from __future__ import annotations

from torch import Tensor, nn


class Layouts:
    """The shapes that were returned while a network ran, and whether their channels were last."""

    def __init__(self) -> None:
        self._is_last: dict[tuple[int, ...], bool] = {}

    def see(self, module: nn.Module, output: Tensor) -> None:
        """Note the output of a module; modules that work on any layout, such as a ReLU, tell nothing."""
        width = _last_width(module)
        if width is not None and output.ndim > 2:
            self._is_last[tuple(output.shape)] = output.shape[-1] == width
        elif isinstance(module, nn.modules.conv._ConvNd | nn.modules.batchnorm._BatchNorm | nn.GroupNorm):  # noqa: SLF001
            self._is_last[tuple(output.shape)] = False

    def is_channels_last(self, output: Tensor) -> bool:
        """Whether the last module that returned this shape works on the last axis."""
        return self._is_last.get(tuple(output.shape), False)


def _last_width(module: nn.Module) -> int | None:
    """The length of the last axis that a module returns; None if the module does not work on one axis, the last.

    A subclass may move its axes, as ConvNeXt's LayerNorm2d does: then the output's last axis has another length.
    """
    if isinstance(module, nn.Linear):
        return module.out_features
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return int(module.embedding_dim)
    if isinstance(module, nn.MultiheadAttention):
        return int(module.embed_dim)
    if isinstance(module, nn.RNNBase):
        return int(module.proj_size or module.hidden_size) * (2 if module.bidirectional else 1)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm) and len(module.normalized_shape) == 1:
        return int(module.normalized_shape[0])
    return None
