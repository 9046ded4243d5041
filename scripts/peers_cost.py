"""What maps cost over a plain forward pass without gradients at the same batch: seconds and memory, for each tool.

Seconds: all tools in one process, in turn, each call next to a plain forward pass of the same network, before and after
it by turns; ratios are medians of these pairs, by the clock and in processor time, which other jobs disturb less. The
first row is the forward pass beside itself: what the rest is worth.
Memory: a process for each tool, and the rise of its peak from three plain forward passes to three calls after them.
Runs in .venv-peers only; `scripts/benchmark peers cost` prints the tables.
"""

from __future__ import annotations

import copy
import gc
import json
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import click
import torch
import torchvision
from peers_tools import TOOLS, cheap_methods
from torch import Tensor, nn

import vidcam
from vidcam.models.registry import load_model

CASES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"r3d_18": ("r3d_18", "layer4"), "i3d": ("i3d", "Mixed_5c"), "i3d-earlier": ("i3d", "Mixed_4f")}
)
"""Case → network, layer."""

CONTROL, OURS = "plain forward again", "vidcam: all cheap methods"
ENTRIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        CONTROL: ("vidcam", ""),
        OURS: ("vidcam", ""),
        "vidcam: gradcam": ("vidcam", "gradcam"),
        "grad-cam: gradcam++": ("grad-cam", "gradcam++"),
        "torchcam: gradcam++": ("torchcam", "gradcam++"),
        "captum: gradcam": ("captum", "gradcam"),
        "medcam: gradcam++": ("medcam", "gradcam++"),
    }
)
"""Row of the table → tool, method."""

TARGET = 0

Work = Callable[[], object]
Times = tuple[float, float]


@click.group()
def cost() -> None:
    """Figures as JSON."""
    warnings.simplefilter("ignore")


@cost.command()
@click.argument("case", type=click.Choice(list(CASES)))
@click.option("--batch", default=1)
@click.option("--runs", default=15)
def seconds(case: str, batch: int, runs: int) -> None:
    """Ratios of all rows to their forward passes, by the clock and in processor time."""
    network, clip, layer = build(case, batch)
    forward = partial(plain_forward, network, clip)
    works: dict[str, Work] = {entry: prepare(entry, network, clip, layer) for entry in ENTRIES}
    forward()
    for work in works.values():
        work()
    pairs: dict[str, list[tuple[Times, Times]]] = {entry: [] for entry in works}
    for run in range(runs):
        for entry, work in works.items():
            gc.collect()  # what the tool before left behind is not this one's cost
            first = timed(work) if run % 2 else None
            plain = timed(forward)
            pairs[entry].append((plain, timed(work) if first is None else first))
    plains = [plain[0] for found in pairs.values() for plain, _ in found]
    rows = {entry: [summary(found, clock) for clock in (0, 1)] for entry, found in pairs.items()}
    methods = cheap_methods(network, layer, clip)
    click.echo(json.dumps({"forward": statistics.median(plains), "rows": rows, "methods": methods}))


@cost.command()
@click.argument("case", type=click.Choice(list(CASES)))
@click.argument("entry", type=click.Choice(list(ENTRIES)))
@click.option("--batch", default=1)
def memory(case: str, entry: str, batch: int) -> None:
    """Megabytes by which the peak rises."""
    network, clip, layer = build(case, batch)
    small = nn.Sequential(nn.Conv3d(3, 2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    TOOLS[ENTRIES[entry][0]].prepare(small, "0", "gradcam", TARGET)  # imports the tool, which takes memory of its own
    for _ in range(3):
        plain_forward(network, clip)
    before = peak_megabytes()
    work = prepare(entry, network, clip, layer, own=False)
    for _ in range(3):
        work()
    click.echo(json.dumps({"forward": before, "extra": peak_megabytes() - before}))


def build(case: str, batch: int) -> tuple[nn.Module, Tensor, str]:
    """Network with random weights, clip, layer."""
    name, layer = CASES[case]
    torch.default_generator.manual_seed(0)
    if name == "r3d_18":
        network, size = torchvision.models.video.r3d_18(weights=None).eval(), (16, 112, 112)
    else:
        model = load_model(name, device="cpu", weights="random")
        network, size = model.module.eval(), model.spec.input_size
    return network.requires_grad_(), torch.randn(batch, 3, *size), layer


def prepare(entry: str, network: nn.Module, clip: Tensor, layer: str, *, own: bool = True) -> Work:
    """One call of a row of the table, on a copy of the network, as some tools leave hooks on it."""
    tool, method = ENTRIES[entry]
    network = copy.deepcopy(network) if own else network
    if entry == CONTROL:
        return partial(plain_forward, network, clip)
    if entry == OURS:
        methods = cheap_methods(network, layer, clip)
        return partial(vidcam.explain, network, clip, layer=layer, methods=methods, target=TARGET)
    return partial(TOOLS[tool].prepare(network, layer, method, TARGET), clip)


def plain_forward(network: nn.Module, clip: Tensor) -> object:
    """Logits, without gradients."""
    with torch.no_grad():
        return network(clip)


def timed(work: Work) -> Times:
    """Seconds of a call, by the clock and of all processors; what it returns is dropped within."""
    started, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - worked


def summary(pairs: list[tuple[Times, Times]], clock: int) -> dict[str, float]:
    """Median of the ratios and its quartiles."""
    low, median, high = statistics.quantiles([call[clock] / plain[clock] for plain, call in pairs], n=4)
    return {"median": median, "low": low, "high": high}


def peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    cost()
