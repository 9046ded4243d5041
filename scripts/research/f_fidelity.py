"""F-Fidelity (Zheng et al., arXiv:2410.02970) on the motion set: does fine-tuning bring faithfulness closer to truth?

    scripts/run research.f_fidelity --out results.json       # fine-tune, measure, print
    scripts/run research.f_fidelity --from results.json      # print an earlier measurement

A network has never seen clips with hidden parts. So each small network is fine-tuned once on clips with random parts
hidden, their labels kept; the masks know nothing of any map. Then the original network's maps are ranked with the
original and with the fine-tuned network:

    kept    log O/Y with the lower half of the map's cells hidden; high is good
    Fid+    Y - O with each cell of the highest share s hidden with probability 1/2; high is good
    Fid-    Y - O with each cell of the rest hidden with probability 1/2; low is good

Y is the probability of the true class for the whole clip, O for the masked one. Fid+ and Fid- are means over SHARES and
DRAWS masks for each, as in the paper, but with probabilities where it counts right answers. At most about half of a
clip is hidden, in fine-tuning too. The truth is known, so each ranking is compared with that by the maps' energy in the
truth, by Kendall's tau: 1 is the same order, 0 is chance.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import vidcam
from scripts import markdown
from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED, Pool, make_pool, to_input
from scripts.research.train_tiny import Training, batches, fitted
from vidcam.fill import FILLS, Fill
from vidcam.maps import Floats, upsample_volume
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.intervals import bootstrap_mean
from vidcam.metrics.localization import energy
from vidcam.metrics.order import tie_field
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.motion.box_tracks import filled_boxes
from vidcam.motion.clip import MotionClip
from vidcam.pipelines.study.benchmark import FIRST_SEED
from vidcam.pipelines.study.motion_set import mixed
from vidcam.preprocess import fill_for

NAMES = ("tiny_r3d", "tiny_c3d")
METHODS = (
    "gradcam", "gradcam++", "neutral-gradcam", "layercam", "integrated-gradients", "gradcam-ig", "neutral-gradcam-ig",
)  # fmt: skip
MEASURES, SIGNS = ("kept", "Fid+", "Fid-"), (1, 1, -1)
VERSIONS = ("original", "fine-tuned")

CELLS = (8, 16, 16)
"""Maps are ranked by the means of these cells, of 2 × 4 × 4 voxels."""

LIMIT = 0.5
"""The largest share that fine-tuning hides."""

SHARES, DRAWS = (0.05, 0.1, 0.2, 0.5), 4
BATCH, LEARNING_RATE, SEED, RESAMPLES = 32, 1e-3, 0, 2000

Result = dict[str, Any]
"""network, accuracy (version → masks → share), energy (map → clips), values (version → measure → map → clips)."""


@click.command()
@click.option("--model", "names", multiple=True, type=click.Choice(NAMES), help="Default: both.")
@click.option("--fill", type=click.Choice(FILLS), default="black", show_default=True)
@click.option("--steps", default=500, show_default=True, help="Batches of 32 clips to fine-tune on.")
@click.option("--pool", "pools", nargs=2, default=(1500, 400), show_default=True, help="Clips to train and to test on.")
@click.option("--clips", type=click.IntRange(2), default=40, show_default=True, help="Clips of one actor to explain.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the results in this JSON.")
@click.option("--from", "earlier", type=click.Path(path_type=Path), help="Read results instead of measuring.")
def f_fidelity(
    *,
    names: tuple[str, ...],
    fill: Fill,
    steps: int,
    pools: tuple[int, int],
    clips: int,
    out: Path | None,
    earlier: Path | None,
) -> None:
    """Fine-tune, measure, and print the tables in Markdown."""
    torch.set_num_threads(1)
    results: list[Result] = json.loads(earlier.read_text("utf-8")) if earlier else []
    if not earlier:
        pool, held_out = make_pool(TRAINING_SEED, pools[0]), make_pool(HELD_OUT_SEED, pools[1])
        for name in names or NAMES:
            model = load_model(name, device="cpu")
            tuned = fine_tuned(model, Training(name, steps, BATCH, SEED, LEARNING_RATE), pool, fill)
            results.append(measured(model, tuned, held_out, clips, fill))
            if out:
                out.write_text(json.dumps(results), "utf-8")
    for result in results:
        click.echo("\n".join([f"## {result['network']}\n", *tables(result), ""]))


def fine_tuned(model: Model, training: Training, pool: Pool, fill: Fill) -> nn.Module:
    """Return a copy of the network, fine-tuned on clips with random parts hidden, in evaluation mode."""
    generator = np.random.default_rng(training.seed)

    def masked() -> Iterator[tuple[Tensor, Tensor]]:
        for clips, labels in batches(training, pool):
            keep = torch.stack([random_mask(generator, LIMIT * generator.random()) for _ in clips])
            yield hidden(model, clips, keep, fill), labels

    return fitted(copy.deepcopy(model.module).requires_grad_(), training, masked()).eval()


def random_mask(generator: np.random.Generator, share: float) -> Tensor:
    """Return which of CELLS stay visible, bool: noise on a grid of random size, upsampled and cut at a share."""
    grid = [2 ** int(generator.integers(1, np.log2(side) + 1)) for side in CELLS]
    field = tie_field(tuple(grid), CELLS, generator)
    return torch.from_numpy(field >= np.quantile(field, share))


def hidden(model: Model, clips: Tensor, keep: Tensor, fill: Fill) -> Tensor:
    """Fill the hidden cells of clips (N or 1, 3, T, H, W); keep is (N, *CELLS) bool."""
    visible = functional.interpolate(keep[:, None].float(), clips.shape[2:], mode="nearest") > 0
    return torch.where(visible, clips, fill_for(clips, fill, model.spec.scaling))


def measured(model: Model, tuned: nn.Module, held_out: Pool, count: int, fill: Fill) -> Result:
    """Measure both versions of a network: their accuracy, and the original's maps with each."""
    networks = dict(zip(VERSIONS, (model.module, tuned), strict=True))
    shares: dict[str, list[float]] = {}
    values: dict[str, dict[str, dict[str, list[float]]]] = {
        version: {key: {} for key in MEASURES} for version in VERSIONS
    }
    for number, request in enumerate(mixed(count, first_seed=FIRST_SEED, actors=1)):
        motion = request.clip()
        clip, inside = to_input(torch.from_numpy(motion.frames[None])), np.asarray(filled_boxes(motion).any(axis=0))
        heats = maps_of(model, clip, motion, number) | {"truth": np.asarray(inside, np.float32)}
        for name, heat in heats.items():
            shares.setdefault(name, []).append(float(energy(heat[None], inside[None])[0]))
            masked = hidden(model, clip, masks(heat, torch.Generator().manual_seed(number)), fill)
            for version, network in networks.items():
                numbers = fidelity(network, torch.cat([clip, masked]), motion.label)
                for measure, value in zip(MEASURES, numbers, strict=True):
                    values[version][measure].setdefault(name, []).append(value)
        click.echo(f"{model.spec.name}: clip {number + 1} of {count}", err=True)
    accuracies = {version: accuracy(model, network, held_out, fill) for version, network in networks.items()}
    return {"network": model.spec.name, "accuracy": accuracies, "energy": shares, "values": values}


