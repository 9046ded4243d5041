"""One case of `scripts/benchmark results`, in the environment of the other tools; prints JSON on its last line."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import click
import results_exactness
import results_films
import results_maps
import results_random
import torch
from benchmark_results import NETWORKS
from peers_cost import peak_megabytes, plain_forward
from peers_tools import TOOLS
from results_scaling import scaling
from results_timing import Table, Target, interleaved

import vidcam
from vidcam.cam.methods import PAIR_METHODS
from vidcam.models.optimise import optimised
from vidcam.models.registry import load_model

Case = Callable[[Sequence[str], int], list[Table]]


def cuda(networks: Sequence[str], runs: int) -> list[Table]:
    """Explanations a second beside plain bf16 inference, on a GPU; none where there is none."""
    if not torch.cuda.is_available():
        return []
    tables = []
    for name in networks:
        layer = results_maps.LAYERS[name][0]
        model = load_model(name, device="cuda:0", weights="random")
        made = optimised(model, [layer], precision="bf16")[0].module
        for batch in (16, 64):
            clip = torch.randn(batch, 3, *model.spec.input_size, device="cuda:0")
            rows = interleaved(
                {
                    "plain bf16 inference": partial(_autocast, model.module, clip),
                    "vidcam, gradcam and gradcam++, bf16": partial(
                        vidcam.explain, made, clip, layer=layer, target=results_maps.TARGET
                    ),
                },
                runs,
                units=dict.fromkeys(("plain bf16 inference", "vidcam, gradcam and gradcam++, bf16"), batch),
            )
            value = rows["vidcam, gradcam and gradcam++, bf16"].ratio[1]
            target = Target(f"{name} on a GPU, batch {batch}: explanation over plain bf16 inference", value, 1 / 0.9)
            tables.append(Table(f"{name} on {torch.cuda.get_device_name()}", "Seconds a clip.", rows, [target], runs))
    return tables


def _autocast(module: torch.nn.Module, clip: torch.Tensor) -> object:
    with torch.autocast("cuda", torch.bfloat16):
        return plain_forward(module, clip)


def _each(case: Callable[..., Table], **options: Any) -> Case:
    return lambda networks, runs: [case(name, runs, **options) for name in networks]


CASES: Mapping[str, tuple[Case, int]] = MappingProxyType(
    {
        "forward": (lambda names, runs: [table for name in names for table in results_maps.forward(name, runs)], 9),
        "maps": (_each(results_maps.maps), 7),
        "earlier": (_each(results_maps.maps, earlier=True), 5),
        "batches": (lambda networks, runs: results_maps.batches(networks[0], runs), 5),
        "dear": (_each(results_maps.dear), 3),
        "agreement": (lambda _, __: [results_maps.agreement()], 1),
        "exactness": (lambda networks, _: results_exactness.exactness(networks), 1),
        "film-30s": (lambda networks, runs: [results_films.film(networks[-1], 30, runs)], 1),
        "film-10min": (lambda _, runs: [results_films.film("tiny_r3d", 600, runs)], 1),
        "score": (lambda networks, _: [results_films.scoring(networks[0], 6)], 1),
        "random": (lambda _, runs: results_random.random_access(runs), 9),
        "render": (lambda _, runs: results_films.drawing(runs), 5),
        "cuda": (cuda, 7),
    }
)
"""Name → what it does for some networks in some rounds, and how many rounds."""


@click.group()
def run() -> None:
    """Figures as JSON."""
    warnings.simplefilter("ignore")


@run.command()
@click.argument("name", type=click.Choice(list(CASES)))
@click.option("--runs", type=int)
@click.option("--network", "networks", multiple=True, default=NETWORKS)
def case(name: str, runs: int | None, networks: tuple[str, ...]) -> None:
    """The tables of a case."""
    work, usual = CASES[name]
    click.echo(json.dumps([table.document() for table in work(networks, runs or usual)]))


@run.command("scaling")
@click.option("--runs", type=int, default=3)
@click.option("--network", "networks", multiple=True, default=NETWORKS)
def scaling_command(runs: int, networks: tuple[str, ...]) -> None:
    """Points of the plot."""
    click.echo(json.dumps(scaling(networks[0], runs)))


@run.command()
@click.argument("network", type=click.Choice(list(results_maps.LAYERS)))
@click.argument("entry")
def peak(network: str, entry: str) -> None:
    """Peak memory in megabytes of a process that does one thing three times."""
    layer = results_maps.LAYERS[network][0]
    loaded = load_model(network, device="cpu", weights="random")
    module, clip = loaded.module, torch.randn(1, 3, *loaded.spec.input_size)
    if entry == "vidcam":
        module = optimised(loaded, [layer])[0].module
    else:
        module.to(memory_format=torch.contiguous_format)
    del loaded
    work: Callable[[], object] = partial(plain_forward, module, clip)
    if entry == "vidcam":
        work = partial(vidcam.explain, module, clip, layer=layer, methods=tuple(PAIR_METHODS), target=0)
    elif entry in TOOLS:
        work = partial(TOOLS[entry].prepare(module, layer, TOOLS[entry].methods[0], 0), clip)
    gc.collect()
    for _ in range(3):
        work()
    click.echo(json.dumps(peak_megabytes()))


if __name__ == "__main__":
    run()
