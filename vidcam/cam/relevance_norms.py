"""How relevance passes a norm over features: (x - mean) times a constant, weight / deviation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vidcam.cam.linear_parts import with_constant_deviation
from vidcam.cam.relevance_pass import Arguments, Function, Named, Pass, depends, is_of_tokens


def layer_norm(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `layer_norm` under its rule."""
    given = _bound(("input", "normalized_shape", "weight", "bias", "eps"), args, named)
    values = given["input"]
    state.has_tokens |= is_of_tokens(values)
    if not depends(values):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=_groups(values, given["normalized_shape"]),
        weight=given.get("weight"),
        eps=given.get("eps", 1e-5),
    )


def rms_norm(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `rms_norm` under its rule."""
    given = _bound(("input", "normalized_shape", "weight", "eps"), args, named)
    values, eps = given["input"], given.get("eps")
    state.has_tokens |= is_of_tokens(values)
    if not depends(values):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=_groups(values, given["normalized_shape"]),
        weight=given.get("weight"),
        eps=torch.finfo(values.dtype).eps if eps is None else eps,
        is_centred=False,
    )


def group_norm(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `group_norm` under its rule."""
    given = _bound(("input", "num_groups", "weight", "bias", "eps"), args, named)
    values, weight = given["input"], given.get("weight")
    if not depends(values):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=(values.shape[0], given["num_groups"], -1),
        weight=None if weight is None else weight.reshape(-1, *[1] * (values.ndim - 2)),
        eps=given.get("eps", 1e-5),
    )


def instance_norm(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """Call `instance_norm` under its rule."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
    given = _bound(names, args, named)
    values, weight = given["input"], given.get("weight")
    if not depends(values) or not given.get("use_input_stats", True):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=(*values.shape[:2], -1),
        weight=None if weight is None else weight.reshape(-1, *[1] * (values.ndim - 2)),
        eps=given.get("eps", 1e-5),
    )


def _groups(values: Tensor, normalised: Any) -> tuple[int, ...]:
    count = 1 if isinstance(normalised, int) else len(normalised)
    return (*values.shape[: values.ndim - count], -1)


def _bound(names: tuple[str, ...], args: Arguments, named: Named) -> Mapping[str, Any]:
    return {**dict(zip(names, args, strict=False)), **named}


def _without_input(named: Named) -> Named:
    return {name: value for name, value in named.items() if name != "input"}
