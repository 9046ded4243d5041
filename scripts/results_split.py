"""Where the time of a forward pass goes: convolutions, normalisations, ReLUs, the rest; for copies of a network.

Processor time between the hooks of every module without parts, so that ReLUs and sums that are called as functions
count as the rest. All threads' time; medians over rounds in which the networks take turns.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from results_timing import Row, Table
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

CONVOLUTIONS, REST = "convolutions", "the rest: sums, casts, what is called as a function"

Parts = dict[str, float]


def split(networks: Mapping[str, tuple[nn.Module, Tensor]], runs: int) -> dict[str, Parts]:
    """Name → part → processor seconds for one clip.

    Args:
        networks: name → network and its clips; left as they were.
        runs: rounds, after one that is not counted.
    """
    found: dict[str, list[Parts]] = defaultdict(list)
    for run in range(runs + 1):
        for name, (module, clips) in networks.items():
            parts = _once(module, clips)
            if run:
                found[name].append(parts)
    return {
        name: {part: statistics.median(one[part] for one in rounds) for part in rounds[0]}
        for name, rounds in found.items()
    }


def split_table(name: str, parts: Mapping[str, Parts], runs: int) -> Table:
    """Rows are parts, columns the networks; milliseconds of processors for one clip."""
    names = dict.fromkeys(part for one in parts.values() for part in one)
    rows = {
        part: Row(
            (0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0), {column: f"{1e3 * one[part]:.1f}" for column, one in parts.items()}
        )
        for part in names
    }
    return Table(
        f"{name}: where a forward pass spends its time", "Processor milliseconds for one clip.", rows, [], runs
    )


def reason_of_halves(plain: Parts, exact: Parts, half: Parts) -> str:
    """Why 16 bits gain what they gain, in figures."""
    of, gain = half[CONVOLUTIONS] / sum(half.values()), exact[CONVOLUTIONS] / half[CONVOLUTIONS]
    at_twice = (exact[CONVOLUTIONS] / 2 + sum(half.values()) - half[CONVOLUTIONS]) / sum(plain.values())
    return (
        f"{of:.0%} of it are convolutions, {gain:.2f} times as fast as in float32; a processor with 16-bit products at "
        f"twice the rate of float32 (AVX-512, no AMX) would give {at_twice:.2f}"
    )


def _once(module: nn.Module, clips: Tensor) -> Parts:
    spent: Parts = {CONVOLUTIONS: 0.0, "normalisations": 0.0, "ReLUs": 0.0, "other modules": 0.0}
    begun: dict[str, float] = {}
    hooks = []
    for name, inner in module.named_modules():
        if not any(inner.children()):
            hooks += [inner.register_forward_pre_hook(_begin(begun, name), prepend=True)]
            hooks += [inner.register_forward_hook(_end(begun, name, spent, _part(inner)))]
    try:
        with torch.no_grad():
            started = time.process_time()
            module(clips)
            spent[REST] = time.process_time() - started - sum(spent.values())
    finally:
        for hook in hooks:
            hook.remove()
    return {part: seconds / len(clips) for part, seconds in spent.items()}


def _begin(begun: dict[str, float], name: str) -> Callable[..., None]:
    def begin(*_: Any) -> None:
        begun[name] = time.process_time()

    return begin


def _end(begun: dict[str, float], name: str, spent: Parts, part: str) -> Callable[..., None]:
    def end(*_: Any) -> None:
        spent[part] += time.process_time() - begun[name]

    return end


def _part(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        return CONVOLUTIONS
    if isinstance(module, _BatchNorm):
        return "normalisations"
    return "ReLUs" if isinstance(module, nn.ReLU) else "other modules"
