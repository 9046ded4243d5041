"""Which layers: those that were given, the default one, or one that has a gradient where the given one has none."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from vidcam.cam.inputs import Input, first_clip
from vidcam.cam.layers import default_layer, layer_name, list_layers
from vidcam.cam.outputs import Ends, class_scores
from vidcam.cam.record import record
from vidcam.cam.reshape import Reshape, unchanged
from vidcam.errors import LayerError, VidcamError

Layers = str | nn.Module | Sequence[str | nn.Module] | None
"""A layer's dotted name ('/' is taken for '.'), the module itself, several of them, or None for the default."""

MOST_TRIED = 48
"""Layers that are tried at once, the last ones, to name one that has a gradient."""


def layer_names(model: nn.Module, layer: Layers) -> tuple[str, ...]:
    """The dotted names of one layer or several; empty for the default.

    Raises:
        LayerError: an empty sequence, or a module that is no part of the network.
    """
    if layer is None:
        return ()
    given = (layer,) if isinstance(layer, str | nn.Module) else tuple(layer)
    if not given:
        raise LayerError("no layer was given, expected at least one; leave `layer` out for the default")
    return tuple(dict.fromkeys(layer_name(model, one) for one in given))


def chosen_layers(
    model: nn.Module, clip: Input, layers: Sequence[str], reshape: Reshape | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dotted names of the layers that were given, or of the default one where none was.

    Returns:
        The names, and a sentence for the user where the layer was chosen here.

    Raises:
        LayerError: no layer has an extent.
    """
    if not layers:
        name = default_layer(list_layers(model, first_clip(clip), reshape=reshape))
        return (name,), (f"Layer {name!r} was chosen: the last block that still has an extent in space and time.",)
    return tuple(dict.fromkeys(layer_name(model, one) for one in layers)), ()


def living_layer(model: nn.Module, clip: Input, reshape: Reshape | None, *, like: str) -> str | None:
    """The last layer at whose places the predicted class has a gradient; None where none is found.

    One of as many channels as the layer `like` goes before others: what transformers compute on the way, queries, keys
    and values in one, fits the reshape too.
    """
    try:
        layers = list_layers(model, clip, reshape=reshape)
        names = [layer.name for layer in layers if layer.is_choosable][-MOST_TRIED:]
        with record(model, names) as tape:
            with Ends() as ends:
                scores, _ = class_scores(model(clip), ends)
            found = tape.living_gradients(scores.amax(dim=1).sum())
    except VidcamError:
        return None
    channels = {layer.name: layer.channels for layer in layers}
    alive = [name for name in names if name in found and bool((reshape or unchanged)(found[name]).any())]
    alike = [name for name in alive if channels[name] == channels.get(like)]
    return next(reversed(alike or alive), None)
