"""The search for a more faithful map: all variants that were tried, over a set with boxes, beside two baselines.

Variants are built here from A and g, not in the library: most of them lose. Faithfulness is the retention at equal area
(GC++ 7.2) of the predicted class, localisation the maps of the label's class against the boxes. All figures are means
over groups with 95 % intervals from resampled groups, and of the paired difference from gradcam and from gradcam++:
a variant wins where the interval excludes 0. Medians over calibration clips leave the clip's own group out.

References A₀ that are subtracted from A: of a flat grey, black or white clip (one forward pass for each model), the
median of each cell or of each channel over the other clips, and, for a forward pass for each clip, the clip's own mean
colour and its heavily blurred self.
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
from search_report import BASELINES, by_group, held_out, table

from vidcam.cam.audit import find_sink
from vidcam.cam.conduct import untouched
from vidcam.cam.record import record
from vidcam.cam.volume import combine, hirescam, layercam
from vidcam.cam.weights import (
    gradcam_plus_weights,
    gradcam_pp_signed_weights,
    gradcam_pp_weights,
    gradcam_weights,
)
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, shuffled_cells
from vidcam.metrics.energy import energy
from vidcam.metrics.localization import localization
from vidcam.metrics.order import rank_ties, tie_field, voxel_order
from vidcam.metrics.pointing import pointing
from vidcam.metrics.retention import DEFAULT_THETAS, keep_top
from vidcam.models.model import Model
from vidcam.models.optimise import optimised
from vidcam.models.registry import load_model
from vidcam.pipelines.score.clip import known_label
from vidcam.pipelines.score.clips import Entry, read_clips
from vidcam.pipelines.score.forwards import MaskedForwards
from vidcam.pipelines.score.perturbations import Shown
from vidcam.pipelines.score.samples import Sample, load_sample
from vidcam.preprocess import fill_for, scale_pixels

COLOURS = {"grey": 127.5, "black": 0.0, "white": 255.0}
Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def half_signed_weights(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Between gradcam and gradcam+: mean(relu(g)) - mean(relu(-g)) / 2."""
    return (gradcam_weights(activations, gradients) + gradcam_plus_weights(activations, gradients)) / 2