def maps_of(model: Model, clip: Tensor, motion: MotionClip, seed: int) -> dict[str, Floats]:
    """Return the maps (T, H, W) of all methods for the true class, and of the controls."""
    explanation = vidcam.explain(model, clip, methods=METHODS, target=motion.label)
    size = (clip.shape[2], clip.shape[3], clip.shape[4])
    cells = shuffled_cells(explanation.volumes["gradcam"][0], np.random.default_rng(seed))
    return {name: explanation.heat(name)[0] for name in METHODS} | {
        "random": upsample_volume(cells, size),
        "centre": centre_heat(size),
        "frame-difference": frame_difference(motion.frames),
    }


def masks(heat: Floats, generator: torch.Generator) -> Tensor:
    """Return which cells stay visible: the upper half, then DRAWS masks of Fid+ and of Fid- for each of SHARES."""
    means = functional.adaptive_avg_pool3d(torch.from_numpy(heat)[None].double(), CELLS).flatten()
    ties = torch.rand(len(means), generator=generator).argsort()  # the same for all maps of a clip
    rank = torch.empty(len(means))
    rank[ties[means[ties].argsort(stable=True)]] = torch.arange(len(means)) / len(means)
    rank, versions = rank.view(CELLS), []
    for share in SHARES:
        is_high = rank >= 1 - share
        spared = torch.rand((DRAWS, *CELLS), generator=generator) < 0.5
        versions.append(torch.cat([spared | ~is_high, spared | is_high]))
    return torch.cat([(rank >= 0.5)[None], *versions])


