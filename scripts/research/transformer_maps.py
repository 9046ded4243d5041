"""The truth table of small transformers: how well each method's maps match the truth of clips with two targets.

Each clip shows two gratings that drift in two directions, and is explained for both. The truth is the explained
target while it drifts. Intervals are 95 % bootstrap intervals over networks of one kind (seeds) and over clips.

AUC         a voxel of the truth has more heat than one outside
pointing    share of the maximal voxels inside the truth
energy      share of the map's sum inside the truth
ratio       energy in the explained target, divided by that in both; 0.5: the map does not know the class
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

import vidcam
from scripts import markdown
from scripts.research.motion_maps import averaged
from scripts.research.pool import to_input
from scripts.research.verdict_tables import auc
from vidcam.errors import LayerError
from vidcam.maps import Floats, upsample_volume
from vidcam.media import Frames
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.localization import energy, pointing
from vidcam.models.families.tiny_vit import TinyViT
from vidcam.motion.gratings import GRATING_LABELS, GratingClip, make_grating_clip
from vidcam.results.explanation import RELEVANCE

FIRST_SEED = 500_000
RESAMPLES = 2000
MEASURES = ("AUC", "pointing", "energy", "ratio")
CAMS = ("gradcam", "gradcam++", "hirescam")

Heats = dict[str, Floats]
"""Method → (N, T, H, W)."""

Values = NDArray[np.float64]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--clips", "count", type=click.IntRange(1), default=60, show_default=True, help="Of two targets.")
def transformer_maps(*, folder: Path, count: int) -> None:
    """Print one table in Markdown for each kind of network in FOLDER, which `research.train_transformers` wrote."""
    torch.set_num_threads(1)
    clips = [clip_of_two(number) for number in range(count)]
    kinds: dict[str, list[dict[str, Values]]] = {}
    for path in sorted(folder.glob("tiny_vit*.safetensors")):
        network = network_of(load_file(path))
        share = 100 * share_named(network, clips)
        click.echo(f"{path.stem}: both classes have the highest logits in {share:.1f} % of the clips", err=True)
        kinds.setdefault(kind_of(network), []).append(measures(network, clips))
    for kind, measured in kinds.items():
        click.echo(f"### {kind}, {len(measured)} networks\n")
        click.echo("\n".join([*table(measured), ""]))


def clip_of_two(number: int) -> GratingClip:
    """Make a clip of two targets of different classes; all ordered pairs are equally frequent."""
    classes = len(GRATING_LABELS)
    first, step = number % classes, 1 + number // classes % (classes - 1)
    return make_grating_clip(FIRST_SEED + number, (first, (first + step) % classes))


def network_of(state: dict[str, Tensor]) -> TinyViT:
    """Build the network of these weights."""
    depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    network = TinyViT(depth=depth, has_class_token="class_token" in state)
    network.load_state_dict(state)
    return network.eval()


def kind_of(network: TinyViT) -> str:
    """Name what the head reads and the depth."""
    return f"{'mean of tokens' if network.class_token is None else 'class token'}, depth {len(network.blocks)}"


def measures(network: TinyViT, clips: Sequence[GratingClip]) -> dict[str, Values]:
    """Method → (4, N): each measure of each clip, the mean over its two targets."""
    per_target: list[dict[str, Values]] = []
    for index in range(2):
        own, other = (np.stack([clip.instances[which] for clip in clips]) for which in (index, 1 - index))
        heats = heats_of(network, clips, index)
        per_target.append({method: measured(heat, own, other) for method, heat in heats.items()})
    return {method: (values + per_target[1][method]) / 2 for method, values in per_target[0].items()}


def measured(heat: Floats, own: NDArray[np.bool_], other: NDArray[np.bool_]) -> Values:
    """Return the measures of maps, (4, N). A map that is zero in both targets has the ratio 0.5."""
    areas = [auc(*(part.ravel() for part in pair)) for pair in zip(heat, own, strict=True)]
    inside, outside = energy(heat, own), energy(heat, other)
    both = inside + outside
    ratio = np.where(both > 0, inside / np.where(both > 0, both, 1.0), 0.5)
    return np.stack([areas, pointing(heat, own), inside, ratio])


def heats_of(network: TinyViT, clips: Sequence[GratingClip], index: int) -> Heats:
    """Explain the clips for the class of this target by every method, and add the controls."""
    labels, frames = [clip.labels[index] for clip in clips], np.stack([clip.frames for clip in clips])
    tensor = to_input(torch.from_numpy(frames))
    last = len(network.blocks) - 1
    reshape = vidcam.tokens(network.grid, class_tokens=int(network.class_token is not None))
    cams = vidcam.explain(network, tensor, methods=CAMS, target=labels, layer=f"blocks.{last}.norm1", reshape=reshape)
    heats: Heats = {f"{method}, last norm1": cams.heat(method) for method in CAMS}
    try:
        late = vidcam.explain(
            network, tensor, target=labels, layer=f"blocks.{last}", reshape=reshape, methods="gradcam"
        )
        heats["gradcam, last block"] = late.heat("gradcam")
    except LayerError:  # only the class token is read there
        pass
    relevance = vidcam.explain(network, tensor, methods=RELEVANCE, target=labels)
    heats |= {method: relevance.heat(method) for method in RELEVANCE}
    return heats | controls(cams.volumes["gradcam"], frames, np.stack([clip.instances[index] for clip in clips]))


def controls(volumes: Floats, frames: Frames, truth: NDArray[np.bool_]) -> Heats:
    """Maps that know nothing of the network, and the best one on its grid: the truth, averaged over each cell."""
    size, grid, generator = truth.shape[1:], volumes.shape[1:], np.random.default_rng(0)
    maps: dict[str, list[Floats]] = {
        "random": [upsample_volume(shuffled_cells(volume, generator), size) for volume in volumes],
        "centre": [centre_heat(size)] * len(frames),
        "frame-difference": [frame_difference(clip) for clip in frames],
        "answer": [upsample_volume(averaged(region, grid), size) for region in truth],
    }
    return {f"control: {name}": np.stack(heats) for name, heats in maps.items()}


def table(networks: Sequence[dict[str, Values]]) -> list[str]:
    """One row for each method: mean and interval of each measure."""
    rows = [
        (method, *(interval(np.stack([one[method][index] for one in networks])) for index in range(len(MEASURES))))
        for method in networks[0]
    ]
    return markdown.table(("map", *MEASURES), rows)


def interval(values: Values) -> str:
    """Format as '0.53 [0.50, 0.56]': the mean of (S, N) and its bootstrap interval over seeds and over clips."""
    generator = np.random.default_rng(0)
    seeds, clips = (generator.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n for n in values.shape)
    low, high = np.quantile(((seeds @ values) * clips).sum(axis=1), [0.025, 0.975])
    return f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"


@torch.inference_mode()
def share_named(network: nn.Module, clips: Sequence[GratingClip]) -> float:
    """Share of clips whose two classes have the two highest logits."""
    logits = network(to_input(torch.from_numpy(np.stack([clip.frames for clip in clips]))))
    top = logits.topk(2, dim=1).indices.sort(dim=1).values
    return float((top == torch.tensor([sorted(clip.labels) for clip in clips])).all(dim=1).double().mean())


if __name__ == "__main__":
    transformer_maps()
