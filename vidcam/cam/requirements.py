"""What an explanation needs of a network, its layers and its scores; each in one sentence where it is not so."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn

from vidcam.cam.layers import is_channels_first
from vidcam.errors import InputError, LayerError, ShapeError


def require_ordinary(model: nn.Module) -> None:
    """Weights that autograd can use."""
    tensors = chain(model.named_parameters(), model.named_buffers())
    odd = next((name for name, tensor in tensors if tensor.is_inference()), None)
    if odd is not None:
        raise InputError(
            f"weight {odd!r} was made inside torch.inference_mode, expected one that gradients can pass; build or load "
            f"the model outside of it"
        )


def require_apart(model: nn.Module, clips: int) -> None:
    """Explanations are of each clip by itself; a normalisation by the batch's own statistics mixes them."""
    mixing = next((name for name, module in model.named_modules() if _mixes_clips(module)), None)
    if clips > 1 and mixing is not None:
        raise InputError(
            f"layer {mixing!r} normalises by the statistics of the batch and so mixes its {clips} clips, expected "
            f"running statistics; pass one clip at a time"
        )


def _mixes_clips(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None  # noqa: SLF001


def require_rows(scores: Tensor, clips: int) -> None:
    """One row of scores for each clip."""
    if scores.shape[0] != clips:
        raise ShapeError(
            f"the model returns scores {tuple(scores.shape)} for {clips} clips, expected one row for each clip"
        )


def require_map(features: Tensor, layer: str, clip: Tensor) -> None:
    """Features (N, D, ...) with a grid on the clip's axes."""
    if not is_channels_first(features, clip):
        raise LayerError(
            f"layer {layer!r} returns {tuple(features.shape)} for an input of {tuple(clip.shape)}, expected "
            f"(N, D, ...) with the input's axes and no finer a grid; choose a convolutional layer, or pass a reshape "
            f"for a transformer's (vidcam.tokens, vidcam.channels_last)"
        )
    if max(features.shape[2:]) == 1 and max(clip.shape[2:]) > 1:
        raise LayerError(
            f"layer {layer!r} has one cell only, expected a grid in space or time; choose a layer before the pooling"
        )