EVERY = ("", "grey", "black", "white", "median", "channel median", "clip mean", "blurred")
WEIGHTS: Mapping[str, tuple[Weigh, Sequence[str]]] = {
    "gradcam": (gradcam_weights, EVERY),
    "gradcam+": (gradcam_plus_weights, ("", "grey", "black", "median", "clip mean", "blurred")),
    "gradcam++": (gradcam_pp_weights, ("", "grey", "black", "median")),
    "gradcam++signed": (gradcam_pp_signed_weights, ("", "black")),
    "gradcam++ λ=100": (lambda a, g: gradcam_pp_weights(a, g, lam=100.0), ("", "black")),
    "gradcam half signed": (half_signed_weights, ("grey", "black")),
}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One clip: A and g of both layers, each (1, D, t, h, w), for the predicted class and for the label's.

    Attributes:
        sample: the clip.
        predicted: its class.
        log_probability: of that class.
        activations: A of each layer.
        own: A of the last layer for the clip's mean colour and for the blurred clip.
        gradients: g of each layer for the logit of the predicted class, and g of the last for its log odds.
        told: the same for the label's class.
    """

    sample: Sample
    predicted: int
    log_probability: float
    activations: Sequence[torch.Tensor] = field(repr=False)
    own: Mapping[str, torch.Tensor] = field(repr=False)
    gradients: Sequence[torch.Tensor] = field(repr=False)
    told: Sequence[torch.Tensor] = field(repr=False)

    @property
    def group(self) -> str:
        """Clips of one group are one sample."""
        return self.sample.entry.group or self.sample.entry.name


class Search:
    """A model, a set, and the references that maps are held against."""

    def __init__(
        self, model: Model, layers: Sequence[str], entries: Sequence[Entry], chosen: Sequence[str] = ()
    ) -> None:
        self.model, self.layers = model, layers
        self._has_own = not chosen or any(name.endswith((" - clip mean", " - blurred")) for name in chosen)
        self.colours = {name: self._of_colour(value) for name, value in COLOURS.items()}
        samples = (load_sample(entry, model.spec) for entry in entries)
        self.seen = [self._look(sample) for sample in samples if isinstance(sample, Sample)]

    def _of_colour(self, value: float) -> Sequence[torch.Tensor]:
        flat = scale_pixels(torch.full((1, 3, *self.model.spec.input_size), value), self.model.spec.scaling)
        return self._activations(flat)

    def _activations(self, clip: torch.Tensor) -> Sequence[torch.Tensor]:
        with record(self.model.module, self.layers) as tape:
            self.model.module(clip)
            return [tape.activations[layer] for layer in self.layers]

    def _look(self, sample: Sample) -> Seen:
        known = known_label(self.model, sample.entry.label)
        clip = sample.tensor[None]
        with record(self.model.module, self.layers) as tape:
            scores = self.model.module(clip)
            scores = scores.mean(dim=2) if scores.ndim == 3 else scores
            top = int(scores.argmax())
            per_class = []
            for index in (top, top if known is None else known):
                others = torch.cat([scores[0, :index], scores[0, index + 1 :]])
                odds = tape.gradients(scores[0, index] - others.logsumexp(dim=0))[self.layers[0]]
                of_logit = tape.gradients(scores[0, index])
                per_class.append([*(of_logit[layer] for layer in self.layers), odds])
            log = float(scores.detach().double().log_softmax(dim=1)[0, top])
            activations = [tape.activations[layer] for layer in self.layers]
        return Seen(sample, top, log, activations, self._own(clip) if self._has_own else {}, *per_class)

    def _own(self, clip: torch.Tensor) -> dict[str, torch.Tensor]:
        mean = clip.mean(dim=(2, 3, 4), keepdim=True).expand_as(clip).clone()
        return {"clip mean": self._activations(mean)[0], "blurred": self._activations(_blurred(clip))[0]}

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
        a, g, odds = seen.activations[0], gradients[0], gradients[-1]
        references = self._references(seen)
        for name, (weigh, suffixes) in WEIGHTS.items():
            for suffix in (one for one in suffixes if one in references):
                yield _named(name, suffix), _numpy(combine(weigh(a, g), a - references[suffix]))
        for suffix in ("", "grey"):
            yield _named("hirescam", suffix), _numpy(hirescam(a - references[suffix], g))
            yield _named("layercam", suffix), _numpy(layercam(a - references[suffix], g))
        for suffix in ("grey", "black", "median"):
            above = (a - references[suffix]).relu()
            yield _named("gradcam, rectified", suffix), _numpy(combine(gradcam_weights(a, g), above))
        for suffix in ("", "black", "median"):
            signed = torch.einsum("nd,ndthw->nthw", gradcam_weights(a, g), a - references[suffix])
            yield _named("gradcam without relu", suffix), _numpy(signed)
        for suffix in ("", "black"):
            above = a - references[suffix]
            yield _named("gradcam of log odds", suffix), _numpy(combine(gradcam_weights(a, odds), above))
            yield _named("gradcam+ of log odds", suffix), _numpy(combine(gradcam_plus_weights(a, odds), above))
        quiet = self._quiet(self.colours["grey"][0])
        for name in ("gradcam", "gradcam+", "gradcam++"):
            yield f"{name}, sink masked", _numpy(combine(WEIGHTS[name][0](a, g), a)) * quiet

    def _references(self, seen: Seen) -> dict[str, torch.Tensor]:
        median = self.medians[seen.group][0]
        colours = {name: found[0] for name, found in self.colours.items()}
        of_channels = median.flatten(2).median(dim=2).values[:, :, None, None, None]
        zero = torch.zeros(())
        return {"": zero, **colours, "median": median, "channel median": of_channels, **seen.own}

    def fused(self, seen: Seen, gradients: Sequence[torch.Tensor]) -> Iterator[tuple[str, Floats]]:
        """Heats (T, H, W) of the last layer and an earlier one, both held against black or grey."""
        if len(self.layers) < 2:
            return
        for name, weigh, colour in (("gradcam", gradcam_weights, "black"), ("gradcam+", gradcam_plus_weights, "grey")):
            late, early = (
                self.heat(_numpy(combine(weigh(a, g), a - reference)))
                for a, g, reference in zip(seen.activations, gradients, self.colours[colour], strict=False)
            )
            yield f"{name} - {colour}, mean with earlier", (late + early) / 2
            yield f"{name} - {colour}, product with earlier", np.sqrt(late * early)

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
    """Variant → its figures for one clip, in the order of `search_report.FIGURES`; NaN where there are no boxes."""
    clip = seen.sample.tensor[None].to(search.model.device)
    shown = Shown(clip, fill_for(clip, "black", search.model.spec.scaling))
    heats = search.heats(seen, seen.gradients)
    names = [name for name in heats if not chosen or name in chosen]
    grid = tuple(seen.activations[0].shape[2:])
    size = search.model.spec.input_size
    ties = rank_ties(tie_field(grid, size, np.random.default_rng([1, seen.sample.entry.index])))
    versions = (
        ((name, f"{theta:g}"), lambda out, order=order, theta=theta: shown.mask(keep_top(order, theta, size), out))
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


def _named(name: str, reference: str) -> str:
    return f"{name} - {reference}" if reference else name


def _blurred(clip: torch.Tensor) -> torch.Tensor:
    """Means over blocks of a quarter of the height and width, drawn smooth again."""
    size = clip.shape[2:]
    coarse = torch.nn.functional.adaptive_avg_pool3d(clip, (size[0], 4, 4))
    return torch.nn.functional.interpolate(coarse, size=size, mode="trilinear", align_corners=False)


def _numpy(volume: torch.Tensor) -> Floats:
    return np.asarray(volume[0].numpy(), np.float32)


def _done(out: Path | None) -> dict[str, dict[str, list[float]]]:
    if out is None or not out.exists():
        return {}
    lines = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    return {line["clip"]: line["figures"] for line in lines}


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--model", "name", default="i3d", show_default=True)
@click.option("--earlier", default=None, help="An earlier layer to fuse with.")
@click.option("--variant", "chosen", multiple=True, help="Only these; the two baselines are always there.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Each clip's figures, as JSON lines; what stands there is not measured again.",
)
def search_maps(manifest: Path, name: str, earlier: str | None, chosen: tuple[str, ...], out: Path | None) -> None:
    """Print the table of all variants for the clips of MANIFEST."""
    entries, done = read_clips(manifest, out=Path("search")).entries, _done(out)
    if not all(entry.name in done for entry in entries):
        _measure(name, earlier, entries, chosen=chosen, out=out, done=done)
    found = [done[entry.name] for entry in entries if entry.name in done]
    samples = by_group(found, [entry.group or entry.name for entry in entries if entry.name in done])
    click.echo("\n".join([*table(samples), "", *held_out(samples)]))


def _measure(
    name: str,
    earlier: str | None,
    entries: Sequence[Entry],
    *,
    chosen: Sequence[str],
    out: Path | None,
    done: dict[str, dict[str, list[float]]],
) -> None:
    plain = load_model(name, device="cpu")
    layers = [str(plain.spec.layer), *([earlier] if earlier else [])]
    model, _ = optimised(plain, layers)
    wanted = (*BASELINES, *chosen) if chosen else ()
    search = Search(model, layers, entries, wanted)
    forwards = MaskedForwards(model, 4)
    for seen in search.seen:
        clip = seen.sample.entry.name
        if clip not in done:
            with untouched(model.module):
                done[clip] = figures(search, seen, wanted, forwards)
            if out:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"clip": clip, "group": seen.group, "figures": done[clip]}) + "\n")
        click.echo(f"{len(done)} of {len(search.seen)}: {clip}", err=True)


if __name__ == "__main__":
    search_maps()
