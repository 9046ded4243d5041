"""The search for a more faithful map: all variants that were tried, over a set with boxes, beside two baselines.

Variants are built here from A and g, not in the library: most of them lose. Faithfulness is the retention at equal area
(GC++ 7.2) of the predicted class, localisation the maps of the label's class against the boxes. All figures are means
over groups with 95 % intervals from resampled groups, and of the paired difference from gradcam and from gradcam++:
a variant wins where the interval excludes 0. Medians over calibration clips leave the clip's own group out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from vidcam.cam.audit import find_sink
from vidcam.cam.record import record
from vidcam.cam.volume import combine, hirescam, layercam
from vidcam.cam.weights import (
    gradcam_plus_weights,
    gradcam_pp_signed_weights,
    gradcam_pp_weights,
    gradcam_weights,
)
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.bootstrap import Interval
from vidcam.metrics.controls import centre_heat, shuffled_cells
from vidcam.metrics.energy import energy
from vidcam.metrics.intervals import bootstrap_means
from vidcam.metrics.localization import localization
from vidcam.metrics.order import tie_field, voxel_order
from vidcam.metrics.pointing import pointing
from vidcam.metrics.retention import DEFAULT_THETAS, keep_top
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.clipset import Entry, read_clips
from vidcam.pipelines.masked import MaskedForwards
from vidcam.pipelines.samples import Sample, load_sample
from vidcam.pipelines.score_clip import known_label
from vidcam.pipelines.versions import Shown
from vidcam.preprocess import fill_for, scale_pixels

COLOURS = {"grey": 127.5, "black": 0.0}
FIGURES = (*(f"retention {theta:g}" for theta in DEFAULT_THETAS), "loc 0.25", "loc 0.5", "pointing", "energy")
BASELINES = ("gradcam", "gradcam++")
WEIGHTS: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gradcam": gradcam_weights,
    "gradcam+": gradcam_plus_weights,
    "gradcam++": gradcam_pp_weights,
    "gradcam++signed": gradcam_pp_signed_weights,
    "gradcam++ λ=100": lambda a, g: gradcam_pp_weights(a, g, lam=100.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One clip: A and g of both layers, each (1, D, t, h, w), for the predicted class and for the label's."""

    sample: Sample
    predicted: int
    log_probability: float
    activations: Sequence[torch.Tensor] = field(repr=False)
    gradients: Sequence[torch.Tensor] = field(repr=False)
    told: Sequence[torch.Tensor] = field(repr=False)

    @property
    def group(self) -> str:
        """Clips of one group are one sample."""
        return self.sample.entry.group or self.sample.entry.name


class Search:
    """A model, a set, and the references that maps are held against."""

    def __init__(self, model: Model, layers: Sequence[str], entries: Sequence[Entry]) -> None:
        self.model, self.layers = model, layers
        self.colours = {name: self._of_colour(value) for name, value in COLOURS.items()}
        samples = (load_sample(entry, model.spec) for entry in entries)
        self.seen = [self._look(sample) for sample in samples if isinstance(sample, Sample)]

    def _of_colour(self, value: float) -> Sequence[torch.Tensor]:
        flat = scale_pixels(torch.full((1, 3, *self.model.spec.input_size), value), self.model.spec.scaling)
        with record(self.model.module, self.layers) as tape:
            self.model.module(flat)
            return [tape.activations[layer] for layer in self.layers]

    def _look(self, sample: Sample) -> Seen:
        known = known_label(self.model, sample.entry.label)
        with record(self.model.module, self.layers) as tape:
            scores = self.model.module(sample.tensor[None])
            scores = scores.mean(dim=2) if scores.ndim == 3 else scores
            top = int(scores.argmax())
            found = [tape.gradients(scores[0, index]) for index in (top, top if known is None else known)]
            log = float(scores.detach().double().log_softmax(dim=1)[0, top])
            per_layer = [[values[layer] for layer in self.layers] for values in (tape.activations, *found)]
        return Seen(sample, top, log, *per_layer)

    @cached_property
    def medians(self) -> Mapping[str, Sequence[torch.Tensor]]:
        """Group → median of A over the clips of all other groups, cell by cell."""
        found = {}
        for group in {seen.group for seen in self.seen}:
            others = [seen.activations for seen in self.seen if seen.group != group]
            found[group] = [torch.stack(list(of_layer)).median(dim=0).values for of_layer in zip(*others, strict=True)]
        return found

    def volumes(self, seen: Seen, gradients: Sequence[torch.Tensor]) -> Iterator[tuple[str, Floats]]:
        """Every variant's raw map, (t, h, w)."""
        a, g = seen.activations[0], gradients[0]
        references = {"": torch.zeros_like(a), **{f" - {n}": r[0] for n, r in self.colours.items()}}
        references[" - median"] = self.medians[seen.group][0]
        for name, weigh in WEIGHTS.items():
            for suffix, reference in references.items():
                yield name + suffix, _numpy(combine(weigh(a, g), a - reference))
        for name, product in (("hirescam", hirescam), ("layercam", layercam)):
            for suffix in ("", " - grey", " - black"):
                yield name + suffix, _numpy(product(a - references[suffix], g))
        for suffix in (" - grey", " - black"):
            yield f"gradcam, rectified{suffix}", _numpy(combine(gradcam_weights(a, g), (a - references[suffix]).relu()))
        quiet = self._quiet(self.colours["grey"][0])
        for name in ("gradcam", "gradcam++"):
            yield f"{name}, sink masked", _numpy(combine(WEIGHTS[name](a, g), a)) * quiet

    def fused(self, seen: Seen, gradients: Sequence[torch.Tensor]) -> Iterator[tuple[str, Floats]]:
        """Heats (T, H, W) of the last layer and an earlier one, both held against black."""
        if len(self.layers) < 2:
            return
        late, early = (
            self.heat(_numpy(combine(gradcam_weights(a, g), a - black)))
            for a, g, black in zip(seen.activations, gradients, self.colours["black"], strict=True)
        )
        yield "gradcam - black, mean with earlier", (late + early) / 2
        yield "gradcam - black, product with earlier", np.sqrt(late * early)

    def _quiet(self, grey: torch.Tensor) -> Floats:
        sink = find_sink(grey)
        quiet = np.ones(grey.shape[2:], np.float32)
        for cell in sink.cells if sink else ():
            quiet[tuple(cell)] = 0.0
        return quiet

    def heat(self, volume: Floats) -> Floats:
        """(t, h, w) → (T, H, W) in [0, 1]."""
        size = self.model.spec.input_size
        return np.asarray(normalise_per_clip(upsample_volume(volume[None], size))[0])

    def heats(self, seen: Seen, gradients: Sequence[torch.Tensor]) -> dict[str, Floats]:
        """Every variant and control."""
        raw = dict(self.volumes(seen, gradients))
        found = {name: self.heat(volume) for name, volume in raw.items()} | dict(self.fused(seen, gradients))
        generator = np.random.default_rng([0, seen.sample.entry.index])
        found["random"] = self.heat(shuffled_cells(raw["gradcam"], generator))
        found["centre"] = centre_heat(self.model.spec.input_size).astype(np.float32)
        return found


