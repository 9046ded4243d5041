"""Batch normalisation for training alone: put into a plain network, and folded into its weights afterwards.

A C3D has no normalisation, and is slow to train without. At evaluation it is an affine map of each channel, which the
layer before it can do itself: the folded network gives the same logits up to rounding.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval


def with_norms(network: nn.Sequential) -> nn.Sequential:
    """The network's own layers, with a normalisation behind each convolution and linear layer but the last."""
    layers: dict[str, nn.Module] = {}
    children = list(network.named_children())
    for name, layer in children:
        layers[name] = layer
        if isinstance(layer, nn.Conv3d):
            layers[f"{name}_norm"] = nn.BatchNorm3d(layer.out_channels)
        elif isinstance(layer, nn.Linear) and name != children[-1][0]:
            layers[f"{name}_norm"] = nn.BatchNorm1d(layer.out_features)
    return nn.Sequential(OrderedDict(layers))


def fold(normed: nn.Sequential, network: nn.Sequential) -> None:
    """Write what was trained into the network that the layers came from."""
    normed.eval()
    layers = dict(normed.named_children())
    for name, layer in network.named_children():
        norm = layers.get(f"{name}_norm")
        if isinstance(layer, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            layer.load_state_dict(fuse_conv_bn_eval(layer, norm).state_dict())
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            layer.load_state_dict(fuse_linear_bn_eval(layer, norm).state_dict())
