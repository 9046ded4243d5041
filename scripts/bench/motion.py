"""Case `motion`: each tool's maps on the motion benchmark, beside vidcam's and beside controls that know no network.

A tool gets one clip at a time and is called as its documentation shows. Its own map is measured: the positive part,
summed over colour, enlarged to the clip's size trilinearly if the tool does not enlarge it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import click
import numpy as np
from torch import Tensor, nn

import vidcam
from scripts.bench.peers import Map, Tool, installed_peers
from scripts.bench.tables import Row, Table
from vidcam.cam.methods import ALL_METHODS
from vidcam.maps import upsample_volume
from vidcam.metrics import controls
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.motion import MotionBenchmark, benchmark
from vidcam.pipelines.study.benchmark import CLIPS, MEASURES, Explain

OURS = ("gradcam", "gradcam++", "neutral-gradcam", "integrated-gradients", "gradcam-ig", "neutral-gradcam-ig")
THEIRS = ("gradcam", "gradcam++", "integrated-gradients", "occlusion")
"""The methods of a tool that are measured, if it has them."""


def motion(clips: int = CLIPS) -> list[Table]:
    """A table for each network."""
    entries: dict[str, Explain] = {f"vidcam, {name}": partial(by_vidcam, name) for name in OURS if name in ALL_METHODS}
    for tool in installed_peers():
        entries |= {f"{tool.title}, {name}": partial(by_peer, tool, name) for name in THEIRS if name in tool.methods}
    entries |= {f"control: {name}": control for name, control in CONTROLS.items()}
    results = {title: _result(title, entry, clips) for title, entry in entries.items()}
    note = f"{clips} clips with one actor, explained for the true class. Mean and 95 % bootstrap interval."
    return [
        Table(
            f"Motion benchmark: {spec.name} at {spec.layer}",
            note,
            {title: _row(result, spec.name) for title, result in results.items()},
        )
        for spec in TINY_SPECS
    ]


@click.command()
@click.argument("function")
@click.option("--clips", type=click.IntRange(1, CLIPS), default=CLIPS, show_default=True)
def motion_row(function: str, clips: int) -> None:
    """Print the row of your own method, FUNCTION as 'package.module:function'."""
    module, _, name = function.partition(":")
    click.echo(str(benchmark(getattr(importlib.import_module(module), name), clips=clips)))


def layer_of(network: nn.Module) -> str:
    """The network's default layer."""
    return next(str(spec.layer) for spec in TINY_SPECS if hasattr(network, str(spec.layer)))


def by_vidcam(method: str, network: nn.Module, clips: Tensor, classes: Tensor) -> Map:
    """Explain with vidcam. The baseline is a grey clip, as `explain_video` takes it."""
    layer = layer_of(network)
    grey = vidcam.compute_baseline(network, clips[:1] * 0, layer=layer)
    targets = classes.tolist()
    return vidcam.explain(network, clips, layer=layer, methods=method, target=targets, baseline=grey).heat(method)


def by_peer(tool: Tool, method: str, network: nn.Module, clips: Tensor, classes: Tensor) -> Map:
    """Explain with another tool, clip by clip."""
    size = tuple(clips.shape[2:])
    maps = []
    for clip, target in zip(clips, classes.tolist(), strict=True):
        volume = np.asarray(tool.call_on(network, layer_of(network), method, target)(clip[None])[0])
        volume = volume.sum(axis=0) if volume.ndim == len(size) + 1 else volume
        maps.append(upsample_volume(np.maximum(volume, 0), size))
    return np.stack(maps)


def random_cells(network: nn.Module, clips: Tensor, classes: Tensor) -> Map:
    """The cells of gradcam, shuffled."""
    explanation = vidcam.explain(network, clips, layer=layer_of(network), methods="gradcam", target=classes.tolist())
    generator = np.random.default_rng(classes.tolist())
    shuffled = [controls.shuffled_cells(volume, generator) for volume in explanation.volumes["gradcam"]]
    return upsample_volume(np.stack(shuffled), tuple(clips.shape[2:]))


def centre(_network: nn.Module, clips: Tensor, _classes: Tensor) -> Map:
    """A bump in the middle of every frame."""
    frames, height, width = clips.shape[2:]
    return np.broadcast_to(controls.centre_heat((frames, height, width)), (len(clips), frames, height, width))


def frame_difference(_network: nn.Module, clips: Tensor, _classes: Tensor) -> Map:
    """How much each pixel changes. The scaling of the networks is the same for all colours, so it does not matter."""
    return np.stack([controls.frame_difference(clip.permute(1, 2, 3, 0).numpy()) for clip in clips])


def uniform(_network: nn.Module, clips: Tensor, _classes: Tensor) -> Map:
    """The same everywhere."""
    return np.ones_like(clips[:, 0].numpy())


CONTROLS: Mapping[str, Explain] = MappingProxyType(
    {"frame-difference": frame_difference, "centre": centre, "random": random_cells, "uniform": uniform}
)


def _result(title: str, explain: Explain, clips: int) -> MotionBenchmark | str:
    click.echo(f"bench: {title}", err=True)
    try:
        return benchmark(explain, name=title, clips=clips)
    except Exception as error:  # a tool's errors, of any kind, belong in the table
        return f"**{type(error).__name__}: {str(error).strip().splitlines()[0]}**"


def _row(result: MotionBenchmark | str, network: str) -> Row:
    if isinstance(result, str):
        return Row(more={MEASURES[0]: result})
    (cells,) = [cells for cells in result.rows() if cells[1] == network]
    return Row(more=dict(zip(MEASURES, cells[2:], strict=False)))
