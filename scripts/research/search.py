"""The search for a more faithful map: variants of a map over a set of clips, beside gradcam.

Variants are built here from A and g, not in the library: most of them lose. Faithfulness is the retention at equal area
(GC++ 7.2) of the predicted class, localisation the maps of the label's class against the boxes. A cell has the mean
over clips and the paired difference from gradcam with its 95 % interval from resampled groups. docs/baseline.md has
tables of some forty variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scripts.bench.timing import plain_forward
from scripts.library import faster
from scripts.markdown import table
from vidcam.cam.methods import combine, hirescam, layercam
from vidcam.cam.weights import gradcam_plus_weights, gradcam_pp_weights, gradcam_weights
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, shuffled_cells
from vidcam.metrics.intervals import Interval, bootstrap_means
from vidcam.metrics.localization import energy, localization, pointing
from vidcam.metrics.order import rank_ties, tie_field, voxel_order
from vidcam.metrics.retention import DEFAULT_THETAS, keep_top
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.score.clip import known_label
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.samples import Sample, load_sample
from vidcam.preprocess import fill_for, grey_input

COLUMNS = (*(f"retention {theta:g}" for theta in DEFAULT_THETAS), "loc 0.25", "loc 0.5", "pointing", "energy")
Weigh = Callable[[Tensor, Tensor], Tensor]
WEIGHTS: Mapping[str, Weigh] = MappingProxyType(
    {"gradcam": gradcam_weights, "gradcam+": gradcam_plus_weights, "gradcam++": gradcam_pp_weights}
)


def variants(a: Tensor, g: Tensor, grey: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Raw maps (1, t, h, w) from A, g and A₀ of a flat grey clip, (1, D, t, h, w); new ideas go here."""
    for name, weigh in WEIGHTS.items():
        yield name, combine(weigh(a, g), a)
        yield f"{name} - grey", combine(weigh(a, g), a - grey)
        yield f"{name}, rectified - grey", combine(weigh(a, g), (a - grey).relu())
    yield "hirescam", hirescam(a, g)
    yield "layercam", layercam(a, g)


@click.command()
@click.argument("manifest", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "name", default="i3d", show_default=True)
@click.option("--clips", "count", type=int, help="The first so many; default: all.")
def search(manifest: Path, name: str, count: int | None) -> None:
    """Print the table of all variants for the clips of MANIFEST."""
    model, found, groups = load_model(name, device="cpu"), list[dict[str, list[float]]](), list[str]()
    seen = Seen(model)
    for entry in read_clips(manifest, out=Path("search")).entries[:count]:
        sample = load_sample(entry, model.spec)
        if isinstance(sample, Sample):
            found.append(seen.figures(sample))
            groups.append(entry.group or entry.name)
            click.echo(f"{len(found)}: {entry.name}", err=True)
    click.echo("\n".join(table(("variant", *COLUMNS), rows(found, groups))))


class Seen:
    """A model whose last layer is looked at, and A₀."""

    def __init__(self, model: Model) -> None:
        self.model, self.layer = model, str(model.spec.layer)
        self.network = faster(model, self.layer)
        self.grey = self._look(grey_input(model.spec))[0].detach()

    def _look(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """A, (1, D, t, h, w), and the scores (K,) with the graph between."""
        kept: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            kept.append(output.detach().requires_grad_())
            return kept[0]

        handle = self.network.get_submodule(self.layer).register_forward_hook(keep)
        try:
            scores: Tensor = self.network(clip)[0]
        finally:
            handle.remove()
        return kept[0], scores

    def _heats(self, a: Tensor, scores: Tensor, target: int, seed: int) -> dict[str, Floats]:
        """Every variant and control, (T, H, W) in [0, 1]."""
        (g,) = torch.autograd.grad(scores[target], a, retain_graph=True)
        size = self.model.spec.input_size
        raw = {name: np.asarray(one[0].numpy(), np.float32) for name, one in variants(a.detach(), g, self.grey)}
        raw["random"] = shuffled_cells(raw["gradcam"], np.random.default_rng([0, seed]))
        heats = {name: normalise_per_clip(upsample_volume(one[None], size))[0] for name, one in raw.items()}
        return heats | {"centre": centre_heat(size).astype(np.float32)}

    def figures(self, sample: Sample) -> dict[str, list[float]]:
        """Variant or control → its figures for one clip, in the order of COLUMNS; NaN where there are no boxes."""
        clip, seed, spec = sample.tensor[None], sample.entry.index, self.model.spec
        a, scores = self._look(clip)
        top, label = int(scores.argmax()), known_label(self.model, sample.entry.label)
        heats = self._heats(a, scores, top, seed)
        placed = heats if label is None else self._heats(a, scores, label, seed)
        ties = rank_ties(tie_field(tuple(a.shape[2:]), spec.input_size, np.random.default_rng([1, seed])))
        fill, original = fill_for(clip, "black", spec.scaling), float(scores.softmax(dim=0)[top])
        found = {}
        for name, heat in heats.items():
            order = voxel_order(heat, ties)
            keep = np.stack([keep_top(order, theta, spec.input_size) for theta in DEFAULT_THETAS])
            masked = torch.where(torch.from_numpy(keep)[:, None], clip, fill)
            kept = plain_forward(self.network, masked).softmax(dim=1)[:, top] / original
            found[name] = [*(100 * kept).tolist(), *_localised(placed[name], sample.inside)]
        return found


def _localised(heat: Floats, inside: NDArray[np.bool_] | None) -> list[float]:
    if inside is None:
        return [float("nan")] * 4
    one, region = heat[None], inside[None]
    measures = (localization(one, region, 0.25), localization(one, region, 0.5), pointing(one, region))
    return [100.0 * float(figure[0]) for figure in (*measures, energy(one, region))]


def rows(found: Sequence[Mapping[str, Sequence[float]]], groups: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for each variant: each mean, and its difference from gradcam, in bold where the interval excludes 0."""
    values = {name: np.array([clip[name] for clip in found]).T for name in found[0]}
    for name, of_variant in values.items():
        cells = [f"{mean:.1f}" for mean in np.nanmean(of_variant, axis=1)]
        if name != "gradcam":
            gains = bootstrap_means(of_variant - values["gradcam"], lambda: np.random.default_rng(0), groups=groups)
            cells = [f"{cell} {_gain(one)}" for cell, one in zip(cells, gains, strict=True)]
        yield name, *cells


def _gain(one: Interval) -> str:
    text = f"{one.value:+.1f} [{one.low:.1f}, {one.high:.1f}]"
    return f"**{text}**" if one.low > 0 or one.high < 0 else text


if __name__ == "__main__":
    search()