@torch.inference_mode()
def fidelity(network: nn.Module, clips: Tensor, label: int) -> tuple[float, float, float]:
    """Return kept, Fid+ and Fid- of one map; clips are the whole clip and those of `masks`."""
    logs = network(clips).double().log_softmax(dim=1)[:, label]
    lost = (logs[0].exp() - logs[2:].exp()).view(len(SHARES), 2, DRAWS).mean(dim=(0, 2))
    return float(logs[1] - logs[0]), float(lost[0]), float(lost[1])


@torch.inference_mode()
def accuracy(model: Model, network: nn.Module, pool: Pool, fill: Fill) -> dict[str, float]:
    """Return the share of clips classified rightly, whole and with random cells hidden."""
    right: dict[str, list[Tensor]] = {}
    for share in (0.0, LIMIT / 2, LIMIT):
        generator = np.random.default_rng(SEED)
        for frames, labels in zip(*(torch.split(part, BATCH) for part in (pool.frames, pool.labels)), strict=True):
            keep = torch.stack([random_mask(generator, share) for _ in labels])
            logits = network(hidden(model, to_input(frames), keep, fill))
            right.setdefault(f"{share:g}", []).append(logits.argmax(dim=1) == labels)
    return {share: float(torch.cat(flags).double().mean()) for share, flags in right.items()}


def tables(result: Result) -> Iterator[str]:
    """Yield the lines of three tables: accuracies, what each map gets, and tau."""
    accuracies = result["accuracy"]
    rows = [(version, *(f"{100 * value:.1f}" for value in accuracies[version].values())) for version in VERSIONS]
    yield from markdown.table(("right, %", *(f"{share} hidden" for share in accuracies["original"])), rows)
    columns = [(version, measure) for measure in MEASURES for version in VERSIONS]
    rows = [
        (name, f"{np.mean(shares):.2f}", *(interval(result["values"][v][m][name]) for v, m in columns))
        for name, shares in sorted(result["energy"].items(), key=lambda item: -float(np.mean(item[1])))
    ]
    yield from ("", *markdown.table(("map", "energy", *(f"{m}, {v}" for v, m in columns)), rows), "")
    yield from markdown.table(("tau with the energy", *VERSIONS, "difference"), agreement_rows(result))


def interval(values: Sequence[float]) -> str:
    """Format the mean over clips and its interval."""
    mean = bootstrap_mean(np.array(values), np.random.default_rng(SEED), resamples=RESAMPLES)
    return f"{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]"


def agreement_rows(result: Result) -> Iterator[tuple[str, ...]]:
    """Yield for each measure Kendall's tau of the mean energies with the mean values; clips are drawn for intervals."""
    truth = matrix(result["energy"])
    clips = truth.shape[1]
    drawn = np.random.default_rng(SEED).multinomial(clips, np.full(clips, 1 / clips), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, clips)), drawn]) / clips  # the first row is the sample itself
    for measure, sign in zip(MEASURES, SIGNS, strict=True):
        first, second = (
            tau(weights @ truth.T, sign * weights @ matrix(result["values"][version][measure]).T)
            for version in VERSIONS
        )
        yield (measure, *(f"{v[0]:.2f} [{np.quantile(v[1:], 0.025):.2f}, {np.quantile(v[1:], 0.975):.2f}]"
                          for v in (first, second, second - first)))  # fmt: skip


def matrix(rows: Mapping[str, Sequence[float]]) -> NDArray[np.float64]:
    """Return the values of all maps, (maps, clips)."""
    return np.array(list(rows.values()))


def tau(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Kendall's tau of each row of a with that of b, (rows,); both (rows, maps). Ties count 0."""
    first, second = np.triu_indices(a.shape[1], 1)
    signs = np.sign(a[:, first] - a[:, second]) * np.sign(b[:, first] - b[:, second])
    return np.asarray(signs.mean(axis=1))


if __name__ == "__main__":
    f_fidelity()