def figures(search: Search, seen: Seen, chosen: Sequence[str], forwards: MaskedForwards) -> dict[str, list[float]]:
    """Variant → its figures for one clip, in the order of FIGURES; NaN where there are no boxes."""
    clip = seen.sample.tensor[None].to(search.model.device)
    shown = Shown(clip, fill_for(clip, "black", search.model.spec.scaling))
    heats = search.heats(seen, seen.gradients)
    names = [name for name in heats if not chosen or name in chosen]
    grid = tuple(seen.activations[0].shape[2:])
    ties = tie_field(grid, search.model.spec.input_size, np.random.default_rng([1, seen.sample.entry.index]))
    versions = (
        ((name, f"{theta:g}"), lambda order=order, theta=theta: shown.masked(keep_top(order, theta, ties.shape)))
        for name in names
        for order in [voxel_order(heats[name], ties)]
        for theta in DEFAULT_THETAS
    )
    logs = forwards.run(versions, seen.predicted, search.model.spec.activation or "softmax")
    told = search.heats(seen, seen.told) if seen.sample.inside is not None else {}
    return {
        name: [
            *(100.0 * float(np.exp(logs[name, f"{theta:g}"] - seen.log_probability)) for theta in DEFAULT_THETAS),
            *_localised(told.get(name), seen.sample.inside),
        ]
        for name in names
    }


def _localised(heat: Floats | None, inside: NDArray[np.bool_] | None) -> list[float]:
    if heat is None or inside is None:
        return [float("nan")] * 4
    one, region = heat[None], inside[None]
    measures = (localization(one, region, 0.25), localization(one, region, 0.5), pointing(one, region))
    return [100.0 * float(found[0]) for found in (*measures, energy(one, region))]


def table(found: Sequence[Mapping[str, Sequence[float]]], groups: Sequence[str]) -> Iterator[str]:
    """Markdown: means, and paired differences from both baselines whose interval excludes 0 in bold."""
    yield "| variant | " + " | ".join(FIGURES) + " |"
    yield "| --- " * (1 + len(FIGURES)) + "|"
    of = {name: np.array([clip[name] for clip in found]).T for name in found[0]}
    for name, values in of.items():
        cells = [f"{one.value:.1f}" for one in _intervals(values, groups)]
        for baseline in (baseline for baseline in BASELINES if baseline != name):
            differences = _intervals(values - of[baseline], groups)
            for index, one in enumerate(differences):
                won = one.low > 0 or one.high < 0
                text = f"{one.value:+.1f} [{one.low:.1f}, {one.high:.1f}]"
                cells[index] += "; " + (f"**{text}**" if won else text)
        yield f"| {name} | " + " | ".join(cells) + " |"


def _intervals(values: NDArray[np.float64], groups: Sequence[str]) -> list[Interval]:
    return bootstrap_means(values, lambda: np.random.default_rng(0), groups=groups)


def _numpy(volume: torch.Tensor) -> Floats:
    return np.asarray(volume[0].numpy(), np.float32)


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--model", "name", default="i3d", show_default=True)
@click.option("--earlier", default=None, help="An earlier layer to fuse with.")
@click.option("--variant", "chosen", multiple=True, help="Only these; the two baselines are always there.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Each clip's figures, as JSON lines.")
def search_maps(manifest: Path, name: str, earlier: str | None, chosen: tuple[str, ...], out: Path | None) -> None:
    """Print the table of all variants for the clips of MANIFEST."""
    model = load_model(name, device="cpu")
    model.module.eval()
    layers = [str(model.spec.layer), *([earlier] if earlier else [])]
    search = Search(model, layers, read_clips(manifest, out=Path("search")).entries)
    wanted = (*BASELINES, *chosen) if chosen else ()
    forwards, found = MaskedForwards(model, 4), []
    for seen in search.seen:
        found.append(figures(search, seen, wanted, forwards))
        click.echo(f"{len(found)} of {len(search.seen)}: {seen.sample.entry.name}", err=True)
        if out:
            with out.open("a", encoding="utf-8") as file:
                file.write(
                    json.dumps({"clip": seen.sample.entry.name, "group": seen.group, "figures": found[-1]}) + "\n"
                )
    click.echo("\n".join(table(found, [seen.group for seen in search.seen])))


if __name__ == "__main__":
    search_maps()
