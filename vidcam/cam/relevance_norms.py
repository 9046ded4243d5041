"""How relevance passes a norm over features: (x - mean) times a constant, weight / deviation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vidcam.cam.linear_parts import with_constant_deviation
from vidcam.cam.relevance_pass import Arguments, Function, Named, Pass, depends, is_of_tokens


def layer_norm(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `layer_norm` under its rule."""
    given = _by_name(("normalized_shape", "weight", "bias", "eps"), args, named)
    return _over_features(state, func, args, named, given, eps=given.get("eps", 1e-5))


def rms_norm(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `rms_norm` under its rule."""
    given = _by_name(("normalized_shape", "weight", "eps"), args, named)
    eps = given.get("eps")
    eps = torch.finfo(args[0].dtype).eps if eps is None else eps
    return _over_features(state, func, args, named, given, eps=eps, is_centred=False)


def group_norm(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `group_norm` under its rule."""
    given = _by_name(("num_groups", "weight", "bias", "eps"), args, named)
    return _over_places(func, args, named, given, groups=(len(args[0]), given["num_groups"], -1))


def instance_norm(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `instance_norm` under its rule."""
    names = ("running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
    given = _by_name(names, args, named)
    if not given.get("use_input_stats", True):
        return func(*args, **named)
    return _over_places(func, args, named, given, groups=(*args[0].shape[:2], -1))


def _by_name(names: tuple[str, ...], args: Arguments, named: Named) -> Named:
    """Return the arguments after the input by their names."""
    return {**dict(zip(names, args[1:], strict=False)), **named}


def _over_features(
    state: Pass, func: Function, args: Arguments, named: Named, given: Named, *, eps: float, is_centred: bool = True
) -> Any:
    """Normalise over the last axes."""
    values, *rest = args
    state.has_tokens |= is_of_tokens(values)
    if not depends(values):
        return func(*args, **named)
    normalised = given["normalized_shape"]
    kept = values.ndim - (1 if isinstance(normalised, int) else len(normalised))
    return with_constant_deviation(
        values,
        lambda x: func(x, *rest, **named),
        groups=(*values.shape[:kept], -1),
        weight=given.get("weight"),
        eps=eps,
        is_centred=is_centred,
    )


def _over_places(func: Function, args: Arguments, named: Named, given: Named, *, groups: tuple[int, ...]) -> Any:
    """Normalise over channels and places; the weight is one number a channel."""
    values, *rest = args
    weight: Tensor | None = given.get("weight")
    if not depends(values):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *rest, **named),
        groups=groups,
        weight=None if weight is None else weight.reshape(-1, *[1] * (values.ndim - 2)),
        eps=given.get("eps", 1e-5),
    )
